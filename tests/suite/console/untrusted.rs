//! Who may see what, and text from outside that wants to be more than text.

use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::ops::Consent;
use tenantpilot::ops::users::SetActive;

use crate::support::console::Console;
use crate::support::stores::both_engines;

both_engines! {
    async fn fr_005_022_names_and_messages_full_of_control_characters_are_shown_visibly(store) {
        let store = store.with_scene().await;
        let nasty = "\\u001b]0;owned\\u0007\\u202egnp.exe\\u200b\\u0301\\u0301\\u0301\\u0301\\u0301\\u0301";
        let decoded: String = serde_json::from_str(&format!("\"{nasty}\"")).unwrap();
        store.sql(&format!("update tenants set name = '{decoded}' where id = 1")).await.unwrap();
        store.sql(&format!("update users set name = '{decoded}' where id = 1")).await.unwrap();
        store.sql(&format!("update operation_runs set initiator_name = '{decoded}', context = '{{\"inputs\": {{\"a\": \"{nasty}\"}}}}'")).await.unwrap();
        store.sql(&format!("update operation_run_failures set message = '{decoded}'")).await.unwrap();
        store.administrator().await;
        let mut console = Console::open(&store.ops, 200, 50).await;
        console.log_in("administrator").await;
        for keys in ["jj", "<enter>z", "<pgdn>", "<esc>/tenant:<tab>", "<esc>jj<enter>z"] {
            console.keys(keys).await;
            let screen = console.screen();
            let bad = screen.chars().find(|c| (c.is_control() && *c != '\n') || tenantpilot::domain::safe_text::is_unseen(*c));
            assert_eq!(bad, None, "{screen}");
        }
        console.keys("<esc>g").await;
        assert!(console.screen().contains("gnp.exe") && console.screen().contains('\u{fffd}'), "{}", console.screen());
    }

    async fn fr_005_023_a_session_that_has_ended_goes_back_to_the_login_and_shows_nothing(store) {
        let store = store.with_scene().await;
        let administrator = store.administrator().await;
        store.user(&administrator, Role::Viewer).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("viewer").await;
        assert!(console.screen().contains("inventory.sync"));
        let disable = SetActive { username: "viewer".to_owned(), active: false, consent: Consent::typed("viewer".to_owned()) };
        store.ops.run(&administrator.actor, disable).await.unwrap();
        console.poll().await;
        let screen = console.screen();
        assert!(screen.contains("Log in") && screen.contains("your session has ended"), "{screen}");
        assert!(!screen.contains("inventory.sync"), "{screen}");
        assert!(console.app.tabs.operations.rows().is_empty());
    }

    async fn fr_005_024_a_missing_capability_is_named_and_shows_no_row(store) {
        let store = store.with_scene().await;
        let administrator = store.administrator().await;
        let few: CapabilitySet = [Capability::AccessSystemPanel].into_iter().collect();
        store.user_with(&administrator, "newcomer", few, &[]).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("newcomer").await;
        let screen = console.screen();
        assert!(screen.contains("platform.ops.view"), "{screen}");
        assert!(!screen.contains("inventory.sync"), "{screen}");
    }

    async fn fr_005_025_a_restricted_view_shows_its_workspaces_only(store) {
        let store = store.with_scene().await;
        let administrator = store.administrator().await;
        store.user_with(&administrator, "partial", Role::Viewer.capabilities(), &[2]).await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("partial").await;
        let screen = console.screen();
        assert!(screen.contains("Fabrikam") && !screen.contains("Contoso"), "{screen}");
        assert!(screen.contains("active 1 "), "{screen}");
        console.keys("/tenant:Con<tab><enter>").await;
        assert!(!console.screen().contains("Contoso DE"), "{}", console.screen());
    }

    async fn fr_005_026_the_failed_run_says_what_why_and_what_next_first(store) {
        let store = store.with_scene().await;
        store.administrator().await;
        let mut console = Console::open(&store.ops, 80, 24).await;
        console.log_in("administrator").await;
        console.keys("/status:failed<enter><enter>").await;
        let screen = console.screen();
        let place = |text: &str| screen.find(text).unwrap_or_else(|| panic!("{text} in {screen}"));
        let reason = ReasonCode::ProviderThrottled;
        let next: String = reason.next_step().split_whitespace().take(3).collect::<Vec<_>>().join(" ");
        let order = ["All 4 items failed, for one reason", "provider_throttled", "why:", "retry:", &next, "counts", "timeline", "targets 1"];
        let places: Vec<usize> = order.iter().map(|text| place(text)).collect();
        assert!(places.is_sorted(), "{screen}");
    }
}
