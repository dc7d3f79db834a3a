//! Words for a shell, as commands that are shown have to spell them.

/// One word for a POSIX shell; what needs no quotes gets none.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_of_a_shell_as_they_went_in() {
        for text in [
            "plain",
            "BACKFILL 412",
            "",
            "it's $HOME `id` \\ \"x\"",
            "''",
            "a;b|c&d>e*",
            "-n",
            "~",
            "#",
            "Müller",
            "!x",
        ] {
            let line = format!("printf %s {}", quoted(text));
            let output =
                std::process::Command::new("/bin/sh").arg("-c").arg(&line).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{line}");
        }
    }
}
