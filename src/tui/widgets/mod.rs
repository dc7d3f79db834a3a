//! Pieces that several screens are made of.

pub mod dialog;
pub mod form;
pub mod go_to;
pub mod reason;
pub mod text_area;
pub mod text_field;
pub mod windows;
