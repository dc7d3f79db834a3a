//! Reads a keymap file, and refuses whatever would leave a key unclear or the console
//! without a way out.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::key::{ALLOWED_KEYS, Code, parse_sequence, write_sequence};
use super::{Binding, EMBEDDED, Key, Keymap, SUSPEND};
use crate::tui::command::{Command, Context};
use crate::tui::source_file::SourceFile;
use crate::{Error, Result};

struct Entry {
    context: Context,
    keys: Vec<Key>,
    command: Option<Command>,
    span: Range<usize>,
}

pub(super) fn parse(file_name: &str, text: &str) -> Result<Keymap> {
    let file = SourceFile::new(file_name, text);
    let table = file.table()?;
    let mut base = Keymap { sections: BTreeMap::new() };
    let mut entries = Vec::new();

    let mut top: Vec<_> = table.iter().collect();
    top.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in top {
        let word = name.get_ref().as_ref();
        if word == "inherits" {
            base = inherited(&file, value)?;
        } else if let Some(context) = Context::parse(word) {
            let mut lines: Vec<_> = file.section(value, &format!("[{word}]"))?.iter().collect();
            lines.sort_by_key(|(keys, _)| keys.span().start);
            for (keys, action) in lines {
                entries.push(entry(&file, context, keys.get_ref(), &keys.span(), action)?);
            }
        } else {
            let mut allowed: Vec<&str> = Context::ALL.iter().map(|context| context.id()).collect();
            allowed.push("inherits");
            return Err(file.unknown(&name.span(), "section", word, &allowed, "allowed"));
        }
    }

    refuse_duplicates(&file, &entries)?;
    let keymap = merge(&base, &entries);
    refuse_prefixes(&file, &keymap, &entries)?;
    refuse_no_way_out(&file, &base, &keymap, &entries)?;
    Ok(keymap)
}

fn inherited(file: &SourceFile<'_>, value: &Spanned<DeValue<'_>>) -> Result<Keymap> {
    let name = file.string(value, "inherits")?;
    if EMBEDDED.iter().any(|(embedded, _)| *embedded == name) {
        return Keymap::embedded(name);
    }
    let names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
    Err(file.unknown(&value.span(), "keymap", name, &names, "inherits takes one of"))
}

fn entry(
    file: &SourceFile<'_>,
    context: Context,
    text: &str,
    span: &Range<usize>,
    action: &Spanned<DeValue<'_>>,
) -> Result<Entry> {
    let keys = parse_sequence(text)
        .map_err(|why| file.error(span, format!("key {why}")).hint(ALLOWED_KEYS))?;
    let id = file.string(action, "a binding")?;
    let command = match id {
        "" | "none" => None,
        _ => Some(Command::parse(id).ok_or_else(|| {
            let ids: Vec<&str> = Command::ALL.iter().map(|command| command.id()).collect();
            file.unknown(&action.span(), "command", id, &ids, "allowed")
        })?),
    };
    let refuse = |why: &str, hint: &str| Err::<Entry, Error>(file.error(span, why).hint(hint));
    let suspends = command == Some(Command::AppSuspend);
    if keys.contains(&SUSPEND) != suspends || (suspends && keys.len() > 1) {
        return refuse(
            "ctrl-z always suspends, and nothing else does",
            "leave ctrl-z and app.suspend out of the file",
        );
    }
    if keys[0].code == Code::Esc && keys.len() > 1 {
        return refuse("esc cannot start a sequence: it answers at once", "use another first key");
    }
    if keys == [Key::plain(Code::Esc)] && command == Some(Command::AppQuit) {
        return refuse(
            "esc goes back and never leaves the console",
            "bind app.quit to another key",
        );
    }
    if context.is_text() && command.is_some() && keys[0].is_printable() {
        let why = format!("[{context}] holds a text field, and {} is typed into it", keys[0]);
        return refuse(&why, "allowed here: keys with ctrl- or alt-, and keys that are no text");
    }
    Ok(Entry { context, keys, command, span: span.clone() })
}

/// The same key twice in one section, also when it is written in two ways.
fn refuse_duplicates(file: &SourceFile<'_>, entries: &[Entry]) -> Result<()> {
    let mut seen: BTreeMap<(Context, &[Key]), &Entry> = BTreeMap::new();
    for entry in entries {
        if let Some(first) = seen.insert((entry.context, &entry.keys), entry) {
            let keys = write_sequence(&entry.keys);
            let line = file.line(&first.span);
            return Err(file
                .error(
                    &entry.span,
                    format!("{keys} is bound twice in [{}], first on line {line}", entry.context),
                )
                .hint("keep one of them; ctrl-i is tab, ctrl-m is enter and ctrl-[ is esc"));
        }
    }
    Ok(())
}

/// The file's own bindings, then the inherited ones that it does not replace.
fn merge(base: &Keymap, entries: &[Entry]) -> Keymap {
    let mut sections = BTreeMap::new();
    for context in Context::ALL {
        let own: Vec<&Entry> = entries.iter().filter(|entry| entry.context == *context).collect();
        let mut bindings: Vec<Binding> = own
            .iter()
            .map(|entry| Binding { keys: entry.keys.clone(), command: entry.command })
            .collect();
        let kept = base.section(*context);
        let kept = kept.filter(|binding| own.iter().all(|entry| entry.keys != binding.keys));
        bindings.extend(kept.cloned());
        sections.insert(*context, bindings);
    }
    Keymap { sections }
}

/// A key that is bound and also starts a longer sequence would have to wait for a timeout.
fn refuse_prefixes(file: &SourceFile<'_>, keymap: &Keymap, entries: &[Entry]) -> Result<()> {
    for entry in entries.iter().filter(|entry| entry.command.is_some()) {
        for other in keymap.section(entry.context).filter(|other| other.command.is_some()) {
            let (mine, theirs) = (&entry.keys, &other.keys);
            if mine == theirs || !(mine.starts_with(theirs) || theirs.starts_with(mine)) {
                continue;
            }
            let (short, long) =
                if mine.len() < theirs.len() { (mine, theirs) } else { (theirs, mine) };
            let (short, long) = (write_sequence(short), write_sequence(long));
            return Err(file
                .error(&entry.span, format!("{short} is bound and also starts {long}"))
                .hint(format!("unbind one of them: \"{short}\" = \"none\"")));
        }
    }
    Ok(())
}

/// In every context some key must leave the console.
fn refuse_no_way_out(
    file: &SourceFile<'_>,
    base: &Keymap,
    keymap: &Keymap,
    entries: &[Entry],
) -> Result<()> {
    for context in Context::ALL {
        if !keymap.keys_for(*context, Command::AppQuit).is_empty() {
            continue;
        }
        let lost = |entry: &&Entry| {
            let quits = |place| base.reaches(place, &entry.keys, Command::AppQuit);
            entry.command != Some(Command::AppQuit) && (quits(entry.context) || quits(*context))
        };
        let span = entries.iter().rev().find(lost).map_or(0..0, |entry| entry.span.clone());
        let place =
            if *context == Context::Global { String::new() } else { format!(" in [{context}]") };
        return Err(file
            .error(&span, format!("app.quit has no key left{place}"))
            .hint("bind it in [global] to a key that is no text, such as ctrl-c"));
    }
    Ok(())
}
