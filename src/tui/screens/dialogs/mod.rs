//! What lies over the tabs. Each is known where it is opened, and nowhere else.

pub mod break_glass;
pub mod confirm;
pub mod group;
pub mod help;
pub mod palette;
pub mod question;
mod sheet;
