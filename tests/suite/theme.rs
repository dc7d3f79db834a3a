//! Themes: specs/006-themes-and-keymaps.

use ratatui::style::{Color, Modifier, Style};
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::theme::{EMBEDDED, Role, Theme};

const SUPPORTS: [ColorSupport; 4] =
    [ColorSupport::None, ColorSupport::Ansi16, ColorSupport::Ansi256, ColorSupport::True];

fn refused(text: &str) -> String {
    let error = Theme::parse("mine.toml", text).expect_err("must be refused");
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

/// Strongly more red or green than anything else.
fn is_red_or_green(color: Option<Color>) -> bool {
    match color {
        Some(Color::Red | Color::LightRed | Color::Green | Color::LightGreen) => true,
        Some(Color::Rgb(r, g, b)) => {
            let (r, g, b) = (u32::from(r), u32::from(g), u32::from(b));
            r > 2 * g.max(b) || g > 2 * r.max(b)
        }
        Some(Color::Indexed(index)) if index >= 16 => {
            let (r, g, b) = ((index - 16) / 36, (index - 16) / 6 % 6, (index - 16) % 6);
            index < 232 && (r > 2 * g.max(b) || g > 2 * r.max(b))
        }
        _ => false,
    }
}

#[test]
fn fr_006_020_every_embedded_theme_gives_every_role_and_tells_failure_from_success() {
    let names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["default", "light", "high-contrast", "colour-blind", "monochrome"]);
    for name in names {
        let theme = Theme::embedded(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        for support in SUPPORTS {
            let theme = theme.downgrade(support);
            let failed = theme.style(Role::Failed);
            assert_ne!(failed, theme.style(Role::Success), "{name} {support:?}");
            assert_ne!(failed, theme.style(Role::Running), "{name} {support:?}");
            assert_ne!(theme.style(Role::Live), theme.style(Role::Lost), "{name} {support:?}");
            assert_ne!(theme.style(Role::Tab), theme.style(Role::TabActive), "{name} {support:?}");
            assert_ne!(theme.style(Role::Selected), theme.style(Role::Text), "{name} {support:?}");
        }
    }
}

#[test]
fn fr_006_021_the_colour_blind_theme_needs_neither_red_nor_green() {
    let theme = Theme::embedded("colour-blind").expect("theme");
    let environments = Role::EnvironmentRed as usize;
    for support in SUPPORTS {
        let theme = theme.downgrade(support);
        for role in Role::ALL.iter().filter(|role| (**role as usize) < environments) {
            let style = theme.style(*role);
            assert!(!is_red_or_green(style.fg), "{role:?} {support:?} {style:?}");
            assert!(!is_red_or_green(style.bg), "{role:?} {support:?} {style:?}");
        }
    }
}

#[test]
fn fr_006_022_the_monochrome_theme_has_no_colour() {
    let theme = Theme::embedded("monochrome").expect("theme");
    for role in Role::ALL {
        assert_eq!((theme.style(*role).fg, theme.style(*role).bg), (None, None), "{role:?}");
    }
}

#[test]
fn fr_006_023_the_default_theme_uses_the_terminals_own_colours_and_background() {
    let theme = Theme::embedded("default").expect("theme");
    for role in Role::ALL {
        let style = theme.style(*role);
        assert!(!matches!(style.fg, Some(Color::Rgb(..) | Color::Indexed(_))), "{role:?}");
        assert_eq!(style.bg, None, "{role:?}");
    }
}

#[test]
fn fr_006_024_without_colour_bold_and_reverse_carry_the_state() {
    for (name, _) in EMBEDDED {
        let theme = Theme::embedded(name).expect(name).downgrade(ColorSupport::None);
        for role in Role::ALL {
            let style = theme.style(*role);
            assert_eq!((style.fg, style.bg), (None, None), "{name} {role:?}");
        }
        for role in [Role::Lost, Role::Banner, Role::Selected, Role::EnvironmentRed] {
            let reversed = theme.style(role).add_modifier.contains(Modifier::REVERSED);
            assert!(reversed, "{name} {role:?}");
        }
    }
}

#[test]
fn fr_006_025_colour_support_comes_from_the_environment() {
    let detect = |pairs: &[(&str, &str)]| {
        ColorSupport::detect(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    };
    let full = [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")];
    assert_eq!(detect(&full), ColorSupport::None);
    assert_eq!(detect(&full[..2]), ColorSupport::True);
    assert_eq!(detect(&full[..1]), ColorSupport::Ansi256);
    assert_eq!(detect(&[("TERM", "xterm"), ("NO_COLOR", "")]), ColorSupport::Ansi16);
    assert_eq!(detect(&[("TERM", "dumb"), ("COLORTERM", "truecolor")]), ColorSupport::None);
    assert_eq!(detect(&[("TERM", "vt100")]), ColorSupport::None);
}

#[test]
fn fr_006_026_colours_become_the_nearest_a_terminal_has() {
    let text = "inherits = \"default\"\n[palette]\nleaf = \"#00d700\"\n[roles]\nsuccess = { fg = \"leaf\", bg = 16 }\nfailed = 196\n";
    let theme = Theme::parse("mine.toml", text).expect("valid");
    let style = |support| theme.downgrade(support).style(Role::Success);
    assert_eq!(style(ColorSupport::True).fg, Some(Color::Rgb(0, 0xd7, 0)));
    assert_eq!(style(ColorSupport::Ansi256).fg, Some(Color::Indexed(40)));
    assert_eq!(style(ColorSupport::Ansi16).fg, Some(Color::Green));
    assert_eq!(style(ColorSupport::Ansi16).bg, Some(Color::Black));
    assert_eq!(style(ColorSupport::None), Style::new().add_modifier(Modifier::REVERSED));
    let failed = theme.downgrade(ColorSupport::Ansi16).style(Role::Failed);
    assert_eq!(failed.fg, Some(Color::LightRed));
}

#[test]
fn fr_006_027_theme_errors_name_file_line_reason_and_what_is_allowed() {
    for (text, parts) in [
        ("[rules]\n", &["mine.toml line 1", "unknown key \"rules\"", "did you mean \"roles\""][..]),
        (
            "[roles]\n\nsucess = 1\n",
            &["line 3", "role \"sucess\"", "did you mean \"success\"", "failed"],
        ),
        (
            "[roles]\nfailed = \"rad\"\n",
            &["line 2", "colour \"rad\"", "did you mean \"red\"", "#rrggbb"],
        ),
        ("[roles]\nfailed = \"#12345\"\n", &["line 2", "\"#12345\" is no colour", "six"]),
        ("[roles]\nfailed = \"#+12345\"\n", &["line 2", "is no colour"]),
        ("[roles]\nfailed = 256\n", &["line 2", "256 is no colour", "0 to 255"]),
        ("[roles]\nfailed = -1\n", &["line 2", "-1 is no colour"]),
        ("[roles]\nfailed = true\n", &["line 2", "must be a string", "boolean"]),
        (
            "[roles]\nfailed = { fgg = 1 }\n",
            &["line 2", "key \"fgg\"", "did you mean \"fg\"", "underline"],
        ),
        ("[roles]\nfailed = { bold = 1 }\n", &["line 2", "bold must be true or false"]),
        ("[palette]\nred = \"#ff0000\"\n", &["line 2", "already a colour's name"]),
        ("[palette]\na = \"b\"\nb = 1\n", &["line 2", "unknown colour \"b\""]),
        ("inherits = \"dark\"\n", &["line 1", "unknown theme \"dark\"", "monochrome"]),
        ("[roles]\nfailed = 1\n", &["line 1", "no style for: text, muted", "inherits"]),
        ("[roles\n", &["line 1", "not valid TOML"]),
    ] {
        let message = refused(text);
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
}

#[test]
fn fr_006_028_a_users_theme_comes_before_the_embedded_one_and_builds_on_it() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("light.toml");
    std::fs::write(&path, "inherits = \"light\"\n[roles]\nfailed = \"magenta\"\n").expect("write");
    let mine = Theme::load("light", Some(dir.path())).expect("mine");
    let embedded = Theme::load("light", None).expect("embedded");
    assert_eq!(mine.style(Role::Failed).fg, Some(Color::Magenta));
    assert_eq!(mine.style(Role::Success), embedded.style(Role::Success));
    assert_ne!(mine.style(Role::Failed), embedded.style(Role::Failed));
    assert_eq!(Theme::load(path.to_str().expect("utf-8"), None).expect("path"), mine);
    let unknown = Theme::load("dark", None).expect_err("unknown").to_string();
    assert!(unknown.contains("\"dark\"") && unknown.contains("high-contrast"), "{unknown}");
}
