//! A proxy in front of PostgreSQL that loses or freezes the database on command.
//!
//! It runs on threads of its own, so it works the same under every kind of test runtime.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Passes bytes on between its own port and the server, until told otherwise.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    server: SocketAddr,
}

#[derive(Debug, Default)]
struct State {
    paused: bool,
    /// How long each answer is held back.
    delay: Duration,
    cut: bool,
    closed: bool,
    /// What happens at a COMMIT.
    trap: Option<Trap>,
    /// Counts cuts: a connection of an older generation is dead.
    generation: u64,
    /// Writes that passed the gate and are not done yet.
    in_flight: usize,
    last_id: u64,
    /// Messages of clients that were passed on.
    messages: usize,
    /// Both ends of each connection, by its number.
    connections: BTreeMap<u64, [TcpStream; 2]>,
    /// How often a client spoke first, or after the server had spoken: each time it had waited.
    round_trips: usize,
    /// How many connections there were.
    made: usize,
}

/// Where a COMMIT is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never gets it.
    Before,
    /// The server gets it, and its answer is lost.
    After,
    /// The server gets it, and the client waits for an answer that never comes.
    Silent,
    /// It is answered, and the database is lost with that answer.
    Behind,
}

/// A COMMIT to be cut off.
#[derive(Debug, Clone)]
struct Trap {
    cut: Cut,
    /// Only of a transaction in which this was sent.
    statement: Option<String>,
    /// So many COMMITs pass before.
    passes: usize,
    /// Whether the whole database is lost with it, or only that connection.
    lost: bool,
}

/// What both directions of a connection know of it.
#[derive(Debug, Clone)]
struct Ends {
    /// No answer comes through any more.
    silent: Arc<AtomicBool>,
    /// The client waits for an answer.
    waits: Arc<AtomicBool>,
    /// The next answer is the last.
    last: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts in front of the server that `url` names, passing everything on.
    pub fn start(url: &str) -> Self {
        let (_, rest) = url.rsplit_once('@').expect("the address names a user");
        let server = rest.split('/').next().unwrap().parse().expect("host and port as numbers");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), server });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { shared, address }
    }

    /// `url`, but through this proxy.
    pub fn url(&self, url: &str) -> String {
        let (before, rest) = url.rsplit_once('@').unwrap();
        let database = rest.split_once('/').map_or("", |(_, database)| database);
        format!("{before}@{}/{database}", self.address)
    }

    /// Freezes: connections stay, new ones are taken, and no byte moves in either direction
    /// once this returns.
    pub fn pause(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.paused = true;
        while state.in_flight > 0 {
            let waited = self.shared.changed.wait_timeout(state, Duration::from_secs(1)).unwrap();
            state = waited.0;
            if waited.1.timed_out() {
                break;
            }
        }
    }

    /// Holds each answer back for so long.
    pub fn delay(&self, delay: Duration) {
        self.shared.state.lock().unwrap().delay = delay;
    }

    /// Ends a pause; what was held back is delivered.
    pub fn resume(&self) {
        self.shared.state.lock().unwrap().paused = false;
        self.shared.changed.notify_all();
    }

    /// Loses the database: drops every connection, and every new one at once.
    pub fn cut(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.cut = true;
        state.drop_connections();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Loses the database as soon as the answer to the commit of a transaction comes, in which
    /// `statement` was sent: it is committed, and nobody is told.
    pub fn lose_answer_to(&self, statement: &str) {
        self.trap(Cut::After, Some(statement), 0, true);
    }

    /// Cuts a COMMIT off after so many others: one of a transaction in which `statement` was
    /// sent, or any. With `lost` the whole database is lost until it is restored.
    pub fn trap(&self, cut: Cut, statement: Option<&str>, passes: usize, lost: bool) {
        let statement = statement.map(str::to_owned);
        self.shared.state.lock().unwrap().trap = Some(Trap { cut, statement, passes, lost });
    }

    /// Whether a COMMIT was cut off since the last trap was set.
    pub fn sprung(&self) -> bool {
        self.shared.state.lock().unwrap().trap.is_none()
    }

    /// Ends a cut; only new connections profit.
    pub fn restore(&self) {
        self.shared.state.lock().unwrap().cut = false;
    }

    /// Round trips and connections since this was asked last.
    pub fn counted(&self) -> (usize, usize) {
        let mut state = self.shared.state.lock().unwrap();
        (std::mem::take(&mut state.round_trips), std::mem::take(&mut state.made))
    }

    /// How many messages clients have sent.
    pub fn messages(&self) -> usize {
        self.shared.state.lock().unwrap().messages
    }

    /// How many connections pass through at the moment.
    pub fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock().unwrap();
        state.closed = true;
        state.drop_connections();
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn drop_connections(&mut self) {
        self.generation += 1;
        for stream in std::mem::take(&mut self.connections).into_values().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let Ok(client) = client else { continue };
            let state = self.state.lock().unwrap();
            if state.closed {
                return;
            }
            if !state.cut {
                let generation = state.generation;
                drop(state);
                let shared = Arc::clone(&self);
                thread::spawn(move || shared.serve(client, generation));
            }
        }
    }

    fn serve(self: Arc<Self>, client: TcpStream, generation: u64) {
        let Ok(server) = TcpStream::connect(self.server) else { return };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let mut state = self.state.lock().unwrap();
        if state.generation != generation {
            return;
        }
        state.last_id += 1;
        state.made += 1;
        let id = state.last_id;
        state.connections.insert(id, [client.try_clone().unwrap(), server.try_clone().unwrap()]);
        drop(state);
        let back = Arc::clone(&self);
        let silent = Arc::new(AtomicBool::new(false));
        let waits = Arc::new(AtomicBool::new(false));
        let last = Arc::new(AtomicBool::new(false));
        let ends = Ends { silent, waits, last };
        let held = Ends::clone(&ends);
        let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let answers = thread::spawn(move || back.answer(from, to, generation, &held));
        self.forward(client, server, generation, &ends);
        let _ = answers.join();
        self.state.lock().unwrap().connections.remove(&id);
    }

    /// Copies what the server says until an end closes or the connection is cut.
    fn answer(
        &self,
        mut from: TcpStream,
        mut to: TcpStream,
        generation: u64,
        Ends { silent, waits, last }: &Ends,
    ) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            let is_last = last.load(Ordering::SeqCst);
            let delay = self.state.lock().unwrap().delay;
            thread::sleep(delay);
            if !self.enter(generation) {
                break;
            }
            let held = silent.load(Ordering::SeqCst);
            waits.store(false, Ordering::SeqCst);
            let written = read > 0 && (held || to.write_all(&buffer[..read]).is_ok());
            self.leave();
            if is_last {
                self.lose();
            }
            if !written {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    /// Copies what the client says, and looks for COMMITs in it.
    fn forward(
        &self,
        mut from: TcpStream,
        mut to: TcpStream,
        generation: u64,
        Ends { silent, waits, last }: &Ends,
    ) {
        let mut buffer = [0; 16 * 1024];
        let mut within = false;
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            if !self.enter(generation) {
                break;
            }
            if read > 0 && !waits.swap(true, Ordering::SeqCst) {
                self.state.lock().unwrap().round_trips += 1;
            }
            let trap = self.spring(&buffer[..read], &mut within);
            let cut = trap.as_ref().map(|trap| trap.cut);
            // Before the server can answer.
            match cut {
                Some(Cut::Behind) => last.store(true, Ordering::SeqCst),
                Some(_) => silent.store(true, Ordering::SeqCst),
                None => {}
            }
            let forwards = read > 0 && cut != Some(Cut::Before);
            let written = forwards && to.write_all(&buffer[..read]).is_ok();
            self.leave();
            if trap.is_some_and(|trap| trap.lost && trap.cut != Cut::Behind) {
                // The server still reads what it was sent, and no client gets an answer.
                self.lose();
            }
            if !written || cut == Some(Cut::After) {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn lose(&self) {
        let mut state = self.state.lock().unwrap();
        state.cut = true;
        state.drop_connections();
    }

    /// The trap that a client's message sets off, if it holds a COMMIT that one waits for.
    fn spring(&self, message: &[u8], within: &mut bool) -> Option<Trap> {
        let text = String::from_utf8_lossy(message);
        let mut state = self.state.lock().unwrap();
        state.messages += usize::from(!message.is_empty());
        let statement = state.trap.as_ref().and_then(|trap| trap.statement.clone());
        *within |= statement.as_ref().is_some_and(|statement| text.contains(statement));
        if !text.contains("COMMIT\0") && !text.contains("commit\0") {
            return None;
        }
        let meant = std::mem::take(within) || statement.is_none();
        let trap = state.trap.as_mut().filter(|_| meant)?;
        if trap.passes > 0 {
            trap.passes -= 1;
            return None;
        }
        state.trap.take()
    }

    /// Waits while paused; false once the connection is cut.
    fn enter(&self, generation: u64) -> bool {
        let mut state = self.state.lock().unwrap();
        while state.paused && state.generation == generation {
            state = self.changed.wait(state).unwrap();
        }
        state.in_flight += 1;
        if state.generation == generation {
            return true;
        }
        state.in_flight -= 1;
        false
    }

    fn leave(&self) {
        self.state.lock().unwrap().in_flight -= 1;
        self.changed.notify_all();
    }
}
