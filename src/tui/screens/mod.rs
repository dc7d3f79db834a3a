//! The screens: each is one state with its commands, its polls and its view.

pub mod dialogs;
pub mod inbox;
pub mod login;
pub mod operations;
pub mod overview;
pub mod run;
pub mod runbooks;
pub mod support;
pub mod telemetry;
pub mod workers;

pub(crate) use operations::tenant_text as operations_tenant_text;

use chrono::{DateTime, Utc};

use crate::tui::msg::Effect;
use crate::tui::screen::Screen;
use crate::tui::setup::Setup;
use crate::tui::tabs::{Tab, tabs};

macro_rules! screens {
    ({$(
        $tab:ident, $field:ident: $screen:ty, $titles:expr,
        $command:ident, $id:literal, $help:literal, $description:literal, $capability:expr,
        $context:ident, $section:literal, $heading:literal;
    )+}) => {
        #[derive(Debug)]
        pub struct Tabs { $(pub $field: $screen,)+ }

        impl Tabs {
            /// The tabs of a console, with nothing on them yet.
            pub fn new(setup: &Setup) -> Self {
                Self { $($field: <$screen>::new(setup),)+ }
            }

            pub fn get(&self, tab: Tab) -> &dyn Screen {
                match tab { $(Tab::$tab => &self.$field,)+ }
            }

            /// The screen of a tab, to be changed.
            pub fn get_mut(&mut self, tab: Tab) -> &mut dyn Screen {
                match tab { $(Tab::$tab => &mut self.$field,)+ }
            }

            /// Takes what outlives the session from those before, which ended `on_purpose` or not.
            pub fn inherit(
                &mut self,
                old: Self,
                on_purpose: bool,
                now: DateTime<Utc>,
            ) -> Vec<Effect> {
                let mut effects = Vec::new();
                $(effects.extend(self.$field.inherit(old.$field, on_purpose, now));)+
                effects
            }
        }
    };
}

tabs!(screens!);
