//! Pieces that several screens are made of.

pub mod break_glass;
pub mod confirm;
pub mod dialog;
pub mod form;
pub mod go_to;
pub mod group;
pub mod help;
pub mod palette;
pub mod question;
pub mod reason;
pub mod text_area;
pub mod text_field;
