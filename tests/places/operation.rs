//! An operation that only `tests/long places` adds, in a scratch copy.

use crate::Result;
use crate::access::Requirement;
use crate::domain::capability::Capability;
use crate::ops::{Access, Context, Operation};

#[derive(Debug, Clone, PartialEq)]
pub struct Spare;

impl Operation for Spare {
    const NAME: &'static str = "spare.read";
    const REQUIREMENT: Requirement = Requirement::All(&[Capability::OpsView]);
    const ACCESS: Access = Access::Read;
    type Output = i64;

    async fn execute(self, _: &mut Context) -> Result<i64> {
        Ok(1)
    }
}
