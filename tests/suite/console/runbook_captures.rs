//! What an operator sees of the wizard, as text and as styles, step by step.

use tenantpilot::ops::plans::Counted;
use tenantpilot::term::ColorSupport;
use tenantpilot::tui::msg::{Answer, Msg};
use tenantpilot::tui::setup::Setup;
use tenantpilot::tui::slot::Slot;

use super::captures::capture;
use super::runbook_wizard::prepared;
use crate::support::console::{Console, setup};
use crate::support::stores::{Store, both_engines};

/// A platform with a name that is made to look like another.
async fn scene(store: Store) -> Store {
    let store = prepared(store).await;
    store.sql("insert into platform_settings values ('environment.label', 'PROD', '2026-11-01T00:00:00+00:00'), \
               ('environment.color', 'red', '2026-11-01T00:00:00+00:00')").await.unwrap();
    store
        .sql(
            "insert into tenants (id, workspace_id, name, is_platform, created_at) values \
               (10482, 2, 'C\u{43e}ntoso DE', false, '2026-11-01T00:00:00+00:00')",
        )
        .await
        .unwrap();
    store
}

both_engines! {
    async fn fr_020_023_every_step_is_readable_at_80x24_and_120x40(store) {
        let store = scene(store).await;
        for (width, height) in [(80, 24), (120, 40)] {
            let name = |step: &str| format!("{width}x{height}_wizard_{step}");
            let mut console = Console::open(&store.ops, width, height).await;
            console.log_in("administrator").await;
            console.keys("6").await;
            capture!(store, console, name("1_runbook"));
            console.keys("<enter><space>j<space>/fab").await;
            capture!(store, console, name("2_tenants_search"));
            console.keys("<enter><enter>").await;
            capture!(store, console, name("2_tenants_hidden"));
            console.keys("c<tab><space>").await;
            capture!(store, console, name("2_workspace"));
            console.keys("<tab><enter>").await;
            capture!(store, console, name("2_all"));
            console.keys("<esc>").await;
            capture!(store, console, name("2_discard"));
            console.keys("n<space>?").await;
            capture!(store, console, name("2_help"));
            console.keys("<esc>").await;
            console.keys_at_once("<enter>");
            let counted = Counted { done: 37, total: 412 };
            let answer = Answer::Counted(counted);
            console.app.update(Msg::Done { slot: Slot::PREFLIGHT, answer: Box::new(answer) }, store.clock.now());
            capture!(store, console, name("3_counting"));
            console.settle().await;
            capture!(store, console, name("3_plan"));
            console.keys("<enter><tab>lots<enter>").await;
            capture!(store, console, name("4_rollout"));
            console.keys("<ctrl-u>3<tab><ctrl-u>2<enter><tab><enter>").await;
            capture!(store, console, name("5_reason"));
            console.keys("<right><tab>legacy rows of the March import<enter>").await;
            capture!(store, console, name("6_confirm"));
            console.keys("BACKFILL 41<enter>").await;
            capture!(store, console, name("6_mistyped"));
            store.legacy_findings(&[4], 2).await;
            console.keys("<ctrl-u>BACKFILL 5<enter>").await;
            capture!(store, console, name("6_refused"));
            store.sql("delete from findings where tenant_id = 4").await.unwrap();
            console.keys("<ctrl-r>").await;
            store.pass(900);
            console.poll().await;
            capture!(store, console, name("3_expired"));
            store.pass(-900);
            console.keys("<esc><tab>c/10482<enter>u<space><enter>").await;
            capture!(store, console, name("3_nothing"));
            console.keys("<esc><esc>y<down><down><enter>soon<enter>").await;
            capture!(store, console, name("2_inputs"));
        }
    }

    async fn fr_020_024_it_is_readable_at_60x15_in_ascii_and_without_colour(store) {
        let store = scene(store).await;
        let setup = Setup { ascii: true, colors: ColorSupport::None, ..setup(60, 15, &store.clock) };
        let mut console = Console::with(&store.ops, setup).await;
        console.log_in("administrator").await;
        console.keys("6").await;
        let see = async |console: &mut Console, step: &str| {
            let screen = console.screen();
            let ours: String = screen.lines().filter(|line| !line.contains("mixes scripts")).collect();
            assert!(ours.is_ascii(), "{screen}");
            capture!(store, console, format!("60x15_ascii_wizard_{step}"));
        };
        see(&mut console, "1_runbook").await;
        console.keys("<enter><space>/fab<enter><enter>").await;
        see(&mut console, "2_hidden").await;
        console.keys("c<tab><tab><space><enter>").await;
        see(&mut console, "3_plan").await;
        console.keys("<enter><tab>lots<enter>").await;
        see(&mut console, "4_rollout").await;
        console.keys("<ctrl-u><enter><tab><enter>").await;
        see(&mut console, "5_reason").await;
        console.keys("<ctrl-u>d<tab>legacy rows<enter>").await;
        see(&mut console, "6_confirm").await;
        console.keys("<down><down><pgdn>").await;
        see(&mut console, "6_confirm_end").await;
        store.legacy_findings(&[4], 2).await;
        console.keys("BACKFILL 5<enter>").await;
        see(&mut console, "6_refused").await;
    }
}
