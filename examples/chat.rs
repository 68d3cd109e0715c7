//! WebSockets: a page in which all visitors talk to each other.
//!
//! ```text
//! cargo run --example chat [ADDRESS]
//! ```
//!
//! Open the address in two windows of a browser. You should see the number of visitors and the words of both. Ctrl-C
//! says goodbye to all of them, and the pages come back when the server does.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::rc::Rc;

use waterwheel::http::web::response::Html;
use waterwheel::http::web::routes::{Router, with};
use waterwheel::http::web::websocket::{self, CloseCode, Message, WebSocket, WebSocketOptions};
use waterwheel::http::{Request, Responded, Result, Server};
use waterwheel::runtime::sync::broadcast::{self, RecvError, Sender};
use waterwheel::runtime::{self, race, signal};

/// The most lines that a slow visitor may be behind.
const LINES_BEHIND_MAX: usize = 64;

/// A room: what one visitor says, all of them hear.
struct Room {
    lines: Sender<Rc<str>>,
    options: WebSocketOptions,
}

/// The next thing that happens to a visitor.
enum Next {
    /// The visitor speaks, or leaves.
    Said(Option<Message>),
    Heard(Result<Rc<str>, RecvError>),
}

impl Room {
    fn new() -> Self {
        Self {
            lines: broadcast::channel(LINES_BEHIND_MAX).0,
            options: WebSocketOptions::new().message_bytes_max(280),
        }
    }

    fn tell(&self, line: &str) {
        // An error means that the room is empty.
        drop(self.lines.send(line.into()));
    }

    fn tell_visitors(&self) {
        self.tell(&format!("visitors {}", self.lines.receiver_count()));
    }

    async fn serve(&self, mut socket: WebSocket) -> Result<()> {
        let mut lines = self.lines.subscribe();
        self.tell_visitors();
        loop {
            let said = async { socket.next().await.map(Next::Said) };
            let heard = async { Ok(Next::Heard(lines.recv().await)) };
            match race(said, heard).await? {
                Next::Said(Some(message)) => {
                    let words = String::from_utf8_lossy(message.as_bytes());
                    self.tell(&format!("words {words}"));
                }
                Next::Heard(Ok(line)) => socket.send_text(&line).await?,
                Next::Heard(Err(_)) => {
                    socket.close(CloseCode::TRY_AGAIN_LATER, "too slow").await?;
                }
                Next::Said(None) => return Ok(()),
            }
        }
    }
}

/// Tells the others when a visit ends, however it ends.
struct Visit(Rc<Room>);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.tell_visitors();
    }
}

async fn visit(room: &Rc<Room>, request: Request<'_>) -> Result<Responded> {
    let visit = Visit(room.clone());
    let talk = async move |socket: WebSocket| visit.0.serve(socket).await;
    websocket::upgrade(request, &room.options, talk).await
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    // The outer `Rc` is that of `with`. The task of each visit needs one of its own, so the state is an `Rc`, too.
    let room = Rc::new(Rc::new(Room::new()));
    let router = Router::new()
        .get("/", async || Html(include_str!("pages/chat.html")))
        .get("/chat", with(&room, visit));
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(router, shutdown).await?);
        Ok(())
    })
}
