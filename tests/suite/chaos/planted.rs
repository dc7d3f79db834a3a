//! The checks themselves: damage that is done by hand to a good round has to be found.

use std::collections::HashSet;

use serde_json::json;
use tenantpilot::ops::Engine;
use tenantpilot::ops::runs::RunScope;

use super::arena::{Arena, inputs};
use super::invariants::violations;
use crate::support::stores::{Store, block_on};

/// Damage to run 1, and how the check that finds it begins.
const DAMAGE: &[(&str, &str)] = &[
    ("delete from fault_ledger where id = (select max(id) from fault_ledger)", "lost"),
    (
        "insert into fault_ledger (run_id, tenant_id, step, believed, fence, status) \
         select run_id, tenant_id, step, believed, fence, status from fault_ledger where id = 1",
        "doubled",
    ),
    ("update fault_ledger set believed = 0 where id = 1", "stale"),
    ("update fault_ledger set status = 'completed' where id = 1", "stale"),
    ("update operation_run_targets set status = 'pending' where tenant_id = 2", "lost"),
    ("delete from operation_run_targets where tenant_id = 2", "lost"),
    ("update operation_run_targets set items = items + 1 where tenant_id = 2", "counts"),
    ("update operation_runs set outcome = 'cancelled'", "outcome"),
    ("update operation_runs set outcome = 'failed', reason_code = 'timeout'", "outcome"),
    ("delete from alert_deliveries", "alert"),
    ("update operation_runs set stop_reason = 'cancelled'", "stop"),
    (
        "insert into audit_logs (plane, actor_kind, action, status, run_id, metadata, occurred_at) \
         select plane, actor_kind, action, status, run_id, metadata, occurred_at from audit_logs \
         where action = 'runs.complete'",
        "audit",
    ),
    ("delete from notifications", "notification"),
    (
        "insert into operation_run_leases (run_id, owner, acquired_at, heartbeat_at, expires_at) \
         select id, 'nobody', created_at, created_at, created_at from operation_runs",
        "lease",
    ),
    ("delete from operation_run_failures", "failure"),
    (
        "update operation_run_targets set reason_code = 'unexpected_error' where status = 'failed'",
        "failure",
    ),
];

#[test]
fn fr_017_006_damage_that_is_done_by_hand_is_found() {
    block_on(async {
        let mut arena = Arena::on(Store::new(Engine::Sqlite).await, None).await;
        let mut wanted = inputs(1, 2, 0);
        wanted["deny"] = json!([3]);
        let run_id = arena.start(RunScope::Tenants((1..=4).collect()), wanted).await;
        arena.eyes.change("update operation_runs set platform_user_id = 1").await;
        arena.hire(1);
        assert_eq!(arena.wait_for_ends(0).await, Vec::<String>::new());
        let nobody = HashSet::new();
        assert_eq!(violations(&arena, 0, &nobody).await, Vec::<String>::new());
        assert_eq!(run_id, 1);
        arena.fleet.dismiss();
        for (damage, sign) in DAMAGE {
            // Each damage stands alone. A file is looked at through one connection.
            arena.eyes.change("begin").await;
            arena.eyes.change(damage).await;
            let found = violations(&arena, 0, &nobody).await;
            arena.eyes.change("rollback").await;
            assert!(found.iter().any(|text| text.starts_with(sign)), "{damage}: {found:?}");
        }
    });
}

#[test]
fn fr_017_007_the_long_form_is_one_command_that_refuses_what_it_does_not_know() {
    let chaos = |arguments: &[&str]| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos");
        let output = std::process::Command::new(script).args(arguments).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let (code, help) = chaos(&["--help"]);
    assert_eq!(code, Some(0));
    for (name, _) in tenantpilot::ops::Mutant::ALL {
        assert!(help.contains(name), "{help}");
        assert!(chaos(&["--mutant", "no_such"]).1.contains(name));
    }
    for wrong in [
        &[][..],
        &["--rounds"],
        &["--rounds", "0"],
        &["--rounds", "many"],
        &["--engine", "oracle"],
        &["--seed", "-1"],
        &["--mutant", "no_such"],
        &["--forever", "1"],
    ] {
        let (code, said) = chaos(wrong);
        assert_eq!(code, Some(2), "{wrong:?}: {said}");
        assert!(said.starts_with("tests/chaos: "), "{wrong:?}: {said}");
    }
}
