//! Advice about runs: never what is not possible, the same wherever it is read.

use std::fmt::Write as _;

use tenantpilot::domain::capability::{Capability, CapabilitySet, Role};
use tenantpilot::domain::database_fault::Condition;
use tenantpilot::domain::failure::ReasonCode;
use tenantpilot::domain::operation_type::CATALOGUE;
use tenantpilot::domain::run_facts::{Busy, Left, NoRetry, RetriedAs, Retry, RunFacts};
use tenantpilot::domain::run_state::RunState;
use tenantpilot::domain::type_support::Support;
use tenantpilot::ops::Engine;

use crate::cli::{Done, Person};
use crate::confirmation::WHY;
use crate::console::run_control::beat;
use crate::support::console::Console;
use crate::support::stores::{PASSWORD, Store, both_engines};

/// Every combination of type, support, state, targets and capability.
fn every_case() -> Vec<RunFacts<'static>> {
    let lefts = [(false, 0), (true, 0), (true, 1), (true, 12)];
    let missing =
        [None, Some(Capability::OpsManage), Some(Capability::RunbookFindingsLifecycleBackfill)];
    let mut cases = Vec::new();
    for kind in CATALOGUE {
        for support in Support::ALL {
            for state in RunState::ALL {
                for (any, targets) in lefts {
                    for missing in missing {
                        let left =
                            if state.is_active() { Left::default() } else { Left { any, targets } };
                        let facts = RunFacts {
                            run_id: 7,
                            run_type: kind.key,
                            state: *state,
                            support: *support,
                            retryable: kind.retryable,
                            left,
                            retried_as: None,
                            busy: None,
                            missing,
                            may_manage: missing != Some(Capability::OpsManage),
                            cancel_requested: *state == RunState::Cancelling,
                            pause_requested: *state == RunState::Paused,
                            outage: None,
                        };
                        cases.push(facts);
                        let retried = |state| RunFacts {
                            retried_as: Some(RetriedAs { run_id: 9, state }),
                            ..facts
                        };
                        let waiting = |outage| RunFacts { outage: Some(outage), ..facts };
                        if state.is_active() {
                            cases.extend([Condition::Full, Condition::Locked].map(waiting));
                        } else {
                            cases.extend([RunState::Running, RunState::Failed].map(retried));
                            let busy =
                                |other| RunFacts { busy: Some(Busy::as_stored(other)), ..facts };
                            cases.extend([9, -9].map(busy));
                        }
                    }
                }
            }
        }
    }
    cases
}

/// What is wrong with an advice for these facts.
fn faults(facts: &RunFacts<'_>, advice: &str) -> Vec<String> {
    let says = |part: &str| advice.to_lowercase().contains(part);
    let retry = facts.retry();
    let mut wrong = Vec::new();
    let mut never = |when: bool, part: &str| {
        if when && says(part) {
            wrong.push(format!("{part:?} in {advice:?} of {facts:?}"));
        }
    };
    let possible = retry.targets().is_some();
    for promise in ["then retry", "now: retry", "a retry can help", "a retry may help"] {
        never(!possible, promise);
    }
    for advised in ["then retry", "now: retry", "a retry can help", "a retry may help"] {
        never(facts.retried_as.is_some(), advised);
    }
    never(facts.retried_as.is_none(), "it was retried");
    never(facts.busy.is_none(), "of the same type is active");
    never(facts.busy.is_none_or(|busy| busy.run_id().is_none()), "run 9 of the same type");
    let held = matches!(facts.state, RunState::Running | RunState::Cancelling | RunState::Stuck);
    never(!held || facts.outage.is_none(), "waits for the database");
    never(possible, "no retry");
    never(possible, "not possible");
    let worker_helps = facts.support == Support::NoWorker;
    for start in ["start a worker", "start one"] {
        never(!worker_helps, start);
    }
    never(facts.support != Support::NoWorker, "no active worker");
    never(!facts.support.is_supported(), "active worker takes");
    never(!facts.support.is_supported(), "active worker supports it");
    never(facts.support != Support::NoExecutor, "no executor");
    never(facts.support != Support::NoExecutor, "nothing executes");
    never(!facts.state.is_active(), "starts by itself");
    never(!facts.state.is_active(), "cancel the run");
    never(!facts.state.is_active(), "takes it next");
    never(!facts.may_manage, ", or cancel the run");
    never(facts.missing.is_none(), "requires the capability");
    for never_said in ["knows this type", "living", "nobody", "is running", "nothing failed"] {
        never(true, never_said);
    }
    wrong
}

#[test]
fn fr_035_008_no_advice_names_what_is_not_possible() {
    let (mut cases, mut retries) = (0, 0);
    for facts in every_case() {
        retries += usize::from(facts.retry().targets().is_some());
        let whole = [facts.wait_text(), facts.next_while_active(), facts.no_retry()];
        let by_reason = ReasonCode::ALL
            .iter()
            .flat_map(|reason| [facts.next_step(*reason), facts.retry_help(*reason)]);
        let none = Vec::<String>::new();
        for advice in whole.into_iter().flatten().chain(by_reason) {
            assert_eq!(faults(&facts, &advice), none);
            assert!(!advice.contains("  ") && !advice.contains(".."), "{advice}");
            cases += 1;
        }
        // An ended run whose retry is possible says so for every reason, with the count.
        if facts.retried_as.is_some() {
            assert!(facts.retry_hint().is_none(), "{facts:?}");
            assert!(facts.no_retry().unwrap().starts_with("run 7 was retried as run 9 ("));
            for reason in ReasonCode::ALL {
                assert_eq!(facts.next_step(*reason), "See run 9.");
                assert!(facts.retry_help(*reason).starts_with("it was retried as run 9 ("));
            }
        } else if let Some(n) = facts.retry().targets() {
            for reason in ReasonCode::ALL {
                let next = facts.next_step(*reason);
                assert!(next.contains("retry") && next.contains(&n.to_string()), "{next}");
            }
        }
        let held = matches!(facts.state, RunState::Running | RunState::Cancelling);
        let is_executed = !matches!(facts.support, Support::Unknown | Support::NoExecutor);
        let waits = matches!(facts.state, RunState::Queued | RunState::Stale | RunState::Paused)
            || (held && facts.outage.is_some())
            || (facts.state == RunState::Stuck && is_executed && facts.outage.is_some());
        assert_eq!(facts.wait().is_some(), waits, "{facts:?}");
        let advises = matches!(facts.state, RunState::Stale | RunState::Stuck);
        let silent = facts.state == RunState::Stuck && facts.support == Support::Free;
        assert!(!advises || silent || facts.next_while_active().is_some(), "{facts:?}");
    }
    assert!(cases > 100_000 && retries >= 200, "{cases} {retries}");
}

#[test]
fn fr_035_008_an_advice_that_cannot_be_true_is_found() {
    let closed = RunFacts {
        run_id: 7,
        run_type: "policy.sync",
        state: RunState::Blocked,
        support: Support::NoExecutor,
        retryable: true,
        left: Left { any: true, targets: 1 },
        retried_as: None,
        busy: None,
        missing: None,
        may_manage: true,
        cancel_requested: false,
        pause_requested: false,
        outage: None,
    };
    for advice in [
        "Check that a worker is running; once one is, the run starts by itself.",
        "No active worker supports policy.sync: start one, then retry 1 target.",
        "Wait some minutes. Then retry 1 target.",
        "usually passes by itself; a retry can help",
        "Start a worker that supports policy.sync, or cancel the run.",
    ] {
        assert!(!faults(&closed, advice).is_empty(), "{advice}");
    }
    assert_eq!(closed.retry(), Retry::Impossible(NoRetry::NoExecutor));
}

/// Whether a retry is possible, as one place tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Possible(i64),
    NeedsWorker(i64),
    Impossible,
    /// It was, as this run, which is the one to retry.
    Retried(i64),
}

/// The first number in a text.
fn number_in(text: &str) -> i64 {
    let digits: String =
        text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(1)
}

/// What the page links to, which is there only for what is possible.
fn of_link(screen: &str) -> Verdict {
    if let Some((_, rest)) = screen.split_once("▹ retried as run ") {
        return Verdict::Retried(number_in(rest));
    }
    let Some(line) = screen.lines().find(|line| line.contains("that failed or never ran")) else {
        return Verdict::Impossible;
    };
    match (line.contains("no active worker"), number_in(line)) {
        (true, n) => Verdict::NeedsWorker(n),
        (false, n) => Verdict::Possible(n),
    }
}

/// What the page advises: the next step of its reason; what it links to where it has none.
fn of_advice(screen: &str) -> Verdict {
    let lines: Vec<&str> = screen.lines().collect();
    let Some(at) = lines.iter().position(|line| line.trim_start().starts_with("next: ")) else {
        return of_link(screen);
    };
    // A long one goes on below, as far in as its text.
    let further = lines[at + 1..].iter().take_while(|line| line.starts_with("         "));
    let text = further.fold(lines[at].trim().to_owned(), |text, line| text + " " + line.trim());
    if let Some((_, rest)) = text.split_once("See run ") {
        return Verdict::Retried(number_in(rest));
    }
    match text.split_once("hen retry ").or_else(|| text.split_once("now: retry ")) {
        Some((before, rest)) if before.contains("No active worker supports") => {
            Verdict::NeedsWorker(number_in(rest))
        }
        Some((_, rest)) => Verdict::Possible(number_in(rest)),
        None => Verdict::Impossible,
    }
}

/// What the footer says beside the key.
fn of_footer(screen: &str) -> Verdict {
    let line = screen.lines().next_back().unwrap_or_default();
    let Some((_, rest)) = line.split_once("R retry ") else { return Verdict::Impossible };
    match (rest.split_once(" (no worker)"), number_in(rest)) {
        (Some((before, _)), n) if before.chars().all(|c| c.is_ascii_digit()) => {
            Verdict::NeedsWorker(n)
        }
        (_, n) => Verdict::Possible(n),
    }
}

/// What the key leads to: a dialog that asks, one that refuses, a note that leads elsewhere, or none.
fn of_key(screen: &str) -> Verdict {
    let count = |screen: &str| {
        if screen.contains("the one target that failed") {
            return 1;
        }
        let from = screen.find(", the ").unwrap_or(0);
        number_in(&screen[from..])
    };
    let toast = screen.lines().find(|line| line.contains(", enter to view"));
    if let Some((_, rest)) = toast.and_then(|line| line.split_once(" was retried as run ")) {
        Verdict::Retried(number_in(rest))
    } else if !screen.contains("Retry run") {
        Verdict::Impossible
    } else if screen.contains("Refused: no active worker") {
        Verdict::NeedsWorker(count(screen))
    } else if screen.contains("and press enter") {
        Verdict::Possible(count(screen))
    } else {
        Verdict::Impossible
    }
}

/// What `runs show --json` says.
fn of_shown(run: &serde_json::Value) -> Verdict {
    if let Some(id) = run["retried_as"]["run_id"].as_i64() {
        return Verdict::Retried(id);
    }
    match (run["retry_refusal"].is_null(), run["retry_needs_worker"] == true) {
        (false, _) => Verdict::Impossible,
        (true, true) => Verdict::NeedsWorker(run["retryable"].as_i64().unwrap()),
        (true, false) => Verdict::Possible(run["retryable"].as_i64().unwrap()),
    }
}

/// What `runs retry` does; how many targets would wait is what `runs show` says.
fn of_command(done: &Done, shown: &serde_json::Value) -> Verdict {
    match done.code {
        0 if done.json()["created"] == false => {
            Verdict::Retried(done.json()["run"]["id"].as_i64().unwrap())
        }
        0 => Verdict::Possible(done.json()["target_count"].as_i64().unwrap()),
        5 if done.err.contains(" was retried as run ") => {
            let (_, rest) = done.err.split_once(" was retried as run ").unwrap();
            Verdict::Retried(number_in(rest))
        }
        5 if done.err.contains("--wait-for-worker") => match of_shown(shown) {
            said @ Verdict::NeedsWorker(_) => said,
            _ => Verdict::NeedsWorker(-1),
        },
        3 | 5 => Verdict::Impossible,
        code => panic!("{code}: {done:?}"),
    }
}

/// The four places that tell whether a run can be retried.
const PLACES: [&str; 4] = ["advice", "footer", "R", "command line"];

/// What the four say, and whether they agree with the first. What was retried is in no footer, and
/// a command that is `forbidden` says that alone.
fn disagreement(verdicts: [Verdict; 4], forbidden: bool) -> Option<String> {
    let first = verdicts[0];
    let retried = matches!(first, Verdict::Retried(_));
    let footer = if retried { Verdict::Impossible } else { first };
    let command = if retried && forbidden { Verdict::Impossible } else { first };
    let wanted = [first, footer, first, command];
    let other = (0..PLACES.len()).find(|at| verdicts[*at] != wanted[*at])?;
    let said = verdicts[other];
    Some(format!("{} says {first:?}, but {} says {said:?}", PLACES[0], PLACES[other]))
}

/// Asks one of the four about a run.
async fn ask(place: usize, console: &mut Console, person: &Person, id: i64) -> Verdict {
    console.keys("<esc>").await;
    console.keys(&format!("2/<ctrl-u>id:{id}<enter>")).await;
    console.keys("<enter>").await;
    match place {
        0 => of_advice(&console.screen()),
        1 => of_footer(&console.screen()),
        2 => {
            console.keys("R").await;
            let dialog = console.screen();
            console.keys("<esc>").await;
            of_key(&dialog)
        }
        _ => {
            let shown = person.run(&["runs", "show", &id.to_string(), "--json"]).ends(0).json();
            let shown = &shown["run"];
            let phrase = format!("RETRY {}", shown["retryable"]);
            let id = id.to_string();
            let arguments =
                [&["runs", "retry", &id, "--json", "--confirm", &phrase][..], &WHY].concat();
            of_command(&person.run(&arguments), shown)
        }
    }
}

/// A small generator: the same states at every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// Types, most of which an active worker supports in a demo.
const TYPES: &[&str] = &[
    "policy.sync",
    "policy.sync",
    "policy.sync",
    "inventory.sync",
    "inventory.sync",
    "inventory.sync",
    "findings.lifecycle_backfill",
    "findings.lifecycle_backfill",
    "stored_report.create",
    "backup.snapshot",
    "product_usage.prune",
    "none.such",
];

impl Store {
    /// A run in a generated state, with two tenants of its own.
    async fn generated(&self, id: i64, numbers: &mut Numbers) {
        let (created, ended) = ("'2026-11-20T11:50:00+00:00'", "'2026-11-20T11:55:00+00:00'");
        let (one, two) = (1000 + 2 * id, 1001 + 2 * id);
        let kind = numbers.one_of(TYPES);
        let state = numbers.below(28);
        let many = kind != "findings.lifecycle_backfill" && numbers.below(3) == 0;
        let archived = [numbers.below(20) == 0, numbers.below(20) == 0];
        let archived = archived.map(|gone| if gone { created } else { "null" });
        let mut sql = String::new();
        for (tenant, archived) in [(one, archived[0]), (two, archived[1])] {
            write!(
                sql,
                "insert into tenants (id, workspace_id, name, is_platform, created_at, archived_at) \
                 values ({tenant}, 1, 'T{tenant}', false, {created}, {archived}); "
            )
            .unwrap();
        }
        let (status, outcome) = match state {
            0 | 1 => ("queued", "pending"),
            2 | 3 => ("running", "pending"),
            4 => ("completed", "succeeded"),
            5 => ("completed", "blocked"),
            6 => ("completed", "cancelled"),
            7..=14 => ("completed", "partially_succeeded"),
            _ => ("completed", "failed"),
        };
        let lease = if status == "running" { "'w'" } else { "null" };
        let done = if status == "completed" { ended } else { "null" };
        let paused = if state == 1 { created } else { "null" };
        let (scope, tenant, targets) =
            if many { ("tenants", "null".to_owned(), 2) } else { ("tenant", one.to_string(), 1) };
        write!(
            sql,
            "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, \
             identity_hash, lease_owner, paused_at, target_count, created_at, started_at, completed_at, updated_at) values \
             ({id}, 1, {tenant}, 'schedule', '{kind}', '{scope}', '{status}', '{outcome}', \
             {reason}, '{id:064x}', {lease}, {paused}, {targets}, {created}, {created}, {done}, {created}); ",
            reason = if status == "completed" && outcome != "succeeded" { "'timeout'" } else { "null" },
        )
        .unwrap();
        for (ordinal, tenant) in [(0, one), (1, two)].into_iter().take(targets) {
            let target = match (status, outcome) {
                ("completed", "succeeded") => "succeeded",
                ("completed", "blocked" | "cancelled") => "skipped",
                ("completed", _) => {
                    numbers.one_of(&["failed", "failed", "failed", "failed", "failed", "succeeded"])
                }
                _ => "pending",
            };
            let reason = if target == "failed" { "'timeout'" } else { "null" };
            write!(
                sql,
                "insert into operation_run_targets (run_id, ordinal, kind, tenant_id, status, reason_code, updated_at) \
                 values ({id}, {ordinal}, 'tenant', {tenant}, '{target}', {reason}, {created}); "
            )
            .unwrap();
        }
        self.sql(&sql).await.unwrap();
        if status == "completed" && outcome != "succeeded" && numbers.below(8) == 0 {
            // Two active runs of one runbook share no tenant.
            let states =
                if kind == "findings.lifecycle_backfill" { &RETRIES[1..] } else { RETRIES };
            self.retried(id, numbers.one_of(states)).await;
        } else if status == "completed" && outcome != "succeeded" && !many && numbers.below(7) == 0
        {
            self.busy(id, numbers.below(2) == 0).await;
        }
    }

    /// A retry of a generated run, after one that failed.
    async fn retried(&self, id: i64, state: &str) {
        for (new, state) in [(id + 300, "failed"), (id + 600, state)] {
            let (status, outcome, target) = match state {
                "queued" => ("queued", "pending", "pending"),
                "succeeded" => ("completed", "succeeded", "succeeded"),
                _ => ("completed", "failed", "failed"),
            };
            let done = if status == "completed" { "updated_at" } else { "null" };
            let reason = if outcome == "failed" { "'timeout'" } else { "null" };
            self.sql(&format!(
                "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, reason_code, \
                 identity_hash, target_count, created_at, completed_at, updated_at, retry_of_run_id) select {new}, workspace_id, \
                 tenant_id, source, type, scope_kind, '{status}', '{outcome}', {reason}, '{new:064x}', target_count, created_at, \
                 {done}, updated_at, id from operation_runs where id = {id}; \
                 insert into operation_run_targets (run_id, ordinal, kind, tenant_id, status, reason_code, updated_at) \
                 select {new}, ordinal, kind, tenant_id, '{target}', {reason}, updated_at from operation_run_targets where run_id = {id}"
            )).await.unwrap();
        }
    }
}

impl Store {
    /// An active run of the type that does the same as a generated one, or works on its tenant.
    async fn busy(&self, id: i64, same: bool) {
        let new = id + 900;
        let identity = if same { id } else { new };
        let lock = "insert into runbook_scope_locks (runbook, tenant_id, run_id)";
        self.sql(&format!(
            "insert into operation_runs (id, workspace_id, tenant_id, source, type, scope_kind, status, outcome, \
             identity_hash, target_count, created_at, updated_at) select {new}, workspace_id, \
             tenant_id, source, type, scope_kind, 'queued', 'pending', '{identity:064x}', 1, created_at, updated_at \
             from operation_runs where id = {id}; {lock} select type, tenant_id, {new} from operation_runs \
             where id = {id} and {same} = false"
        )).await.unwrap();
    }
}

/// States of a retry, the active one first.
const RETRIES: &[&str] = &["queued", "succeeded", "failed"];

both_engines! {
    async fn fr_035_009_advice_footer_key_and_command_line_agree_for_200_generated_states(store) {
        const STATES: i64 = 200;
        let store = store.with_platform().await;
        store.mark_demo().await;
        let admin = store.administrator().await;
        let mut most: Vec<Capability> = Role::Administrator.capabilities().iter().collect();
        most.retain(|held| *held != Capability::RunbookFindingsLifecycleBackfill);
        store.user_with(&admin, "most", most.into_iter().collect::<CapabilitySet>(), &[]).await;
        beat(&store.ops, "w", &["policy.sync", "inventory.sync", "findings.lifecycle_backfill", "none.such", "product_usage.prune"], false).await;
        let mut numbers = Numbers(35);
        for id in 1..=STATES {
            store.generated(id, &mut numbers).await;
        }
        if store.engine == Engine::Postgres {
            // Numbers that were given by hand are not given again.
            store.sql("alter table operation_runs alter column id restart with 2000").await.unwrap();
        }
        let person = Person::at(&store.url);
        let (mut possible, mut waiting, mut retried, mut busy) = (0, 0, [0; RETRIES.len()], 0);
        let mut console = None;
        for id in 1..=STATES {
            // A third as another user, a tenth in a database that is no demo's.
            let name = if id <= STATES * 2 / 3 { "administrator" } else { "most" };
            if id == 1 || id == STATES * 2 / 3 + 1 {
                person.run_with(&["login", name, "--password-file", "-"], PASSWORD).ends(0);
                let mut opened = Console::open(&store.ops, 200, 50).await;
                opened.log_in(name).await;
                console = Some(opened);
            }
            if id == STATES * 9 / 10 {
                store.sql("delete from platform_settings where key = 'demo'").await.unwrap();
            }
            let console = console.as_mut().unwrap();
            console.keys(&format!("2/<ctrl-u>id:{id}<enter>")).await;
            let in_list = console.screen();
            console.keys("<enter>").await;
            let page = console.screen();
            console.keys("R").await;
            let dialog = console.screen();
            console.keys("<esc>").await;
            let told = person.run(&["runs", "show", &id.to_string(), "--json"]).ends(0).json()["run"].clone();
            let phrase = format!("RETRY {}", told["retryable"]);
            let done = person.run(&[&["runs", "retry", &id.to_string(), "--json", "--confirm", &phrase][..], &WHY].concat());
            let verdicts = [of_advice(&page), of_footer(&page), of_key(&dialog), of_command(&done, &told)];
            assert_eq!(disagreement(verdicts, done.code == 3), None, "run {id}: {told}\n{done:?}\n{page}\n{dialog}");
            // What else tells of it: the list's footer, the page's link, JSON.
            assert_eq!(of_footer(&in_list), verdicts[1], "run {id}: {told}\n{in_list}");
            for other in [of_link(&page), of_shown(&told)] {
                assert_eq!(other, verdicts[0], "run {id}: {told}\n{in_list}\n{page}");
            }
            if told["status"] == "completed" && told["retry_refusal"].is_string() && told["outcome"] != "succeeded" {
                assert!(page.to_lowercase().contains("not possible: ") || page.contains("No retry") || page.contains("t was retried as run "), "run {id} does not say why not\n{page}");
            }
            let refusal = told["retry_refusal"].as_str().unwrap_or_default();
            busy += usize::from(refusal.contains(&format!("run {} of the same type is active", id + 900)));
            match verdicts[0] {
                Verdict::Possible(_) => possible += 1,
                Verdict::NeedsWorker(_) => waiting += 1,
                Verdict::Impossible => {}
                Verdict::Retried(new) => {
                    assert_eq!(new, if told["retried_as"]["state"] == "failed" { id + 600 } else { new });
                    let state = told["retried_as"]["state"].as_str().unwrap();
                    retried[RETRIES.iter().position(|known| *known == state).unwrap()] += 1;
                }
            }
        }
        assert!(possible * 3 >= STATES && waiting >= 5 && busy >= 5 && retried.iter().all(|n| *n >= 3), "{possible} {waiting} {busy} {retried:?}");
        // A disagreement of each of the four is found: it is asked after the state has changed,
        // which the other three did not see.
        store.mark_demo().await;
        let console = console.as_mut().unwrap();
        let seed = "select min(r.id) from operation_runs r join operation_run_targets g on g.run_id = r.id \
                    join tenants t on t.id = g.tenant_id where r.type in ('policy.sync', 'inventory.sync') and r.status = 'completed' \
                    and r.outcome in ('failed', 'partially_succeeded') and r.scope_kind = 'tenant' and g.status = 'failed' and t.archived_at is null and r.id <= 200 \
                    and r.retry_of_run_id is null and not exists (select 1 from operation_runs n where n.retry_of_run_id = r.id or (n.tenant_id = r.tenant_id and n.status = 'queued'))";
        let id = store.number(seed).await;
        for at in 0..PLACES.len() {
            let mut before = Vec::new();
            for place in 0..PLACES.len() - 1 {
                before.push(ask(place, console, &person, id).await);
            }
            assert_eq!(before, [Verdict::Possible(1); 3], "run {id}");
            let mut verdicts = [Verdict::Possible(1); 4];
            store.sql("update workers set stopping = true").await.unwrap();
            verdicts[at] = ask(at, console, &person, id).await;
            assert!(disagreement(verdicts, false).is_some(), "{} of run {id}", PLACES[at]);
            store.sql("update workers set stopping = false").await.unwrap();
        }
        assert_eq!(ask(3, console, &person, id).await, Verdict::Possible(1));
        // So is one about a run that was just retried.
        let new = store.number("select max(id) from operation_runs").await;
        let mut agreed = [Verdict::Impossible; 4];
        for (place, verdict) in agreed.iter_mut().enumerate() {
            *verdict = ask(place, console, &person, id).await;
        }
        assert_eq!((agreed[0], disagreement(agreed, false)), (Verdict::Retried(new), None));
        for at in 0..PLACES.len() {
            let mut verdicts = agreed;
            verdicts[at] = Verdict::Possible(1);
            assert!(disagreement(verdicts, false).is_some(), "{} of run {id}", PLACES[at]);
        }
    }
}
