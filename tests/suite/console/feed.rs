//! What a console asks while nothing changes, and while much does.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::postgres::PgListener;
use tenantpilot::Clock;
use tenantpilot::access::{Actor, ClientKind};
use tenantpilot::domain::run_filter::RunFilter;
use tenantpilot::domain::window::Window;
use tenantpilot::ops::AnyOutput;
use tenantpilot::ops::auth::{Login, Session};
use tenantpilot::ops::break_glass::CurrentBreakGlass;
use tenantpilot::ops::condition::ReadCondition;
use tenantpilot::ops::dashboard::ChooseWindow;
use tenantpilot::ops::notifications::CountUnread;
use tenantpilot::ops::runs::ListRuns;
use tenantpilot::ops::runs::Page;
use tenantpilot::ops::users::CreateFirstAdministrator;
use tenantpilot::ops::{Create, Engine, Listen, Ops, password};
use tenantpilot::tui::msg::{Answer, Follows, Request, Sub};
use tenantpilot::tui::runner::{Arrived, Runner};
use tenantpilot::tui::slot::Slot;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};

use super::states::{of_console, platform};
use crate::chaos::cluster::Cluster;
use crate::support::postgres::{fresh_postgres_database, with_database};
use crate::support::proxy::Proxy;
use crate::support::stores::{ORIGIN, PASSWORD, Store, block_on, both_engines};

/// The requests of a console without its screens.
struct Asking {
    runner: Runner,
    answers: UnboundedReceiver<Arrived>,
    hints: Receiver<()>,
    /// How often something had changed that is read later.
    later: usize,
}

impl Asking {
    async fn on(store: &Store, url: &str, listen: Listen) -> Self {
        let clock = store.clock.clone();
        let ops = Ops::open(url, Create::Never, clock, of_console(listen)).unwrap();
        Self::as_user(ops, &store.login("administrator").await)
    }

    fn as_user(ops: Ops, session: &Session) -> Self {
        let (mut runner, answers, hints) = Runner::new(ops, ORIGIN.to_owned(), ClientKind::Console);
        runner.set_session(Some(session));
        Self { runner, answers, hints, later: 0 }
    }

    fn take(&mut self, arrived: Arrived) -> Option<(Slot, Answer)> {
        let taken = self.runner.take(arrived);
        let later = matches!(taken, Some((_, Answer::Later)));
        self.later += usize::from(later);
        taken.filter(|_| !later)
    }

    /// What is answered until `until`, without what waits for later.
    async fn during(&mut self, time: Duration) -> Vec<(Slot, Answer)> {
        let until = tokio::time::Instant::now() + time;
        let mut answered = Vec::new();
        loop {
            let due = self.runner.next_due().map_or(until, |due| due.min(until));
            tokio::select! {
                arrived = self.answers.recv() => {
                    answered.extend(self.take(arrived.unwrap()));
                }
                Some(()) = self.hints.recv() => self.runner.hinted(),
                () = tokio::time::sleep_until(due) => self.runner.poll_due(),
            }
            if tokio::time::Instant::now() >= until {
                return answered;
            }
        }
    }

    /// What is answered until nothing is asked any more.
    async fn idle(&mut self) -> Vec<(Slot, Answer)> {
        let mut answered = Vec::new();
        while !self.runner.busy().is_empty() {
            let arrived = self.answers.recv().await.unwrap();
            answered.extend(self.take(arrived));
        }
        answered
    }

    /// What is answered until all of it says that nothing has changed.
    async fn settled(&mut self) -> Vec<(Slot, Answer)> {
        let mut answered = Vec::new();
        for _ in 0..50 {
            let more = self.during(Duration::from_millis(350)).await;
            let unchanged = |(_, answer): &(Slot, Answer)| matches!(answer, Answer::Unchanged);
            let settled = !more.is_empty() && more.iter().all(unchanged);
            answered.extend(more);
            if settled {
                return answered;
            }
        }
        panic!("something changes all the time: {answered:?}");
    }

    /// Waits until hints are known to arrive.
    async fn hear(&mut self) {
        for _ in 0..200 {
            if self.runner.is_hinted() {
                return;
            }
            self.during(Duration::from_millis(50)).await;
        }
        panic!("no hint arrives");
    }
}

const SLOTS: [Slot; 4] = [Slot::LIST, Slot::UNREAD, Slot::BREAK_GLASS, Slot::CONDITION];

fn subs(every: u64, follows: Follows) -> Vec<Sub> {
    let every = Duration::from_millis(every);
    let (filter, page) = (RunFilter::default(), Page::default());
    let list = Request::of(ListRuns { filter, page, limit: 50 });
    let asked = [
        (Slot::LIST, list),
        (Slot::UNREAD, Request::of(CountUnread)),
        (Slot::BREAK_GLASS, Request::of(CurrentBreakGlass)),
        (Slot::CONDITION, Request::of(ReadCondition)),
    ];
    asked.map(|(slot, request)| Sub { slot, request, every, follows }).to_vec()
}

/// Consoles side by side, whose lists follow changes.
async fn all_on<const N: usize>(store: &Store, listens: [Listen; N]) -> Vec<Asking> {
    let mut all = Vec::new();
    for listen in listens {
        let mut asking = Asking::on(store, &store.url, listen).await;
        asking.runner.subscribe(subs(400, Follows::Changes));
        all.push(asking);
    }
    all
}

async fn all_during(all: &mut [Asking], time: Duration) -> Vec<Vec<(Slot, Answer)>> {
    join_all(all.iter_mut().map(|asking| asking.during(time))).await
}

fn reads(answered: &[(Slot, Answer)], slot: Slot) -> usize {
    let read = |(of, answer): &&(Slot, Answer)| *of == slot && !matches!(answer, Answer::Unchanged);
    answered.iter().filter(read).count()
}

#[test]
fn fr_047_004_while_nothing_changes_a_poll_is_one_question() {
    block_on(async {
        // What happens in other databases of a server counts as a change, so this one has none.
        let cluster = Cluster::start();
        let proxy = Proxy::start(&cluster.url("postgres", "postgres"));
        let url = proxy.url(&cluster.url("postgres", "postgres"));
        let settings = of_console(Listen::Off);
        let ops = Ops::open(&url, Create::Never, Clock::system(), settings).unwrap();
        ops.migrate().await.unwrap();
        let (name, password) = ("administrator".to_owned(), password::secret(PASSWORD));
        let first = CreateFirstAdministrator { username: name, password };
        let anonymous = Actor::Anonymous { origin: ORIGIN.to_owned() };
        ops.run(&anonymous, first).await.unwrap();
        let login = Login::new("administrator", PASSWORD, ClientKind::Console);
        let session = ops.run(&anonymous, login).await.unwrap().0;
        let mut asking = Asking::as_user(ops.clone(), &session);
        for follows in [Follows::Changes, Follows::Time] {
            asking.runner.subscribe(subs(25, follows));
            asking.during(Duration::from_millis(500)).await;
            let before = proxy.messages();
            let polled = asking.during(Duration::from_millis(1_500)).await;
            let asked = proxy.messages() - before;
            // The pool adds one message to each question.
            assert!(asked <= 2 * 60, "{asked} messages for 60 polls of 4 slots");
            for slot in SLOTS {
                let all = polled.iter().filter(|(of, _)| *of == slot).count();
                assert!(all > 10 && reads(&polled, slot) == 0, "{slot:?}: {polled:?}");
            }
        }
        asking.runner.subscribe(subs(400, Follows::Changes));
        asking.runner.ask(Slot::WINDOW, Request::of(ChooseWindow { window: Window::default() }));
        let polled = asking.during(Duration::from_millis(5_400)).await;
        for slot in SLOTS {
            // What only the header says may wait for longer.
            let least = usize::from(slot == Slot::LIST);
            assert!((least..=1).contains(&reads(&polled, slot)), "{slot:?}: {polled:?}");
        }
    });
}

both_engines! {
    async fn fr_047_004_what_a_key_asks_for_is_read_while_a_poll_of_it_is_under_way(store) {
        let store = store.with_platform().await;
        let session = store.administrator().await;
        let mut asking = Asking::as_user(store.ops.clone(), &session);
        let list = Request::of(ListRuns { limit: 50, ..ListRuns::default() });
        asking.runner.ask(Slot::LIST, list.clone());
        assert_eq!(reads(&asking.idle().await, Slot::LIST), 1);
        let every = Duration::from_millis(1);
        let poll = Sub { slot: Slot::LIST, request: list.clone(), every, follows: Follows::Changes };
        for pressed in [false, true] {
            asking.runner.subscribe(vec![poll.clone()]);
            tokio::time::sleep(every * 2).await;
            asking.runner.poll_due();
            assert!(asking.runner.busy().contains(&Slot::LIST));
            if pressed {
                asking.runner.ask(Slot::LIST, list.clone());
            }
            let answered = asking.idle().await;
            assert_eq!(reads(&answered, Slot::LIST), usize::from(pressed), "{answered:?}");
        }
    }
}

#[test]
fn fr_047_005_hints_count_once_one_has_arrived_and_else_it_polls() {
    block_on(async {
        let store = platform().await;
        let (elsewhere, _other) = fresh_postgres_database().await;
        // An address of another database is as deaf as a pooler in transaction mode.
        let nowhere = with_database(&store.url, "there_is_no_such_database");
        let deaf = [Listen::Off, Listen::At(elsewhere.into()), Listen::At(nowhere.into())];
        let mut deaf = all_on(&store, deaf).await;
        all_during(&mut deaf, Duration::from_millis(1_200)).await;
        assert!(!deaf.iter().any(|asking| asking.runner.is_hinted()));
        store.start("stored_report.create", 1).await;
        for polled in all_during(&mut deaf, Duration::from_millis(3_500)).await {
            assert!((1..=2).contains(&reads(&polled, Slot::LIST)), "{polled:?}");
            assert!(polled.iter().all(|(_, answer)| answer.error().is_none()), "{polled:?}");
        }
        drop(deaf);
        // Here they arrive, also where the address is written out.
        let mut heard = all_on(&store, [Listen::Here, Listen::At(store.url.clone().into())]).await;
        join_all(heard.iter_mut().map(Asking::hear)).await;
        // What may have changed before the first one is read once more, after 2.5 s.
        all_during(&mut heard, Duration::from_millis(4_000)).await;
        // Another change is none of what they cover.
        store.sql("update workspaces set name = 'Renamed' where id = 1").await.unwrap();
        for polled in all_during(&mut heard, Duration::from_millis(5_400)).await {
            assert_eq!(reads(&polled, Slot::LIST), 0, "{polled:?}");
            assert!(reads(&polled, Slot::BREAK_GLASS) <= 1, "{polled:?}");
        }
        store.start("stored_report.create", 2).await;
        for polled in all_during(&mut heard, Duration::from_millis(1_900)).await {
            assert_eq!(reads(&polled, Slot::LIST), 1, "{polled:?}");
        }
        assert!(heard.iter().all(|asking| asking.runner.is_hinted()));
    });
}

#[test]
fn fr_047_005_a_worker_that_comes_or_goes_and_a_tenants_name_are_hints_and_a_heartbeat_is_none() {
    block_on(async {
        let store = platform().await;
        let mut listener = PgListener::connect(&store.url).await.unwrap();
        listener.listen("tenantpilot_runs").await.unwrap();
        for (text, hinted) in [
            (
                "insert into workers (id, name, version, runbooks, slots, heartbeat_seconds, started_at, \
                 heartbeat_at) values ('w', 'w', '1', '[]', 1, 10, now(), now())",
                true,
            ),
            ("update workers set stopping = stopping, heartbeat_at = now()", false),
            ("update workers set outage = 'the disk is full'", true),
            ("update workers set stopping = true", true),
            ("delete from workers", true),
            ("update tenants set archived_at = null, name = 'Renamed' where id = 4", true),
            ("update tenants set is_platform = is_platform where id = 4", false),
        ] {
            store.sql(text).await.unwrap();
            let heard = tokio::time::timeout(Duration::from_millis(300), listener.recv()).await;
            assert_eq!(heard.is_ok(), hinted, "{text}");
        }
    });
}

#[test]
fn fr_047_006_however_much_changes_a_slot_is_read_every_two_seconds() {
    block_on(async {
        let store = platform().await;
        for listen in [Listen::Here, Listen::Off] {
            let hinted = matches!(listen, Listen::Here);
            let mut asking = Asking::on(&store, &store.url, listen).await;
            asking.runner.subscribe(subs(500, Follows::Changes));
            if hinted {
                asking.hear().await;
            }
            asking.during(Duration::from_millis(600)).await;
            let changing = async {
                let since = Instant::now();
                while since.elapsed() < Duration::from_millis(6_500) {
                    store.start("stored_report.create", 1).await;
                    store
                        .sql("update operation_runs set cancel_requested_at = created_at")
                        .await
                        .unwrap();
                }
                store.number("select max(id) from operation_runs").await
            };
            let (last, mut read) =
                tokio::join!(changing, asking.during(Duration::from_millis(6_500)));
            assert!((2..=4).contains(&reads(&read, Slot::LIST)), "{}", reads(&read, Slot::LIST));
            // The last change shows within three seconds.
            read.extend(asking.during(Duration::from_secs(3)).await);
            let shown = read.iter().rev().find_map(|(_, answer)| match answer {
                Answer::Op(AnyOutput::ListRuns(_, Ok(page))) => page.runs.first().map(|run| run.id),
                _ => None,
            });
            assert_eq!(shown, Some(last));
            // Each time the database has answered.
            assert!(asking.later > 0);
        }
    });
}

#[test]
fn fr_047_004_a_file_is_looked_at_before_each_read() {
    block_on(async {
        let store = Store::new(Engine::Sqlite).await.with_scene().await;
        store.administrator().await;
        let mut asking = Asking::on(&store, &store.url, Listen::Here).await;
        asking.runner.subscribe(subs(100, Follows::Changes));
        asking.settled().await;
        store.start("stored_report.create", 1).await;
        let polled = asking.settled().await;
        assert_eq!(reads(&polled, Slot::LIST), 1, "{polled:?}");
    });
}
