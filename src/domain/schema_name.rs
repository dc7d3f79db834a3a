//! The name of a schema in a PostgreSQL database.

use std::fmt;

/// What the server itself uses.
const RESERVED: [&str; 2] = ["pg_", "information_schema"];
/// In a search_path, this is the schema of the role's name.
const PLACEHOLDER: &str = "$user";
/// Longer ones a server cuts off.
const LONGEST: usize = 63;

/// A schema that a server can have, with any letters, spaces and quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(String);

impl SchemaName {
    /// The schema of this name, letter for letter.
    ///
    /// # Errors
    /// Why there cannot be one.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.len() > LONGEST {
            return Err(format!("a schema's name has 1 to {LONGEST} bytes"));
        }
        if name.chars().any(char::is_control) {
            return Err("a schema's name has no control characters".to_owned());
        }
        if name == PLACEHOLDER {
            return Err("a search_path takes this for the role's name; use another one".to_owned());
        }
        if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
            return Err("this schema is the server's own".to_owned());
        }
        Ok(Self(name.to_owned()))
    }

    /// As a statement has it.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }

    /// As it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
