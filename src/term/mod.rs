//! Terminals, local or remote: what is drawn, what is read, and leaving it as it was.

pub mod color;
