//! Key sequences as a tree: after each key it is known whether more keys are awaited.

use std::collections::BTreeMap;

use super::key::Key;
use crate::tui::command::Command;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    Command(Command),
    /// Deliberately nothing, also not what the key means elsewhere.
    Blocked,
    Pending,
    Unknown,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Leaf {
    #[default]
    Absent,
    Blocked,
    Bound(Command),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trie {
    leaf: Leaf,
    children: BTreeMap<Key, Trie>,
}

impl Trie {
    /// Adds a sequence; `None` blocks it.
    pub(super) fn insert(&mut self, keys: &[Key], command: Option<Command>) {
        match keys.split_first() {
            Some((first, rest)) => self.children.entry(*first).or_default().insert(rest, command),
            None => self.leaf = command.map_or(Leaf::Blocked, Leaf::Bound),
        }
    }

    pub(super) fn look_up(&self, keys: impl IntoIterator<Item = Key>) -> Lookup {
        let mut node = self;
        for key in keys {
            match node.children.get(&key) {
                Some(child) => node = child,
                None => return Lookup::Unknown,
            }
        }
        match node.leaf {
            Leaf::Bound(command) => Lookup::Command(command),
            _ if !node.children.is_empty() => Lookup::Pending,
            Leaf::Blocked => Lookup::Blocked,
            Leaf::Absent => Lookup::Unknown,
        }
    }
}
