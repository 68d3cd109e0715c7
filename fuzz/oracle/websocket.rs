//! The bytes of a client after its handshake, read by the server and by tungstenite.
//!
//! The first byte is the size of the pieces in which the server reads the others. The server sends each message back, and
//! tungstenite, as a client, reads what it sends.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use tungstenite::protocol::{Role, WebSocket as Plain, WebSocketConfig};
use tungstenite::{Error, Message as Frame};
use waterwheel::http::Request;
use waterwheel::http::testing::TestClient;
use waterwheel::http::web::websocket::{
    self, Message, Violation, WebSocket, WebSocketError, WebSocketOptions,
};
use waterwheel::runtime::{block_on, time, yield_now};

/// Small enough for a fuzzer to meet them.
const MESSAGE_BYTES_MAX: usize = 300;
const FRAME_BYTES_MAX: usize = 200;

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The messages that the server has read, and the rule that the client has broken.
type Seen = (Vec<Message>, Option<Violation>);

/// The target.
///
/// # Panics
///
/// If the server and tungstenite read different messages.
pub fn websocket(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else {
        return;
    };
    let (ours, sent) = serve(bytes, usize::from(*size).max(1));
    let (theirs, is_fault) = read_with_tungstenite(bytes, Role::Server);
    let (messages, violation) = ours;
    match violation {
        None => {
            assert_eq!(messages, theirs);
            assert!(!is_fault, "tungstenite finds a fault");
        }
        // This server finds a fault at its first byte, and is stricter about lengths.
        Some(violation) => assert!(
            theirs.starts_with(&messages),
            "{violation}: {messages:?}, {theirs:?}"
        ),
    }
    let (echoes, is_fault) = read_with_tungstenite(&sent, Role::Client);
    assert!(!is_fault, "a fault in the frames of the server");
    assert_eq!(messages, echoes);
}

/// Sends bytes to a server. Returns what it has read and sent.
fn serve(bytes: &[u8], size: usize) -> (Seen, Vec<u8>) {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let noted = seen.clone();
    let options = WebSocketOptions::new()
        .message_bytes_max(MESSAGE_BYTES_MAX)
        .frame_bytes_max(FRAME_BYTES_MAX);
    let handler = async move |request: Request<'_>| {
        let noted = noted.clone();
        let talk = async move |mut socket: WebSocket| {
            loop {
                match socket.next().await {
                    Ok(Some(message)) => {
                        noted.borrow_mut().0.push(message.clone());
                        socket.send(&message).await?;
                    }
                    Err(WebSocketError::Violation(violation)) => {
                        noted.borrow_mut().1 = Some(violation);
                        return Ok(());
                    }
                    Ok(None) | Err(_) => return Ok(()),
                }
            }
        };
        websocket::upgrade(request, &options, talk).await
    };
    let sent = block_on(async {
        time::pause();
        let mut client = TestClient::new(handler);
        client.send(HANDSHAKE).await;
        assert_eq!(client.answer().await.status.as_u16(), 101);
        let (mut stream, mut sent) = client.into_stream();
        for piece in bytes.chunks(size) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
            yield_now().await;
        }
        stream.end();
        drop(stream.read_to_end(&mut sent).await);
        sent
    });
    (seen.take(), sent)
}

/// Bytes that are read once. What is written is discarded.
struct Bytes<'a>(&'a [u8]);

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Read::read(&mut self.0, buffer)
    }
}

impl Write for Bytes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the messages, and true if there is a fault in the frames.
fn read_with_tungstenite(bytes: &[u8], role: Role) -> (Vec<Message>, bool) {
    // The server puts a message into one frame.
    let frame_bytes_max = match role {
        Role::Server => FRAME_BYTES_MAX,
        Role::Client => MESSAGE_BYTES_MAX,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(frame_bytes_max));
    let mut socket = Plain::from_raw_socket(Bytes(bytes), role, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(Frame::Text(text)) => messages.push(Message::from(text.as_str())),
            Ok(Frame::Binary(bytes)) => messages.push(Message::from(bytes.to_vec())),
            Ok(Frame::Close(_)) | Err(Error::Io(_) | Error::ConnectionClosed) => {
                return (messages, false);
            }
            Ok(_) => {}
            Err(_) => return (messages, true),
        }
    }
}
