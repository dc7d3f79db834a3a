//! Whether the locale has UTF-8, as the variables of POSIX say.

/// The variables of the character set, in their order of force.
const VARIABLES: [&str; 3] = ["LC_ALL", "LC_CTYPE", "LANG"];

/// Why the locale has no UTF-8: the variable and its value, or that none is set. None
/// where it has. `get` gives the value of a variable.
pub fn without_utf8(get: impl Fn(&str) -> Option<String>) -> Option<String> {
    let found = VARIABLES
        .iter()
        .find_map(|name| Some((name, get(name).filter(|value| !value.is_empty())?)));
    let Some((name, value)) = found else {
        return Some("no LANG, which is the locale C".to_owned());
    };
    let set = value.split('@').next().unwrap_or_default();
    let set = set.rsplit('.').next().unwrap_or_default().replace('-', "");
    (!set.eq_ignore_ascii_case("utf8")).then(|| format!("{name}={value}"))
}
