//! Plain types and rules of the platform: no I/O, no clock, no database.

pub mod alert;
pub mod capability;
pub mod clock_offset;
pub mod confirmation;
pub mod count;
pub mod csv;
pub mod database_fault;
pub mod failure;
pub mod fingerprint;
pub mod health;
pub mod high_capability;
pub mod identity;
pub mod json;
pub mod kept;
pub mod name_pattern;
pub mod operation_type;
pub mod plan;
pub mod postgres_url;
pub mod rollout;
pub mod run;
pub mod run_advice;
pub mod run_end;
pub mod run_facts;
pub mod run_filter;
pub mod run_state;
pub mod safe_text;
pub mod sanitize;
pub mod schema_name;
pub mod setting;
pub mod shell;
pub mod start_reason;
pub mod summary_counts;
pub mod support;
pub mod telemetry;
pub mod time_zone;
pub mod type_support;
pub mod window;

/// Declares an enum whose values are stored and spelled as fixed words.
///
/// Gives `ALL`, `as_str`, `Display`, `FromStr` (which names the allowed words) and serde.
#[macro_export]
macro_rules! text_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident as $what:literal { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        $vis enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word it is stored and spelled as.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::Error::usage(format!(
                        concat!("unknown ", $what, " {}"),
                        $crate::domain::safe_text::quoted(text)
                    )).hint(format!("one of: {}", [$($text,)+].join(", ")))),
                }
            }
        }
    };
}
