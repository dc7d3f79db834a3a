//! What the rest of a sequence looks like whose beginning was taken for something else.

use super::{CTRL_C, PASTE_END, PASTE_START};

/// Whether bytes that came together are what a sequence looks like after its ESC. Two keys can
/// look like that too, but are hardly ever read together.
pub(super) fn is_late_rest(bytes: &[u8]) -> bool {
    match bytes {
        [b'[', rest @ ..] => {
            let body = rest.iter().take_while(|byte| matches!(byte, b' '..=b'?')).count();
            rest.get(body).is_some_and(|end| matches!(end, b'@'..=b'~'))
        }
        [b'O', key, ..] => matches!(key, b'A'..=b'D' | b'F' | b'H' | b'P'..=b'S'),
        [b']' | b'P', next, ..] => matches!(next, b'0'..=b'9' | b'>' | b'+' | b'$' | b'!'),
        [b'_', _, ..] => true,
        // Others of this kind begin with a key that is typed.
        [b'#' | b'%' | b'(' | b')', b'0'..=b'~', ..] => true,
        _ => false,
    }
}

/// Whether `byte` goes on with what `begun` began after an ESC that was taken as the key.
pub(super) fn continues_late(begun: u8, byte: u8) -> bool {
    match begun {
        b'[' => matches!(byte, b'0'..=b'?') || is_late_rest(&[begun, byte]),
        _ => is_late_rest(&[begun, byte]),
    }
}

/// Whether bytes end a sequence that was cut after `held`, as terminals end theirs.
pub(super) fn is_late_final(held: &[u8], bytes: &[u8]) -> bool {
    let body = bytes.iter().take_while(|byte| matches!(byte, b'0'..=b'?')).count();
    let parameters = !held.is_empty() || body > 0;
    match bytes.get(body) {
        Some(b'A'..=b'H' | b'P'..=b'S' | b'Z') => true,
        Some(b'~' | b'M' | b'c' | b'm' | b'n' | b't' | b'u' | b'y') => parameters,
        _ => false,
    }
}

/// Where a paste ends whose start was lost: everything before the end is pasted text.
pub(super) fn headless_paste(bytes: &[u8]) -> Option<usize> {
    let find = |what: &[u8]| bytes.windows(what.len()).position(|part| part == what);
    let end = find(PASTE_END)?;
    let whole = find(PASTE_START).is_some_and(|start| start < end);
    (end > 0 && !whole && !bytes[..end].contains(&CTRL_C)).then_some(end)
}
