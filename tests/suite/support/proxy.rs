//! A proxy in front of PostgreSQL that loses or freezes the database on command.
//!
//! It runs on threads of its own, so it works the same under every kind of test runtime.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
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
    cut: bool,
    closed: bool,
    /// The transaction whose answer is to be lost, by a statement of it.
    loses: Option<String>,
    /// Counts cuts: a connection of an older generation is dead.
    generation: u64,
    /// Writes that passed the gate and are not done yet.
    in_flight: usize,
    last_id: u64,
    /// Both ends of each connection, by its number.
    connections: BTreeMap<u64, [TcpStream; 2]>,
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
        self.shared.state.lock().unwrap().loses = Some(statement.to_owned());
    }

    /// Ends a cut; only new connections profit.
    pub fn restore(&self) {
        self.shared.state.lock().unwrap().cut = false;
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
    /// Cuts what leads to clients: the server still reads what it is sent, and answers to nobody.
    fn lose_clients(&mut self) {
        self.loses = None;
        self.cut = true;
        self.generation += 1;
        for [client, _] in std::mem::take(&mut self.connections).into_values() {
            let _ = client.shutdown(Shutdown::Both);
        }
    }

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
        let id = state.last_id;
        state.connections.insert(id, [client.try_clone().unwrap(), server.try_clone().unwrap()]);
        drop(state);
        let back = Arc::clone(&self);
        let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let answers = thread::spawn(move || back.forward(from, to, generation));
        self.forward(client, server, generation);
        let _ = answers.join();
        self.state.lock().unwrap().connections.remove(&id);
    }

    /// Copies one direction until an end closes or the connection is cut.
    fn forward(&self, mut from: TcpStream, mut to: TcpStream, generation: u64) {
        let mut buffer = [0; 16 * 1024];
        let mut within = false;
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            if !self.enter(generation) {
                break;
            }
            let text = String::from_utf8_lossy(&buffer[..read]);
            let loses = self.state.lock().unwrap().loses.clone();
            within |= loses.is_some_and(|statement| text.contains(&statement));
            let lost = within && text.contains("COMMIT");
            if lost {
                // Before the server has it: an answer that is quick would arrive.
                self.state.lock().unwrap().lose_clients();
            }
            let written = read > 0 && to.write_all(&buffer[..read]).is_ok();
            self.leave();
            if lost || !written {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
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
