//! What keys do: effects as data, places, overlays, pasted text, other keymaps and looks.

use std::time::Duration;

use tenantpilot::access::ClientKind;
use tenantpilot::domain::capability::CapabilitySet;
use tenantpilot::ops::auth::Login;
use tenantpilot::ops::platform::PlatformInfo;
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::app::App;
use tenantpilot::tui::keymap::Keymap;
use tenantpilot::tui::msg::{Effect, Msg};
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;
use tenantpilot::tui::theme::{self, Theme};

use crate::support::console::{Console, events, setup};
use crate::support::stores::{both_engines, noon};

fn press(app: &mut App, text: &str) -> Vec<Effect> {
    events(text).into_iter().flat_map(|event| app.update(Msg::Key(event), noon())).collect()
}

#[test]
fn fr_005_010_update_is_pure_and_says_what_it_wants_done() {
    let clock = tenantpilot::Clock::fixed(noon());
    let mut app = App::new(setup(80, 24, &clock));
    assert_eq!(app.start(), [Effect::ask(Slot::PLATFORM, PlatformInfo)]);
    let effects = press(&mut app, "ana<tab>secret<enter>");
    let password = tenantpilot::ops::password::secret("secret");
    assert_eq!(
        effects,
        [Effect::ask(Slot::SESSION, Login::with("ana", password, ClientKind::Console))]
    );
    // While the answer is on its way, enter does not ask again.
    assert_eq!(press(&mut app, "<enter>"), []);
    assert_eq!(press(&mut app, "<ctrl-l>"), [Effect::Repaint]);
    assert_eq!(press(&mut app, "<ctrl-z>"), [Effect::Suspend]);
    assert_eq!(press(&mut app, "<ctrl-c>"), [Effect::Quit]);
}

#[test]
fn fr_005_011_a_password_is_nowhere_in_what_can_be_printed() {
    let clock = tenantpilot::Clock::fixed(noon());
    let mut app = App::new(setup(80, 24, &clock));
    let effects = press(&mut app, "ana<tab>hunter22<enter>");
    assert_eq!(effects.len(), 1);
    assert!(!format!("{effects:?}").contains("hunter22"));
}

both_engines! {
    async fn fr_005_012_escape_goes_one_level_back_and_never_leaves(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("<enter>?").await;
        assert!(console.screen().contains("Keys in force"));
        console.keys("<esc>").await;
        assert!(console.screen().contains("Waiting: no executor for policy.sync."));
        console.keys("<esc>").await;
        assert!(console.screen().contains("CREATED UTC"));
        console.keys("<esc><esc><esc>").await;
        assert_eq!(console.outside, []);
        console.keys("q").await;
        assert_eq!(console.outside, [Effect::Quit]);
    }

    async fn fr_005_013_places_can_be_gone_back_to_and_forward(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("jjjjjj<enter>").await;
        assert!(console.screen().contains("▸ 3  policy.sync"), "{}", console.screen());
        console.keys("f").await;
        let screen = console.screen();
        assert!(screen.contains("reason:provider_throttled since:1d"), "{screen}");
        assert!(screen.contains("2 found"), "{screen}");
        console.keys("<esc>").await;
        assert!(console.screen().contains("▸ 3  policy.sync"), "one level back: {}", console.screen());
        console.keys("]").await;
        assert!(console.screen().contains("2 found"));
        console.keys("[").await;
        assert!(console.screen().contains("▸ 3  policy.sync"), "{}", console.screen());
        console.keys("]").await;
        assert!(console.screen().contains("2 found"));
        console.keys("[[").await;
        assert!(console.screen().contains("filter  none"));
    }

    async fn fr_005_014_pasted_text_goes_into_fields_only_and_never_submits(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.send(Msg::Paste("administrator\ny\n".to_owned())).await;
        assert!(console.app.session().is_none());
        assert!(console.screen().contains("administrator y"), "{}", console.screen());
        console.keys("<ctrl-u>").await;
        console.log_in("administrator").await;
        let before = console.app.tabs.operations.selected();
        console.send(Msg::Paste("q\nj\n".to_owned())).await;
        assert_eq!(console.outside, []);
        assert_eq!(console.app.tabs.operations.selected(), before);
        assert!(console.screen().contains("pasted text is taken only in a text field"));
        console.keys("/").await;
        console.send(Msg::Paste("x".repeat(1_000_000))).await;
        assert!(console.screen().contains("the paste was longer than the field and was cut off"));
    }

    async fn fr_005_015_help_and_footer_show_the_keys_of_the_keymap_in_force(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let text = "inherits = \"default\"\n[global]\n\"x\" = \"app.help\"\n\"?\" = \"none\"\n\"f1\" = \"none\"\n\
                    [operations]\n\"enter\" = \"none\"\n\"right\" = \"none\"\n\"l\" = \"none\"\n\"ctrl-o\" = \"row.open\"\n";
        let keymap = Keymap::parse("mine.toml", text).unwrap();
        let mut console = Console::with(&store.ops, Setup { keymap, ..setup(80, 24, &store.clock) }).await;
        console.log_in("administrator").await;
        let screen = console.screen();
        let footer = screen.lines().last().unwrap();
        assert!(footer.contains("ctrl-o open") && footer.contains("x help"), "{footer}");
        console.keys("x").await;
        let screen = console.screen();
        let opens = screen.lines().find(|line| line.contains("Open the selected row")).unwrap();
        assert!(opens.contains("ctrl-o") && !opens.contains("enter"), "{opens}");
        console.keys("<esc><enter>").await;
        assert!(console.screen().contains("CREATED UTC"), "enter is no longer bound");
        console.keys("<ctrl-o>").await;
        assert!(console.screen().contains("Waiting: no executor for policy.sync."));
    }

    async fn fr_003_006_the_console_does_not_ask_again_for_what_was_denied(store) {
        let store = store.with_scene().await;
        let admin = store.administrator().await;
        let held = CapabilitySet::from_names(&["platform.access_system_panel".to_owned()]);
        store.user_with(&admin, "guest", held, &[]).await;
        let denied = "select count(*) from audit_logs where status = 'denied'";
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("guest").await;
        let rows = store.number(denied).await;
        assert!(rows > 0);
        for _ in 0..3 {
            store.pass(60);
            console.poll().await;
        }
        assert!(console.screen().contains("platform.ops.view"), "{}", console.screen());
        assert_eq!(store.number(denied).await, rows);
        // It is asked again where the person does.
        store.sql("update platform_users set capabilities = '[\"platform.access_system_panel\",\"platform.ops.view\"]' \
            where username = 'guest'").await.unwrap();
        console.keys("r").await;
        assert!(console.screen().contains("policy.sync"), "{}", console.screen());
        assert!(console.app.subscriptions().iter().any(|sub| sub.slot == Slot::LIST));
    }

    async fn fr_005_016_without_colour_states_are_told_by_glyph_and_word(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let plain = Setup { colors: ColorSupport::None, ascii: true, ..setup(80, 24, &store.clock) };
        let mut console = Console::with(&store.ops, plain).await;
        console.log_in("administrator").await;
        let screen = console.screen();
        for label in [". no executor", "> 37 %", "! no executor", "- cancelled", "# blocked", "~ partial", "x failed", "+ succeeded"] {
            assert!(screen.contains(label), "{label} in {screen}");
        }
        let column = |text: &str| screen.lines().find_map(|line| line.find(text));
        for label in [". no executor", "! no executor", "x failed"] {
            assert_eq!(column(label), column("STATE"), "{label} in {screen}");
        }
        assert!(screen.is_ascii(), "{screen}");
        let styles = console.styles();
        for colour in ["Red", "Green", "Yellow", "Blue", "Cyan", "Magenta", "#"] {
            let found = styles.lines().any(|line| line.rsplit('"').next().unwrap().contains(colour));
            assert!(!found, "{colour} in {styles}");
        }
        assert!(styles.contains("REVERSED"), "the cursor is still seen: {styles}");
        console.keys("jj<enter>z?").await;
        assert!(console.screen().is_ascii());
    }

    async fn fr_005_017_fr_045_005_every_theme_can_be_stepped_through_from_the_one_shown(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let mut looks = std::collections::BTreeSet::new();
        let mut round = theme::EMBEDDED.to_vec();
        round.rotate_left(1);
        for (name, _) in round {
            console.keys("T").await;
            assert!(console.screen().contains(&format!("theme {name}")));
            looks.insert(console.styles());
            assert!(Theme::embedded(name).is_ok());
        }
        assert_eq!(looks.len(), theme::EMBEDDED.len());
        // It begins at the theme that is set, and one of one's own is part of the round.
        let light = theme::EMBEDDED.iter().position(|(name, _)| *name == "light").unwrap();
        let text = theme::EMBEDDED[0].1.replacen("red", "blue", 1);
        let own = Theme::parse("own", &text).unwrap();
        for (theme, next) in [(Theme::embedded("light").unwrap(), theme::EMBEDDED[light + 1].0), (own, theme::EMBEDDED[0].0)] {
            let with = Setup { theme, ..setup(80, 24, &store.clock) };
            let mut console = Console::with(&store.ops, with).await;
            console.log_in("administrator").await;
            console.keys("j").await;
            let first = console.styles();
            console.keys("T").await;
            assert!(console.screen().contains(&format!("theme {next}")), "{}", console.screen());
            for _ in 0..theme::EMBEDDED.len() {
                console.keys("T").await;
            }
            let again = next == theme::EMBEDDED[0].0;
            assert_eq!(console.screen().contains("theme of the settings"), again);
            console.keys("kj").await;
            assert_eq!(console.styles() == first, again);
        }
    }

    async fn fr_005_018_too_small_says_the_size_and_a_storm_of_resizes_is_survived(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        let wanted = console.screen();
        for (width, height) in [(1, 1), (20, 5), (500, 200), (59, 24), (80, 14), (60, 15), (0, 0), (3, 300), (300, 3)] {
            console.send(Msg::Resize(width, height)).await;
            let screen = console.screen();
            if width == 20 {
                let lines: Vec<&str> = screen.lines().take(3).map(str::trim_end).collect();
                assert_eq!(lines, ["20x5 is too small", "60x15 is needed", "q quits"]);
            }
            console.keys("jk<enter><esc>").await;
            console.screen();
        }
        console.send(Msg::Resize(80, 24)).await;
        console.keys("g").await;
        let tabs_differ = |text: &str| text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(tabs_differ(&console.screen()), tabs_differ(&wanted));
    }

    async fn fr_005_019_keys_never_wait_for_an_answer(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        // No answer is taken in between: everything here is done from what is held.
        console.keys_at_once("jjjj?<esc>:<esc>/status:failed<esc>kk");
        assert_eq!(console.app.tabs.operations.selected(), Some(7));
        console.keys_at_once("q");
        assert_eq!(console.outside, [Effect::Quit]);
        console.settle().await;
    }

    async fn fr_005_020_copying_sends_the_id_and_says_so(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("jy").await;
        assert_eq!(console.outside, [Effect::Copy("8".to_owned())]);
        assert!(console.screen().contains("8 sent to the terminal's clipboard"));
        store.pass(5);
        console.send(Msg::Tick).await;
        assert!(!console.screen().contains("clipboard"), "a notice goes by itself");
        console.keys("y/").await;
        let screen = console.screen();
        assert!(screen.lines().last().unwrap().contains("enter accept"), "the next key ends it: {screen}");
    }
}

both_engines! {
    async fn fr_005_035_the_wheel_moves_and_clicks_select_open_and_change_tabs(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.send(Msg::Wheel { up: false }).await;
        assert_eq!(console.app.tabs.operations.selected(), Some(6));
        console.send(Msg::Wheel { up: true }).await;
        assert_eq!(console.app.tabs.operations.selected(), Some(9));
        // The fourth row; then nothing, below the rows; then the fourth row again.
        for (row, selected) in [(8, Some(6)), (20, Some(6)), (4, Some(6))] {
            console.send(Msg::Click { column: 5, row }).await;
            assert_eq!(console.app.tabs.operations.selected(), selected);
            assert!(console.screen().contains("CREATED UTC"), "still the list");
        }
        console.send(Msg::Click { column: 5, row: 8 }).await;
        assert!(console.screen().contains("▸ 6  backup.snapshot"), "{}", console.screen());
        console.send(Msg::Click { column: 16, row: 1 }).await;
        assert!(console.screen().contains("CREATED UTC"));
    }
}

#[test]
fn fr_005_021_polling_stays_within_its_bounds() {
    let clock = tenantpilot::Clock::fixed(noon());
    let mut app = App::new(setup(80, 24, &clock));
    for _ in 0..20 {
        app.command(tenantpilot::tui::command::Command::PollFaster);
    }
    assert_eq!(
        app.poll_every(),
        Duration::from_secs(2),
        "there is nothing to poll before the login"
    );
}
