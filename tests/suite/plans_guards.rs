//! What keeps a start from doing harm: phrases, look-alikes, locks, capabilities, the flag for
//! customers; and that no change of the platform gets a start past its plan.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tenantpilot::ErrorKind;
use tenantpilot::access::Actor;
use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::confirmation::Given;
use tenantpilot::domain::run::Source;
use tenantpilot::ops::Consent;
use tenantpilot::ops::plans::{GetPlan, ListScopeTenants, ListScopeWorkspaces};
use tenantpilot::ops::runbooks::StartRunbook;
use tenantpilot::ops::runs::{CancelRun, RetryRun, RunScope, StartRun};

use crate::database::texts;
use crate::plans::{BACKFILL, Before, PRUNE, backfill, refused, runs, with_work};
use crate::support::starts::Wish;
use crate::support::starts::{because, given};
use crate::support::stores::{Store, both_engines};

/// What a backfill over a scope would change, tenant by tenant, told by plain SQL.
async fn model(store: &Store, scope: &RunScope) -> BTreeMap<i64, i64> {
    let within = match scope {
        RunScope::Tenant(id) => format!("t.id = {id}"),
        RunScope::Tenants(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!("t.id in ({})", ids.join(", "))
        }
        RunScope::Workspace(id) => format!("t.workspace_id = {id}"),
        _ => "1 = 1".to_owned(),
    };
    let rows = texts(
        store,
        &format!(
            "select t.id || ' ' || (select count(*) from findings f where f.tenant_id = t.id and f.status = 'open') \
             from tenants t join workspaces w on w.id = t.workspace_id where {within} and t.archived_at is null \
             and w.archived_at is null and not t.is_platform"
        ),
    )
    .await;
    rows.iter()
        .map(|row| {
            let (id, open) = row.split_once(' ').unwrap();
            (id.parse().unwrap(), open.parse().unwrap())
        })
        .collect()
}

/// One change of the platform, as others make them all the time.
fn change(rng: &mut StdRng, n: usize) -> String {
    let tenant = rng.random_range(1..=5);
    let workspace = if tenant <= 2 { 1 } else { 2 };
    let at = "'2026-11-01T00:00:00+00:00'";
    match rng.random_range(0..9) {
        0 => format!(
            "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, created_at, updated_at) \
             select t.workspace_id, t.id, 'more-{n}', 'A finding', 'low', 'open', {at}, {at} from tenants t where t.id = {tenant}"
        ),
        1 => format!(
            "delete from findings where tenant_id = {tenant} and recurrence_key = 'key-{tenant}-0'"
        ),
        2 => format!(
            "insert into findings (workspace_id, tenant_id, recurrence_key, title, severity, status, first_seen_at, last_seen_at, \
             times_seen, sla_days, due_at, created_at, updated_at) select t.workspace_id, t.id, 'fine-{n}', 'A finding', 'low', 'new', \
             {at}, {at}, 1, 30, {at}, {at}, {at} from tenants t where t.id = {tenant}"
        ),
        3 => format!("update tenants set archived_at = {at} where id = {tenant}"),
        4 => "update tenants set archived_at = null where id <> 8".to_owned(),
        5 => format!(
            "insert into tenants (id, workspace_id, name, created_at) values ({}, {workspace}, 'One more', {at})",
            100 + n
        ),
        6 => format!("update tenants set name = 'Renamed {n}' where id = {tenant}"),
        7 => format!("update tenants set archived_at = {at} where id >= 100"),
        _ => "update workspaces set archived_at = case when archived_at is null then created_at end where id = 2".to_owned(),
    }
}

both_engines! {
    async fn fr_019_005_no_change_of_the_platform_gets_a_start_past_its_plan(store) {
        let store = with_work(store, 2).await;
        store.sql("insert into tenants (id, workspace_id, name, created_at) values (5, 2, 'Fabrikam Sud', '2026-11-01T00:00:00+00:00')").await.unwrap();
        let admin = store.administrator().await;
        let mut rng = StdRng::seed_from_u64(41);
        let (mut held, mut named) = (0, 0);
        for round in 0..120 {
            let scope = match rng.random_range(0..4) {
                0 => RunScope::Tenant(rng.random_range(1..=5)),
                1 => RunScope::Tenants(vec![1, rng.random_range(2..=3), rng.random_range(4..=5)]),
                2 => RunScope::Workspace(rng.random_range(1..=2)),
                _ => RunScope::All,
            };
            let wish = backfill(scope.clone());
            // An archived tenant, or a workspace without any: no plan at all.
            let Ok(plan) = wish.plan(&store.ops, &admin.actor).await else {
                store.sql("update tenants set archived_at = null where id <> 8").await.unwrap();
                store.sql("update workspaces set archived_at = null").await.unwrap();
                continue;
            };
            let before = model(&store, &scope).await;
            assert_eq!(plan.affected_count, before.values().sum::<i64>(), "round {round}");
            for n in 0..rng.random_range(0..=3) {
                store.sql(&change(&mut rng, round * 4 + n)).await.unwrap();
            }
            let after = model(&store, &scope).await;
            let runs_before = runs(&store).await;
            match store.ops.run(&admin.actor, wish.start(&plan)).await {
                Ok(started) => {
                    assert_eq!(before, after, "round {round}: {scope:?}");
                    assert!(started.created && plan.affected_count > 0, "round {round}");
                    store.ops.run(&admin.actor, CancelRun { run_id: started.run_id, consent: crate::support::starts::sure("CANCEL", started.run_id) }).await.unwrap();
                    held += 1;
                }
                Err(error) => {
                    let refusal = matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound);
                    assert!(refusal, "round {round}: {error}");
                    assert_eq!(runs(&store).await, runs_before, "round {round}");
                    let plan = store.ops.run(&admin.actor, GetPlan { id: plan.id }).await.unwrap();
                    assert_eq!(plan.used_by_run_id, None);
                    if error.to_string().contains("changed since preflight") {
                        assert_ne!(before, after, "round {round}: {error}");
                        let differ = before.keys().chain(after.keys()).find(|id| before.get(id) != after.get(id));
                        let differ = format!("tenant {}", differ.unwrap());
                        assert!(error.to_string().contains(&differ), "{differ}: {error}");
                        named += 1;
                    } else if before == after {
                        assert!(plan.affected_count == 0, "round {round}: {error}");
                    }
                }
            }
        }
        assert!(held > 20 && named > 20, "it has to see both: {held} started, {named} named");
    }

    async fn fr_019_007_several_tenants_need_the_reason_and_the_exact_phrase(store) {
        let store = with_work(store, 1).await;
        let admin = store.administrator().await;
        let wish = backfill(RunScope::All);
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        let start = wish.start(&plan);
        let without = because(&start, None);
        let before = Before::of(&store).await;
        refused(&store, &before, store.ops.run(&admin.actor, without).await, ErrorKind::Usage, "needs a reason").await;
        let before = Before::of(&store).await;
        let silent = given(&start, Given::Nothing);
        refused(&store, &before, store.ops.run(&admin.actor, silent).await, ErrorKind::Usage, "BACKFILL 4").await;
        for wrong in ["", "BACKFILL", "BACKFILL 3", "backfill 4", "BACKFILL  4", " BACKFILL 4", "BACKFILL 4\n", "BACKFILL \u{ff14}", "y", "\u{412}ACKFILL 4"] {
            let wrong = given(&start, Given::Typed(wrong.to_owned()));
            let before = Before::of(&store).await;
            refused(&store, &before, store.ops.run(&admin.actor, wrong).await, ErrorKind::Refused, "type exactly: BACKFILL 4").await;
        }
        // 4 of 4 tenants named one by one are no way around.
        let named = backfill(RunScope::Tenants(vec![1, 2, 3, 4]));
        let plan = named.plan(&store.ops, &admin.actor).await.unwrap();
        let bare = given(&because(&named.start(&plan), None), Given::Nothing);
        let before = Before::of(&store).await;
        refused(&store, &before, store.ops.run(&admin.actor, bare).await, ErrorKind::Usage, "needs a reason").await;
        // One tenant needs no reason and no phrase; what is given has to be right.
        let one = backfill(RunScope::Tenant(1));
        let plan = one.plan(&store.ops, &admin.actor).await.unwrap();
        let wrong = given(&one.start(&plan), Given::Typed("BACKFILL 4".to_owned()));
        let before = Before::of(&store).await;
        refused(&store, &before, store.ops.run(&admin.actor, wrong).await, ErrorKind::Refused, "BACKFILL 1").await;
        let bare = given(&because(&one.start(&plan), None), Given::Nothing);
        let before = Before::of(&store).await;
        refused(&store, &before, store.ops.run(&admin.actor, bare.clone()).await, ErrorKind::Usage, "add: --yes").await;
        store.ops.run(&admin.actor, given(&bare, Given::Yes)).await.unwrap();
    }

    async fn fr_019_008_a_name_that_mixes_scripts_needs_its_id_typed(store) {
        let store = with_work(store, 1).await;
        // The o is a Cyrillic one.
        store.sql("update tenants set name = 'Cont\u{43e}so DE' where id = 2").await.unwrap();
        let admin = store.administrator().await;
        let one = backfill(RunScope::Tenant(2));
        let plan = one.plan(&store.ops, &admin.actor).await.unwrap();
        assert_eq!((plan.phrase.as_str(), plan.must_confirm), ("BACKFILL 1 ID 2", true));
        for confirm in [Given::Nothing, Given::Yes, Given::Typed("BACKFILL 1".to_owned()), Given::Typed("BACKFILL 1 ID 1".to_owned())] {
            let kind = if matches!(confirm, Given::Typed(_)) { ErrorKind::Refused } else { ErrorKind::Usage };
            let start = given(&one.start(&plan), confirm);
            let before = Before::of(&store).await;
            refused(&store, &before, store.ops.run(&admin.actor, start).await, kind, "BACKFILL 1 ID 2").await;
        }
        let several = backfill(RunScope::Tenants(vec![1, 2, 3])).plan(&store.ops, &admin.actor).await.unwrap();
        assert_eq!(several.phrase, "BACKFILL 3 ID 2");
        // A name that turns odd after the plan was shown.
        let plain = backfill(RunScope::Tenant(3));
        let shown = plain.plan(&store.ops, &admin.actor).await.unwrap();
        store.sql("update tenants set name = 'Fabrikam\u{a0}' where id = 3").await.unwrap();
        let before = Before::of(&store).await;
        let done = store.ops.run(&admin.actor, plain.start(&shown)).await;
        refused(&store, &before, done, ErrorKind::Refused, "changed since preflight").await;
        assert_eq!(plain.plan(&store.ops, &admin.actor).await.unwrap().phrase, "BACKFILL 1 ID 3");
        // A row that asks for less than it should, put there past the program.
        let text = format!(
            "insert into runbook_plans (runbook, scope_kind, scope, inputs, hash, affected_count, total_count, tenant_count, \
             fleet_count, phrase, must_confirm, expected_runs, platform_user_id, created_at, expires_at) \
             select runbook, scope_kind, scope, inputs, hash, affected_count, total_count, tenant_count, fleet_count, \
             'Y', false, expected_runs, platform_user_id, created_at, expires_at from runbook_plans where id = {}",
            plan.id
        );
        store.sql(&text).await.unwrap();
        let forged = store.number("select max(id) from runbook_plans").await;
        let copy = format!("insert into runbook_plan_targets select {forged}, ordinal, tenant_id, affected_count, total_count from runbook_plan_targets where plan_id = {}", plan.id);
        store.sql(&copy).await.unwrap();
        let start = StartRunbook { plan_id: forged, ..given(&one.start(&plan), Given::Yes) };
        let before = Before::of(&store).await;
        refused(&store, &before, store.ops.run(&admin.actor, start).await, ErrorKind::Refused, "changed since preflight").await;
        // Where nobody went by the name, it deceived nobody.
        for scope in [RunScope::All, RunScope::Workspace(1)] {
            let plan = backfill(scope).plan(&store.ops, &admin.actor).await.unwrap();
            assert!(!plan.phrase.contains("ID"), "{}", plan.phrase);
        }
        store.ops.run(&admin.actor, one.start(&plan)).await.unwrap();
    }

    async fn fr_019_009_runs_of_a_runbook_never_share_a_tenant_nor_the_place_of_many(store) {
        let store = with_work(store, 1).await;
        let admin = store.administrator().await;
        let first = backfill(RunScope::Tenants(vec![1, 2])).begin(&store.ops, &admin.actor).await.unwrap().run_id;
        let shares = format!("run {first} of {BACKFILL} is already at tenant 2 (Contoso FR)");
        let many = format!("run {first} of {BACKFILL} is already over many tenants");
        for (scope, told) in [
            (RunScope::Tenant(2), &shares),
            // Not one tenant is shared: still one run over many at a time.
            (RunScope::Tenants(vec![3, 4]), &many),
            (RunScope::Workspace(2), &many),
            (RunScope::All, &many),
        ] {
            let wish = backfill(scope);
            let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
            let before = Before::of(&store).await;
            let error = refused(&store, &before, store.ops.run(&admin.actor, wish.start(&plan)).await, ErrorKind::Refused, told).await;
            assert!(error.to_string().contains(&format!("runs show {first}")), "{error}");
        }
        // A tenant nobody is at is free, and another runbook is another matter.
        let beside = backfill(RunScope::Tenant(3)).begin(&store.ops, &admin.actor).await.unwrap();
        assert!(beside.created);
        let other = Wish::new(PRUNE, RunScope::Platform).begin(&store.ops, &Actor::System).await.unwrap();
        assert!(other.created);
        let sixty = Wish { inputs: json!({ "days": 60 }), ..Wish::new(PRUNE, RunScope::Platform) };
        let error = sixty.begin(&store.ops, &Actor::System).await.unwrap_err();
        assert!(error.to_string().contains(&format!("run {}", other.run_id)), "{error}");
        // A retry looks for the same lock.
        store.ops.run(&admin.actor, CancelRun { run_id: beside.run_id, consent: crate::support::starts::sure("CANCEL", beside.run_id) }).await.unwrap();
        store.ops.run(&admin.actor, CancelRun { run_id: first, consent: crate::support::starts::sure("CANCEL", first) }).await.unwrap();
        let all = backfill(RunScope::All).begin(&store.ops, &admin.actor).await.unwrap().run_id;
        let retry = RetryRun { run_id: beside.run_id, consent: Consent::yes(), source: Source::Console, request_id: None, wait_for_worker: true };
        let error = store.ops.run(&admin.actor, retry).await.unwrap_err();
        assert!(error.to_string().contains(&format!("run {all} of the same type is active")), "{error}");
        let told = "select count(*) from audit_logs where action = 'runs.retry' and status = 'refused'";
        assert_eq!(store.number(told).await, 1);
        // The active run itself is looked at, not started again, and not without a word.
        let again = backfill(RunScope::All).begin(&store.ops, &admin.actor).await.unwrap();
        assert_eq!((again.run_id, again.created), (all, false));
        let wish = backfill(RunScope::All);
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        for (start, kind, told) in [
            (because(&wish.start(&plan), None), ErrorKind::Usage, "needs a reason"),
            (given(&wish.start(&plan), Given::Typed("banana".to_owned())), ErrorKind::Refused, "BACKFILL 4"),
        ] {
            let before = Before::of(&store).await;
            refused(&store, &before, store.ops.run(&admin.actor, start).await, kind, told).await;
        }
        // The same scope by another plan, whose tenants are others by now.
        store.sql("update tenants set archived_at = '2026-11-20T00:00:00+00:00' where id = 4").await.unwrap();
        let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
        let before = Before::of(&store).await;
        let done = store.ops.run(&admin.actor, wish.start(&plan)).await;
        refused(&store, &before, done, ErrorKind::Refused, &format!("run {all} of {BACKFILL} is active on this scope")).await;
    }

    async fn fr_019_010_starts_of_the_same_second_make_one_run(store) {
        let store = with_work(store, 1).await;
        let admin = store.administrator().await;
        let mut people = vec![admin.actor.clone()];
        for name in ["ben", "cleo", "dan"] {
            people.push(store.user_with(&admin, name, Role::Operator.capabilities(), &[]).await.actor);
        }
        let same = |scope: RunScope| {
            let (people, store) = (&people, &store);
            async move {
                let mut starts = Vec::new();
                for n in 0..12 {
                    let actor = &people[n % people.len()];
                    let wish = backfill(scope.clone());
                    let plan = wish.plan(&store.ops, actor).await.unwrap();
                    starts.push((actor.clone(), wish.start(&plan)));
                }
                let tasks: Vec<_> = starts
                    .into_iter()
                    .map(|(actor, start)| {
                        let ops = store.ops.clone();
                        tokio::spawn(async move { ops.run(&actor, start).await })
                    })
                    .collect();
                let mut done = Vec::new();
                for task in tasks {
                    done.push(task.await.unwrap());
                }
                done
            }
        };
        let all = same(RunScope::All).await;
        let made = all.iter().filter(|done| done.as_ref().is_ok_and(|started| started.created)).count();
        assert_eq!(made, 1, "{all:?}");
        assert!(all.iter().all(|done| done.as_ref().is_ok_and(|started| started.run_id == 1)), "{all:?}");
        let told = "select count(*) from audit_logs where action = 'runbooks.start' and run_id = 1";
        assert_eq!(store.number(told).await, 12, "everybody who started it, with their reason");
        store.ops.run(&admin.actor, CancelRun { run_id: 1, consent: crate::support::starts::sure("CANCEL", 1) }).await.unwrap();
        // Different scopes that share tenants: one of them gets them, the others hear of it.
        let scopes = [
            RunScope::All, RunScope::Workspace(1), RunScope::Tenants(vec![2, 3]), RunScope::Tenants(vec![3, 4]),
            RunScope::Tenants(vec![1, 2, 3]), RunScope::Workspace(2),
        ];
        let mut tasks = Vec::new();
        for (n, scope) in scopes.into_iter().enumerate() {
            let actor = people[n % people.len()].clone();
            let wish = backfill(scope);
            let plan = wish.plan(&store.ops, &actor).await.unwrap();
            let (ops, start) = (store.ops.clone(), wish.start(&plan));
            tasks.push(tokio::spawn(async move { ops.run(&actor, start).await }));
        }
        let mut made = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(started) => made += i64::from(started.created),
                Err(error) => assert!(error.to_string().contains(BACKFILL), "{error}"),
            }
        }
        assert_eq!(made, 1);
        assert_eq!(runs(&store).await, 2);
    }

    async fn fr_019_010_request_ids_are_ones_own_and_the_systems_are_reserved(store) {
        let store = with_work(store, 1).await;
        let admin = store.administrator().await;
        let ben = store.user_with(&admin, "ben", Role::Operator.capabilities(), &[]).await;
        let start = async |actor: &Actor, id: &str| {
            let wish = Wish { request_id: Some(id.to_owned()), ..backfill(RunScope::Tenant(1)) };
            wish.begin(&store.ops, actor).await
        };
        for id in ["deploy:2026-03-import", "schedule:product_usage.prune:2026-11-20"] {
            let error = start(&ben.actor, id).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("reserved"), "{error}");
        }
        let made = start(&ben.actor, "mine").await.unwrap();
        store.ops.run(&admin.actor, CancelRun { run_id: made.run_id, consent: crate::support::starts::sure("CANCEL", made.run_id) }).await.unwrap();
        assert_eq!(start(&ben.actor, "mine").await.unwrap().run_id, made.run_id);
        let error = start(&admin.actor, "mine").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        let retry = RetryRun { run_id: made.run_id, consent: Consent::yes(), source: Source::Cli, request_id: Some("deploy:x".to_owned()), wait_for_worker: true };
        assert_eq!(store.ops.run(&admin.actor, retry).await.unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(runs(&store).await, 1);
    }

    async fn fr_019_011_capability_universe_and_view_are_checked_where_it_is_written(store) {
        let store = with_work(store, 1).await;
        let admin = store.administrator().await;
        let ben = store.user_with(&admin, "ben", Role::Operator.capabilities(), &[]).await;
        let wish = backfill(RunScope::Tenants(vec![1, 2]));
        // The runbook's own capability is missing at the moment of the start.
        let mut most: Vec<_> = Role::Operator.capabilities().iter().collect();
        most.retain(|capability| *capability != Capability::RunbookFindingsLifecycleBackfill);
        let plan = wish.plan(&store.ops, &ben.actor).await.unwrap();
        let less: CapabilitySet = most.into_iter().collect();
        let take = crate::support::starts::capabilities("ben", less);
        store.ops.run(&admin.actor, take).await.unwrap();
        let error = store.ops.run(&ben.actor, wish.start(&plan)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotLoggedIn, "the session ended with the change");
        let newest = texts(&store, "select action || ' ' || status || ' ' || actor_name from audit_logs order by id desc limit 1").await;
        assert_eq!(newest, ["runbooks.start denied ben"]);
        let ben = store.login("ben").await;
        let before = Before::of(&store).await;
        let told = "platform.runbooks.findings.lifecycle_backfill";
        refused(&store, &before, store.ops.run(&ben.actor, wish.start(&plan)).await, ErrorKind::Forbidden, told).await;
        // The platform's own tenant and archived ones, by id: no plan, and its line in the log.
        for (scope, told) in [
            (RunScope::Tenant(9), "platform's own"),
            (RunScope::Tenants(vec![1, 9]), "platform's own"),
            (RunScope::Tenant(8), "archived"),
            (RunScope::Tenant(777), "not found"),
            (RunScope::Tenants(Vec::new()), "no tenant was chosen"),
        ] {
            let error = backfill(scope).plan(&store.ops, &admin.actor).await.unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
            let newest = texts(&store, "select action || ' ' || status from audit_logs order by id desc limit 1").await;
            assert_eq!(newest, ["runbooks.preflight refused"]);
        }
        // Tenants that become archived, or the platform's own, after the plan was made.
        for text in [
            "update tenants set archived_at = '2026-11-20T00:00:00+00:00' where id = 2",
            "update workspaces set archived_at = '2026-11-20T00:00:00+00:00' where id = 1",
        ] {
            let wish = backfill(RunScope::Tenants(vec![2, 3]));
            let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
            store.sql(text).await.unwrap();
            let before = Before::of(&store).await;
            refused(&store, &before, store.ops.run(&admin.actor, wish.start(&plan)).await, ErrorKind::Refused, "tenant 2 is archived").await;
            store.sql("update tenants set archived_at = null where id = 2").await.unwrap();
        }
        store.sql("update workspaces set archived_at = null").await.unwrap();
        // A view that was narrowed meanwhile.
        let cleo = store.user_with(&admin, "cleo", Role::Operator.capabilities(), &[1]).await;
        let choices = ListScopeTenants { limit: 10, ..ListScopeTenants::default() };
        let seen = store.ops.run(&cleo.actor, choices.clone()).await.unwrap();
        assert_eq!((seen.allowed, seen.matching, seen.all_allowed), (2, 2, false));
        let all = store.ops.run(&admin.actor, choices).await.unwrap();
        let ids: Vec<_> = all.tenants.iter().map(|tenant| tenant.id).collect();
        assert_eq!((ids.as_slice(), all.all_allowed), (&[1, 2, 3, 4][..], true));
        let workspaces = ListScopeWorkspaces { limit: 10, ..ListScopeWorkspaces::default() };
        assert_eq!(store.ops.run(&cleo.actor, workspaces.clone()).await.unwrap().matching, 1);
        let both = store.ops.run(&admin.actor, workspaces).await.unwrap().workspaces;
        assert_eq!(both.iter().map(|w| (w.id, w.tenant_count)).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
    }

    async fn fr_019_012_customers_start_no_maintenance_while_the_flag_is_off(store) {
        let store = with_work(store, 1).await;
        let admin = store.administrator().await;
        let customer = Actor::Customer { user_id: 1 };
        let start = || StartRun::for_tenant(BACKFILL, 1, Source::Admin);
        let wish = Wish { source: Source::Admin, ..backfill(RunScope::Tenant(1)) };
        for flag in ["off", "TRUE", "1", ""] {
            let set = format!(
                "insert into platform_settings values ('allow_admin_maintenance_actions', '{flag}', '2026-11-01T00:00:00+00:00') \
                 on conflict (key) do update set value = excluded.value"
            );
            if !flag.is_empty() {
                store.sql(&set).await.unwrap();
            }
            for (actor, source) in [(&customer, Source::Admin), (&customer, Source::Cli), (&Actor::System, Source::Admin)] {
                let error = store.ops.run(actor, StartRun { source, ..start() }).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Refused);
                assert!(error.to_string().contains("allow_admin_maintenance_actions"), "{error}");
            }
            let plan = wish.plan(&store.ops, &admin.actor).await.unwrap();
            let before = Before::of(&store).await;
            let done = store.ops.run(&admin.actor, wish.start(&plan)).await;
            refused(&store, &before, done, ErrorKind::Refused, "customers' side").await;
        }
        let told = "select count(*) from audit_logs where action = 'runs.start' and status = 'refused'";
        assert_eq!(store.number(told).await, 12);
        assert_eq!(runs(&store).await, 0);
        store.sql("update platform_settings set value = 'true' where key = 'allow_admin_maintenance_actions'").await.unwrap();
        let run_id = store.ops.run(&customer, start()).await.unwrap().run_id;
        let error = backfill(RunScope::Tenants(vec![1, 2])).begin(&store.ops, &admin.actor).await.unwrap_err();
        assert!(error.to_string().contains(&format!("run {run_id}")), "its locks hold like any other's: {error}");
    }
}
