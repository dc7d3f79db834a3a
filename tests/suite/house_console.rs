//! The structure of the console: what names what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tenantpilot::tui::command::Command;
use tenantpilot::tui::tabs::Tab;

use crate::house::{files, read, rust_files};

#[test]
fn fr_052_003_only_screens_and_the_rules_around_asking_name_an_operation() {
    let around = ["app/front", "link/writes", "msg", "runner/requests"];
    let names = |path: &PathBuf| {
        let text = read(path);
        text.contains("AnyOperation::") || text.contains("AnyOutput::")
    };
    let is_screen = |path: &PathBuf| {
        ["screens", "widgets"].iter().any(|part| path.starts_with(format!("src/tui/{part}")))
    };
    let found = rust_files("src/tui").into_iter().filter(|path| !is_screen(path) && names(path));
    let found: BTreeSet<PathBuf> = found.collect();
    let around = around.map(|name| PathBuf::from(format!("src/tui/{name}.rs")));
    assert_eq!(found, BTreeSet::from(around));
}

#[test]
fn fr_052_006_a_dialog_is_named_outside_of_its_file_only_where_it_is_opened() {
    let sources: Vec<(PathBuf, String)> =
        rust_files("src/tui").into_iter().map(|path| (path.clone(), read(&path))).collect();
    let is_dialog = |path: &PathBuf| path.starts_with("src/tui/screens/dialogs");
    let mut dialogs = BTreeSet::new();
    let mut opened = 0;
    for (own, text) in sources.iter().filter(|(path, _)| is_dialog(path)) {
        for name in text.lines().filter_map(|line| line.strip_prefix("impl Screen for ")) {
            let name = name.trim_end_matches(" {").to_owned();
            for (path, text) in sources.iter().filter(|(path, _)| path != own) {
                let module = own.file_stem().unwrap().to_str().unwrap();
                if !text.contains(&format!("{module}::")) {
                    continue;
                }
                let names = |line: &&str| {
                    let line = format!(" {line}");
                    [format!(" {name}::"), format!("({name}::"), format!("({name} {{")]
                        .iter()
                        .any(|made| line.contains(made))
                };
                for line in text.lines().filter(names) {
                    assert!(line.contains("push("), "{}: {line}", path.display());
                    opened += 1;
                }
            }
            dialogs.insert(name);
        }
    }
    assert!(opened >= dialogs.len() && dialogs.contains("Confirm"), "{dialogs:?}");
}

#[test]
fn fr_052_007_only_the_table_names_a_tab_or_its_screen() {
    let table = PathBuf::from("src/tui/tabs.rs");
    let text = read(&table);
    // `Overview, overview: overview::Overview, ["Overview", "Overview", "Over"],`
    let row = |line: &str| -> Option<(String, String)> {
        let (tab, rest) = line.trim().split_once(", ")?;
        let (field, screen) = rest.split_once(": ")?;
        screen.starts_with(&format!("{field}::")).then(|| (tab.to_owned(), field.to_owned()))
    };
    let rows: Vec<(String, String)> = text.lines().filter_map(row).collect();
    assert_eq!(rows.len(), Tab::ALL.len(), "{text}");
    for (tab, field) in rows {
        let named = [format!(" Tab::{tab}"), format!("(Tab::{tab}"), format!("tabs.{field}")];
        let outside = rust_files("src/tui").into_iter().filter(|path| *path != table);
        for path in outside.filter(|path| !path.starts_with("src/tui/screens")) {
            let text = read(&path);
            assert!(!named.iter().any(|name| text.contains(name)), "{tab}: {}", path.display());
            assert!(!text.contains(&format!("screens::{field}::")), "{tab}: {}", path.display());
        }
    }
}

/// The paths that a `use` names: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn named_paths(tree: &str) -> Vec<String> {
    let Some((head, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or(tree).to_owned()];
    };
    let body = rest.rsplit_once('}').map_or(rest, |(body, _)| body);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in body.chars() {
        match c {
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.flat_map(|part| named_paths(&part)).map(|path| format!("{head}{path}")).collect()
}

/// What each file of the console, or folder that is one idea, uses of the others.
fn ideas_of_the_console() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new("src/tui");
    let modules: BTreeMap<Vec<String>, String> = rust_files("src/tui")
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().with_extension("");
            let mut parts: Vec<String> =
                name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            parts.pop_if(|last| last == "mod");
            (parts, read(path))
        })
        .collect();
    let module = |path: &[String]| -> Vec<String> {
        let longest = (0..=path.len()).rev().map(|n| &path[..n]);
        longest.into_iter().find(|path| modules.contains_key(*path)).unwrap_or_default().to_vec()
    };
    // A screen, a dialog and a widget are one each; else a folder is.
    let idea = |module: &[String]| -> String {
        let parts: Vec<&str> = module.iter().map(String::as_str).collect();
        let depth = match parts.as_slice() {
            ["screens", "dialogs", ..] => 3,
            ["screens" | "widgets", ..] => 2,
            _ => 1,
        };
        parts[..depth.min(parts.len())].join("/")
    };
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (own, text) in &modules {
        let code: String = text.split("#[cfg(test)]").next().unwrap().lines().collect();
        for statement in code.split(';').filter_map(|part| part.rsplit_once("use ")) {
            for path in named_paths(&statement.1.replace(' ', "")) {
                let parts: Vec<String> = path.split("::").map(str::to_owned).collect();
                let above = parts.iter().take_while(|part| *part == "super").count();
                let full = match (parts.as_slice(), above) {
                    ([first, second, rest @ ..], _) if first == "crate" && second == "tui" => {
                        rest.to_vec()
                    }
                    (_, 1..) => [&own[..own.len().saturating_sub(above)], &parts[above..]].concat(),
                    _ => continue,
                };
                uses.entry(idea(own)).or_default().insert(idea(&module(&full)));
            }
        }
    }
    for (own, used) in &mut uses {
        used.retain(|other| other != own && !other.is_empty());
    }
    uses
}

#[test]
fn fr_052_011_no_two_ideas_of_the_console_use_each_other() {
    let mut uses = ideas_of_the_console();
    assert!(uses["app"].contains("screen") && uses["screens"].contains("setup"), "{uses:?}");
    loop {
        let known: BTreeSet<String> = uses.keys().cloned().collect();
        let before = uses.len();
        uses.retain(|_, used| used.iter().any(|other| known.contains(other)));
        if uses.len() == before {
            break;
        }
    }
    let left: BTreeSet<String> = uses.keys().cloned().collect();
    for used in uses.values_mut() {
        used.retain(|other| left.contains(other));
    }
    assert!(uses.is_empty(), "in a circle, or using one: {uses:#?}");
}

#[test]
fn fr_052_012_a_tab_is_one_row_and_one_line_of_a_keymap() {
    let count = |folder: &str, what: &str| -> usize {
        files(folder).iter().map(|path| read(path).matches(what).count()).sum()
    };
    for tab in Tab::ALL {
        let id = format!("\"{}\"", Command::to(*tab).id());
        assert_eq!((count("src", &id), count("keymaps", &id)), (1, 1), "{id}");
        // Its commands and its context are named by its row, and where its screen says its own.
        let command = format!("{:?}", Command::to(*tab));
        assert_eq!(count("src", &format!("{command}, \"")), 1, "{command}");
    }
}
