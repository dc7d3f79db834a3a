//! Which key does what: TOML files, one section per context.
//!
//! A key is looked up in its context first and in `global` after that. In a context that
//! holds a text field, keys that type or edit text belong to the field, unless the context
//! itself binds them. `ctrl-z` suspends everywhere and cannot be bound.

mod key;
mod parse;

use std::collections::BTreeMap;
use std::path::Path;

pub use key::{ALLOWED_KEYS, Code, Key};

use self::key::write_sequence;
use crate::tui::command::{Command, Context};
use crate::tui::source_file::{self, Found};
use crate::{Error, Result};

/// The keymaps that are part of the program: name and text.
pub const EMBEDDED: &[(&str, &str)] = &[
    ("default", include_str!("../../../keymaps/default.toml")),
    ("vim", include_str!("../../../keymaps/vim.toml")),
];

const SUSPEND: Key = Key::ctrl('z');

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    Command(Command),
    /// A sequence has begun; remember the key and wait for the next one.
    Pending,
    /// Nothing; in a text context the key goes to the text field.
    Unbound,
}

/// One binding; no command means that the key does nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Binding {
    keys: Vec<Key>,
    command: Option<Command>,
}

/// What a sequence of keys leads to in one section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lookup {
    Command(Command),
    /// Deliberately nothing, also not what the key means elsewhere.
    Blocked,
    /// A longer sequence starts like this.
    Pending,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    /// In the order in which they are shown: a file's own before those it inherits.
    sections: BTreeMap<Context, Vec<Binding>>,
}

impl Keymap {
    /// The embedded keymap `name` (`default`, `vim`).
    pub fn embedded(name: &str) -> Result<Self> {
        match source_file::find("keymap", name, None, EMBEDDED)? {
            Found::Embedded(text) => Self::parse(&format!("keymaps/{name}.toml"), text),
            Found::File { .. } => Err(Error::usage("a path is not the name of a keymap")),
        }
    }

    /// Reads a keymap; errors name `file_name`, the line, the reason and what is allowed.
    pub fn parse(file_name: &str, text: &str) -> Result<Self> {
        parse::parse(file_name, text)
    }

    /// Loads a keymap by path, or by name: a file of that name in `user_dir` comes before
    /// the embedded one.
    pub fn load(name_or_path: &str, user_dir: Option<&Path>) -> Result<Self> {
        match source_file::find("keymap", name_or_path, user_dir, EMBEDDED)? {
            Found::Embedded(_) => Self::embedded(name_or_path),
            Found::File { name, text } => Self::parse(&name, &text),
        }
    }

    /// What `key` means in `context` after the keys in `pending`.
    pub fn resolve(&self, context: Context, pending: &[Key], key: Key) -> Resolved {
        if key == SUSPEND {
            return Resolved::Command(Command::AppSuspend);
        }
        let keys = [pending, &[key]].concat();
        match self.look_up(context, &keys) {
            Lookup::Command(command) => return Resolved::Command(command),
            Lookup::Pending => return Resolved::Pending,
            Lookup::Blocked => return Resolved::Unbound,
            Lookup::Unknown => {}
        }
        let first = pending.first().copied().unwrap_or(key);
        if context == Context::Global || (context.is_text() && first.edits_text()) {
            return Resolved::Unbound;
        }
        match self.look_up(Context::Global, &keys) {
            Lookup::Command(command) => Resolved::Command(command),
            Lookup::Pending => Resolved::Pending,
            Lookup::Blocked | Lookup::Unknown => self.resolve_quit(pending, key),
        }
    }

    /// A key that quits does so in the middle of a sequence, too.
    fn resolve_quit(&self, pending: &[Key], key: Key) -> Resolved {
        let quit = Lookup::Command(Command::AppQuit);
        if !pending.is_empty() && !key.edits_text() && self.look_up(Context::Global, &[key]) == quit
        {
            return Resolved::Command(Command::AppQuit);
        }
        Resolved::Unbound
    }

    /// The keys that reach `command` in `context`, written as in a file, the preferred
    /// first. Empty where no key does.
    pub fn keys_for(&self, context: Context, command: Command) -> Vec<String> {
        if command == Command::AppSuspend {
            return vec![SUSPEND.to_string()];
        }
        let mut found: Vec<&[Key]> = Vec::new();
        for place in [context, Context::Global] {
            for binding in self.section(place) {
                let keys = binding.keys.as_slice();
                if binding.command == Some(command)
                    && !found.contains(&keys)
                    && self.reaches(context, keys, command)
                {
                    found.push(keys);
                }
            }
        }
        found.into_iter().map(write_sequence).collect()
    }

    /// What the section of `context` itself binds, for help: in the order of
    /// [`Command::ALL`], the preferred key of a command first.
    pub fn bindings(&self, context: Context) -> impl Iterator<Item = (String, Command)> {
        let mut list: Vec<(String, Command)> = self
            .section(context)
            .filter_map(|binding| Some((write_sequence(&binding.keys), binding.command?)))
            .collect();
        if context == Context::Global {
            list.push((SUSPEND.to_string(), Command::AppSuspend));
        }
        list.sort_by_key(|(_, command)| *command);
        list.into_iter()
    }

    fn section(&self, context: Context) -> impl Iterator<Item = &Binding> {
        self.sections.get(&context).into_iter().flatten()
    }

    fn look_up(&self, context: Context, keys: &[Key]) -> Lookup {
        let mut found = Lookup::Unknown;
        for binding in self.section(context).filter(|binding| binding.keys.starts_with(keys)) {
            let ends = binding.keys.len() == keys.len();
            found = match binding.command {
                Some(command) if ends => return Lookup::Command(command),
                // What was only taken away there hides no longer sequence that starts the same.
                None if context == Context::Global => continue,
                None if ends && found == Lookup::Unknown => Lookup::Blocked,
                _ => Lookup::Pending,
            };
        }
        found
    }

    /// Whether pressing `keys` one after another in `context` ends at `command`.
    fn reaches(&self, context: Context, keys: &[Key], command: Command) -> bool {
        let Some((last, before)) = keys.split_last() else { return false };
        let pends = (0..before.len())
            .all(|at| self.resolve(context, &before[..at], before[at]) == Resolved::Pending);
        pends && self.resolve(context, before, *last) == Resolved::Command(command)
    }
}
