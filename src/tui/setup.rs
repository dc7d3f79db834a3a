//! What a console is made with.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ratatui::layout::Size;

use crate::domain::time_zone::TimeZone;
use crate::drafts::Drafts;
use crate::runbooks::Registry;
use crate::term::ColorSupport;
use crate::tui::keymap::Keymap;
use crate::tui::theme::Theme;

#[derive(Debug, Clone)]
pub struct Setup {
    pub keymap: Keymap,
    pub theme: Theme,
    pub colors: ColorSupport,
    pub ascii: bool,
    pub zone: TimeZone,
    pub poll: Duration,
    pub page_size: i64,
    pub size: Size,
    pub now: DateTime<Utc>,
    pub registry: Registry,
    /// Where exports go; none where there is no such place.
    pub exports: Option<PathBuf>,
    /// Where drafts of support requests are kept; none where there is no such place.
    pub drafts: Option<Drafts>,
}
