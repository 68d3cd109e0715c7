//! A key-value server: shared values, publish and subscribe, slow clients, and a graceful end.
//!
//! ```text
//! cargo run --release --example kv_server [ADDRESS]
//! curl telnet://127.0.0.1:8080
//! ```
//!
//! Type `set flour rye`, `get flour`, `del flour` and `sub mill`, and `pub mill rain` in a second terminal.
//! You should see an answer to each line, and `message mill rain` in the first terminal. Ctrl-C says `bye` to both.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::sync::broadcast::{self, Receiver, RecvError};
use waterwheel::runtime::sync::{CancellationToken, mpsc};
use waterwheel::runtime::task::JoinSet;
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{block_on, race, signal, try_join};

const LINE_BYTES_MAX: u64 = 64 * 1024;
const SUBSCRIPTIONS_MAX: usize = 16;
const MESSAGES_MAX: usize = 64; // a client that is further behind misses the oldest ones
const END_TIME_MAX: Duration = Duration::from_secs(5); // then clients that do not read are cut

/// The state that all clients share. They run on one thread, so it needs no lock.
#[derive(Default)]
struct Store {
    values: RefCell<HashMap<String, String>>,
    channels: RefCell<HashMap<String, broadcast::Sender<String>>>,
}

/// One client: the queue of its answers, and a task for each of its subscriptions.
struct Client {
    store: Rc<Store>,
    answers: mpsc::Sender<String>,
    subscriptions: JoinSet<()>, // its drop ends them
}

impl Client {
    /// Reads lines and queues the answers. A full queue stops the reading until the client has read.
    async fn read(mut self, io: impl AsyncRead + Unpin, stop: CancellationToken) -> io::Result<()> {
        let mut io = BufReader::new(io);
        loop {
            let mut line = String::new();
            let mut limited = (&mut io).take(LINE_BYTES_MAX);
            let answer = match stop.run_until_cancelled(limited.read_line(&mut line)).await {
                None => "bye".to_owned(),
                Some(Ok(_)) if line.ends_with('\n') => self.answer(line.trim_end()),
                Some(end) => return end.map(drop), // the client has left, or its line is too long
            };
            if self.answers.send(answer).await.is_err() || stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, line: &str) -> String {
        let mut values = self.store.values.borrow_mut();
        let mut channels = self.store.channels.borrow_mut();
        let value = match *line.splitn(3, ' ').collect::<Vec<_>>() {
            ["get", key] => values.get(key).cloned(),
            ["del", key] => values.remove(key),
            ["set", key, value] => values.insert(key.to_owned(), value.to_owned()),
            ["pub", name, message] => {
                let sent = channels.get(name).map(|all| all.send(message.to_owned()));
                return format!("sent to {}", sent.map_or(0, Result::unwrap_or_default));
            }
            ["sub", name] if self.subscriptions.len() < SUBSCRIPTIONS_MAX => {
                channels.retain(|_, all| all.receiver_count() > 0); // those that all clients have left
                let new = || broadcast::channel(MESSAGES_MAX).0;
                let all = channels.entry(name.to_owned()).or_insert_with(new);
                let forward = forward(name.to_owned(), all.subscribe(), self.answers.clone());
                self.subscriptions.spawn(forward);
                return "subscribed".to_owned();
            }
            _ => return format!("error: {line}"),
        };
        value.map_or_else(|| "none".to_owned(), |value| format!("value {value}"))
    }
}

/// Passes the messages of a channel on to a client.
async fn forward(channel: String, mut messages: Receiver<String>, answers: mpsc::Sender<String>) {
    loop {
        let line = match messages.recv().await {
            Ok(message) => format!("message {channel} {message}"),
            Err(RecvError::Lagged(count)) => format!("missed {channel} {count}"),
            Err(RecvError::Closed) => return,
        };
        drop(answers.send(line).await); // if the client has left, this task is aborted
    }
}

async fn serve(stream: TcpStream, store: Rc<Store>, stop: CancellationToken) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let (answers, mut queue) = mpsc::channel(8);
    // Ends when all senders are gone and the queue is empty, so that the end cuts no answer.
    let write = async {
        while let Some(answer) = queue.recv().await {
            writing.write_all(format!("{answer}\n").as_bytes()).await?;
        }
        writing.close().await
    };
    let client = Client {
        store,
        answers,
        subscriptions: JoinSet::new(),
    };
    try_join(client.read(reading, stop), write).await.map(drop)
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    block_on(async {
        let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080"))?;
        let shutdown = signal::shutdown(); // from here on, Ctrl-C and SIGTERM end the program in good order
        println!("listening on {}", listener.local_address()?);
        let (store, stop) = (Rc::new(Store::default()), CancellationToken::new());
        let mut clients = JoinSet::new();
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        clients.spawn(serve(stream, store.clone(), stop.clone()));
                        while clients.try_join_next().is_some() {} // clients that have left
                    }
                    // For example no free descriptor: one may become free.
                    Err(_) => sleep(Duration::from_millis(10)).await,
                }
            }
        };
        race(accept, async { shutdown.await.map(drop) }).await?;
        stop.cancel();
        drop(listener);
        let all = timeout(END_TIME_MAX, async {
            while clients.join_next().await.is_some() {}
        });
        println!("each client has its answers: {}", all.await.is_ok());
        Ok(())
    })
}
