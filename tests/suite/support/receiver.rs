//! A receiver of webhooks on this machine that answers as it is told, well or badly.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// How one request is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status with more header lines and a body.
    Status(u16, Vec<String>, String),
    /// Nothing until the receiver is gone.
    Hang,
    /// The connection breaks before anything is read.
    Reset,
    /// Something that is no HTTP.
    Nonsense,
    /// 200 with a body that does not end.
    Endless,
}

impl Reply {
    /// A bare status.
    pub fn status(code: u16) -> Self {
        Self::Status(code, Vec::new(), String::new())
    }
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path.
    pub line: String,
    /// Headers by their lower-case names.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

/// A server on 127.0.0.1.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<VecDeque<Reply>>,
    usual: Reply,
    requests: Mutex<Vec<Request>>,
    gone: Mutex<bool>,
    changed: Condvar,
}

impl Receiver {
    /// Answers with `script`, one after the other, and from then on with `usual`.
    pub fn new(script: Vec<Reply>, usual: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(script.into()),
            usual,
            requests: Mutex::default(),
            gone: Mutex::new(false),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if *accepting.gone.lock().unwrap() {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&accepting)) else { continue };
                // A sender that goes away in the middle is nobody's mistake.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { address, shared }
    }

    /// The address of a webhook here.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        *self.shared.gone.lock().unwrap() = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn next(&self) -> Reply {
        self.script.lock().unwrap().pop_front().unwrap_or_else(|| self.usual.clone())
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let reply = self.next();
        if matches!(reply, Reply::Reset) {
            // What was not read when it is closed makes the system send a reset.
            stream.peek(&mut [0])?;
            return Ok(());
        }
        let request = read(&stream)?;
        self.requests.lock().unwrap().push(request);
        match reply {
            Reply::Status(code, headers, body) => {
                let headers =
                    headers.iter().map(|line| format!("{line}\r\n")).collect::<Vec<_>>().concat();
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {code} Some Words\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
                )
            }
            Reply::Hang => {
                let mut gone = self.gone.lock().unwrap();
                while !*gone {
                    gone = self.changed.wait_timeout(gone, Duration::from_secs(60)).unwrap().0;
                }
                Ok(())
            }
            Reply::Nonsense => write!(stream, "220 mail.example ESMTP password=hunter2hunter2\r\n"),
            Reply::Endless => {
                write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                loop {
                    write!(stream, "5\r\nhello\r\n")?;
                }
            }
            Reply::Reset => Ok(()),
        }
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    Ok(Request { line: line.trim().to_owned(), headers, body })
}
