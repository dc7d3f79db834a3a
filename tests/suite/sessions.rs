//! Login, throttle, sessions.

use tenantpilot::ops::auth::WhoAmI;

use crate::support::stores::both_engines;

both_engines! {
    async fn fr_003_001_a_login_makes_a_session_that_knows_its_user(store) {
        let session = store.administrator().await;
        let again = store.ops.run(&session.actor, WhoAmI).await.unwrap();
        assert_eq!(again.username, "administrator");
    }
}
