//! WebSockets, frame by frame, over connections in memory.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::testing::{MemoryStream, TestClient, Torture};
use waterwheel::http::web::websocket::{
    self, CloseCode, Message, Violation, WebSocket, WebSocketError, WebSocketOptions,
};
use waterwheel::http::{Error, Request, Responded, Result, Server};
use waterwheel::runtime::time::{self, Instant, sleep, timeout};
use waterwheel::runtime::{block_on, join, race, spawn, yield_now};

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// The longest wait for a frame. The clock of most tests is paused.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Makes a frame of a client. `first` has the opcode and the bit of the last frame.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(len @ 0..126) => frame.push(0x80 | len.to_be_bytes()[1]),
        Ok(len) => {
            frame.push(0xfe);
            frame.extend(len.to_be_bytes());
        }
        Err(_too_long) => {
            frame.push(0xff);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

fn close_frame(code: u16, text: &str) -> Vec<u8> {
    frame(0x88, [&code.to_be_bytes()[..], text.as_bytes()].concat())
}

/// A client that reads and writes frames.
struct Client {
    stream: MemoryStream,
    read: Vec<u8>,
}

impl Client {
    /// Opens a WebSocket that `talk` serves.
    async fn open<F>(options: &WebSocketOptions, talk: F) -> Self
    where
        F: AsyncFnOnce(WebSocket) -> Result<()> + Clone + 'static,
    {
        Self::of(&Server::builder().without_listener(), options, talk).await
    }

    async fn of<F>(server: &Server, options: &WebSocketOptions, talk: F) -> Self
    where
        F: AsyncFnOnce(WebSocket) -> Result<()> + Clone + 'static,
    {
        let client = TestClient::of(server, handler(options, talk));
        Self::shake_hands(client).await
    }

    async fn shake_hands(mut client: TestClient) -> Self {
        client.send(HANDSHAKE).await;
        assert_eq!(client.answer().await.status.as_u16(), 101);
        let (stream, read) = client.into_stream();
        Self { stream, read }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).await.unwrap();
            assert!(
                count > 0,
                "the stream ends within a frame: {:x?}",
                self.read
            );
            self.read.extend_from_slice(&buffer[..count]);
        }
        self.read.drain(..count).collect()
    }

    /// Reads a frame: its first byte and its payload.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let head = self.bytes(2).await;
            assert_eq!(head[1] & 0x80, 0, "a server masks no frame");
            let len = match head[1] {
                126 => self
                    .bytes(2)
                    .await
                    .into_iter()
                    .fold(0, |len, byte| len << 8 | usize::from(byte)),
                127 => self
                    .bytes(8)
                    .await
                    .into_iter()
                    .fold(0, |len, byte| len << 8 | usize::from(byte)),
                len => len.into(),
            };
            (head[0], self.bytes(len).await)
        };
        timeout(PATIENCE, read).await.expect("a frame comes")
    }

    /// Reads a close frame: its code and its text. The server then closes its write half.
    async fn close(&mut self) -> (u16, String) {
        let (first, payload) = self.frame().await;
        assert_eq!(first, 0x88, "{payload:x?}");
        let code = payload
            .get(..2)
            .map_or(0, |code| u16::from(code[0]) << 8 | u16::from(code[1]));
        let text = payload.get(2..).unwrap_or_default();
        (code, String::from_utf8(text.to_vec()).unwrap())
    }

    async fn end_of_stream(&mut self) {
        let mut rest = std::mem::take(&mut self.read);
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut rest));
        // A server that has given up resets.
        drop(read.await.expect("the stream ends"));
        assert!(rest.is_empty(), "{rest:x?}");
    }
}

fn handler<F>(
    options: &WebSocketOptions,
    talk: F,
) -> impl AsyncFn(Request<'_>) -> Result<Responded> + use<F>
where
    F: AsyncFnOnce(WebSocket) -> Result<()> + Clone + 'static,
{
    let options = options.clone();
    async move |request: Request<'_>| websocket::upgrade(request, &options, talk.clone()).await
}

async fn echo(mut socket: WebSocket) -> Result<()> {
    while let Some(message) = socket.next().await? {
        socket.send(&message).await?;
    }
    Ok(())
}

/// Runs a test whose time is paused.
fn run(test: impl Future<Output = ()>) {
    block_on(async {
        time::pause();
        test.await;
    });
}

/// Returns a list, and a function that adds the outcome of a socket to it.
fn outcomes() -> (
    Rc<RefCell<Vec<String>>>,
    impl AsyncFnOnce(WebSocket) -> Result<()> + Clone,
) {
    let list = Rc::new(RefCell::new(Vec::new()));
    let noted = list.clone();
    let listen = async move |mut socket: WebSocket| {
        loop {
            match socket.next().await {
                Ok(Some(message)) => noted.borrow_mut().push(format!("{message:?}")),
                Ok(None) => {
                    let reason = socket.close_reason();
                    noted.borrow_mut().push(format!(
                        "closed {:?}",
                        reason.map(|reason| reason.code.get())
                    ));
                    return Ok(());
                }
                Err(error) => {
                    noted.borrow_mut().push(error.to_string());
                    return Err(error.into());
                }
            }
        }
    };
    (list, listen)
}

#[test]
fn a_message_comes_back_in_pieces_of_any_size() {
    run(async {
        for size in [1, 2, 5, 1000] {
            let mut client = Client::open(&WebSocketOptions::new(), echo).await;
            let frames = [
                frame(0x81, "flour"),
                frame(0x01, "gr"),
                frame(0x89, "are you there?"), // RFC 6455, 5.5.2
                frame(0x80, "ist"),
                frame(0x82, [7; 300]),
                frame(0x81, ""),
            ];
            let send = async {
                for piece in frames.concat().chunks(size) {
                    client.stream.write_all(piece).await.unwrap();
                    yield_now().await;
                }
            };
            send.await;
            assert_eq!(client.frame().await, (0x81, b"flour".to_vec()));
            assert_eq!(client.frame().await, (0x8a, b"are you there?".to_vec()));
            assert_eq!(client.frame().await, (0x81, b"grist".to_vec()));
            assert_eq!(client.frame().await, (0x82, vec![7; 300]));
            assert_eq!(client.frame().await, (0x81, Vec::new()));
        }
    });
}

#[test]
fn answers_to_messages_of_one_read_keep_their_order() {
    run(async {
        // Small ones wait for each other, one above 16 KiB does not, and neither does the last.
        let sizes = [3, 0, 200, 17_000, 5, 9000, 9000, 1];
        let mut client = Client::open(&WebSocketOptions::new(), echo).await;
        let frames = sizes.map(|size| frame(0x82, vec![7; size]));
        client.send(frames.concat()).await;
        for size in sizes {
            assert_eq!(client.frame().await, (0x82, vec![7; size]));
        }
    });
}

#[test]
fn an_answer_leaves_while_the_messages_behind_it_are_unread() {
    run(async {
        let mut client = Client::open(&WebSocketOptions::new(), async |mut socket: WebSocket| {
            socket.next().await?;
            socket.send_text("one").await?;
            sleep(Duration::from_secs(10)).await;
            socket.send_text("two").await?;
            Ok(())
        })
        .await;
        let begun = Instant::now();
        client
            .send(
                [
                    frame(0x81, "flour"),
                    frame(0x81, "grist"),
                    frame(0x81, "bran"),
                ]
                .concat(),
            )
            .await;
        assert_eq!(client.frame().await, (0x81, b"one".to_vec()));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        // The handler returns, so the close frame follows the message that waited.
        assert_eq!(client.frame().await, (0x81, b"two".to_vec()));
        assert_eq!(client.close().await.0, 1000);
    });
}

#[test]
fn bytes_behind_the_handshake_are_the_first_frames() {
    run(async {
        let server = Server::builder().without_listener();
        let mut client = TestClient::of(&server, handler(&WebSocketOptions::new(), echo));
        let first = [
            HANDSHAKE.as_bytes(),
            &frame(0x81, "early"),
            &frame(0x81, "late")[..3],
        ]
        .concat();
        client.send(first).await;
        assert_eq!(client.answer().await.status.as_u16(), 101);
        let (stream, read) = client.into_stream();
        let mut client = Client { stream, read };
        assert_eq!(client.frame().await, (0x81, b"early".to_vec()));
        client.send(&frame(0x81, "late")[3..]).await;
        assert_eq!(client.frame().await, (0x81, b"late".to_vec()));
    });
}

#[test]
fn a_broken_rule_is_answered_with_its_code_and_ends_the_socket() {
    run(async {
        // The bytes, the code, and the section of RFC 6455.
        let rows: &[(&[u8], u16, &str)] = &[
            (b"\x81\x05flour", 1002, "5.1: no mask"),
            (b"\xc1\x80aaaa", 1002, "5.2: RSV1"),
            (b"\xa1\x80aaaa", 1002, "5.2: RSV2"),
            (b"\x91\x80aaaa", 1002, "5.2: RSV3"),
            (b"\x83\x80aaaa", 1002, "5.2: opcode 3"),
            (b"\x8b\x80aaaa", 1002, "5.2: opcode 11"),
            (b"\x80\x80aaaa", 1002, "5.4: a continuation first"),
            (
                b"\x01\x80aaaa\x81\x80aaaa",
                1002,
                "5.4: a message in a message",
            ),
            (b"\x09\x80aaaa", 1002, "5.5: a fragmented ping"),
            (b"\x89\xfe\x00\x7eaaaa", 1002, "5.5: a ping of 126 bytes"),
            (
                b"\x81\xfe\x00\x05aaaa",
                1002,
                "5.2: a length that is not the shortest",
            ),
            (
                b"\x81\xff\x80\0\0\0\0\0\0\0aaaa",
                1002,
                "5.2: a length of 64 bits",
            ),
            (b"\x81\x81\0\0\0\0\xff", 1007, "8.1: not UTF-8"),
            (b"\x81\x83\0\0\0\0\xed\xa0\x80", 1007, "8.1: a surrogate"),
            (b"\x01\x81\0\0\0\0\xc0", 1007, "8.1: at once"),
            (b"\x88\x81\0\0\0\0\x03", 1002, "5.5.1: one byte"),
            (b"\x88\x82\0\0\0\0\x03\xed", 1002, "7.4.1: 1005 is not sent"),
            (b"\x88\x83\0\0\0\0\x03\xe8\xff", 1007, "5.5.1: not UTF-8"),
            (b"\x82\xff\0\0\0\0\0\x20\0\0aaaa", 1009, "10.4: 2 MiB"),
        ];
        for (bytes, code, section) in rows {
            let (list, listen) = outcomes();
            let mut client = Client::open(&WebSocketOptions::new(), listen).await;
            client.send(bytes).await;
            assert_eq!(client.close().await.0, *code, "{section}");
            // Bytes that follow are discarded.
            client.send(frame(0x81, "more")).await;
            client.stream.end();
            client.end_of_stream().await;
            assert_eq!(list.borrow().len(), 1, "{section}: {list:?}");
        }
    });
}

#[test]
fn a_close_frame_is_answered_with_its_code() {
    run(async {
        // RFC 6455, 5.5.1
        for (frame, answer, outcome) in [
            (close_frame(1000, "bye"), 1000, "closed Some(1000)"),
            (close_frame(4321, ""), 4321, "closed Some(4321)"),
            (frame(0x88, ""), 0, "closed None"),
        ] {
            let (list, listen) = outcomes();
            let mut client = Client::open(&WebSocketOptions::new(), listen).await;
            client.send(frame).await;
            assert_eq!(client.close().await, (answer, String::new()));
            // The server ends first (RFC 6455, 7.1.1).
            client.end_of_stream().await;
            assert_eq!(*list.borrow(), [outcome]);
        }
    });
}

#[test]
fn a_socket_closes_when_its_function_returns() {
    run(async {
        let options = WebSocketOptions::new();
        let good = async |_: WebSocket| Ok(());
        let bad = async |_: WebSocket| Err(Error::message("the mill burns"));
        let told = async |mut socket: WebSocket| -> Result<()> {
            let long = "ü".repeat(100);
            socket.close(CloseCode::TRY_AGAIN_LATER, &long).await?;
            assert!(matches!(
                socket.send_text("x").await,
                Err(WebSocketError::Closed)
            ));
            Ok(())
        };
        let mut client = Client::open(&options, good).await;
        assert_eq!(client.close().await, (1000, String::new()));
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;

        let mut client = Client::open(&options, bad).await;
        assert_eq!(client.close().await, (1011, String::new()));

        let mut client = Client::open(&options, told).await;
        // 123 bytes would end within a character.
        assert_eq!(client.close().await, (1013, "ü".repeat(61)));
        client.send(frame(0x81, "on its way")).await;
        client.send(close_frame(1013, "")).await;
        client.end_of_stream().await;
    });
}

#[test]
fn a_client_that_does_not_answer_a_close_frame_is_given_up() {
    run(async {
        let told = async |mut socket: WebSocket| -> Result<()> {
            let closed = socket.close(CloseCode::NORMAL, "").await;
            assert!(
                matches!(closed, Err(WebSocketError::TimedOut)),
                "{closed:?}"
            );
            Ok(())
        };
        for wait in [Duration::from_secs(10), Duration::from_secs(3)] {
            let options = WebSocketOptions::new().close_duration_max(wait);
            let mut client = Client::open(&options, told).await;
            let start = Instant::now();
            assert_eq!(client.close().await.0, 1000);
            client.end_of_stream().await;
            assert!((wait..wait + Duration::from_millis(100)).contains(&start.elapsed()));
        }
    });
}

#[test]
fn a_lost_client_is_an_error_that_is_no_fault_of_the_server() {
    run(async {
        for cut in [
            &[][..],
            &frame(0x81, "half a message")[..9],
            &frame(0x01, "a"),
        ] {
            let (list, listen) = outcomes();
            let mut client = Client::open(&WebSocketOptions::new(), listen).await;
            client.send(cut).await;
            drop(client);
            while list.borrow().is_empty() {
                yield_now().await;
            }
            assert!(
                list.borrow()[0].starts_with("the websocket is lost"),
                "{list:?}"
            );
        }
        let mut lost = None;
        let talk = async |mut socket: WebSocket| socket.next().await.map(drop);
        let options = WebSocketOptions::new();
        let result = Rc::new(RefCell::new(None));
        let noted = result.clone();
        let client = Client::open(&options, async move |socket: WebSocket| {
            *noted.borrow_mut() = Some(talk(socket).await.map_err(Error::from));
            Ok(())
        })
        .await;
        drop(client);
        while lost.is_none() {
            lost = result.borrow_mut().take();
            yield_now().await;
        }
        assert!(lost.unwrap().unwrap_err().is_disconnect());
    });
}

#[test]
fn a_silent_client_gets_a_ping_and_is_given_up_if_it_stays_silent() {
    run(async {
        let (list, listen) = outcomes();
        let mut client = Client::open(&WebSocketOptions::new(), listen).await;
        let start = Instant::now();
        let ping_at = |seconds: u64| {
            let due = Duration::from_secs(seconds);
            assert!(
                (due..due + Duration::from_millis(100)).contains(&start.elapsed()),
                "{:?}",
                start.elapsed()
            );
        };
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        ping_at(30);
        client.send(frame(0x8a, "")).await;
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        ping_at(60);
        // Any byte is a sign of life.
        sleep(Duration::from_secs(20)).await;
        client.send(&frame(0x81, "x")[..1]).await;
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        ping_at(110);
        client.end_of_stream().await;
        ping_at(140);
        assert_eq!(*list.borrow(), ["the client of the websocket is silent"]);
    });
}

#[test]
fn the_time_of_a_slow_handler_is_not_the_silence_of_its_client() {
    run(async {
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        let slow = async move |mut socket: WebSocket| {
            while let Some(_message) = socket.next().await? {
                sleep(Duration::from_secs(3600)).await;
                counted.set(counted.get() + 1);
            }
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), slow).await;
        client.send(frame(0x81, "1")).await;
        sleep(Duration::from_secs(3590)).await;
        client.send(frame(0x81, "2")).await;
        client.send(close_frame(1000, "")).await;
        assert_eq!(client.close().await.0, 1000);
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn the_drop_of_a_writing_half_leaves_the_reader_its_deadlines() {
    run(async {
        let listen = async |socket: WebSocket| {
            let (mut reader, writer) = socket.split();
            let read = async { reader.next().await.map(drop) };
            let leave = async {
                sleep(Duration::from_secs(10)).await;
                drop(writer);
            };
            Ok(join(read, leave).await.0?)
        };
        let mut client = Client::open(&WebSocketOptions::new(), listen).await;
        let start = Instant::now();
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        assert_eq!(start.elapsed().as_secs(), 30);
        client.end_of_stream().await;
        assert_eq!(start.elapsed().as_secs(), 60);
    });
}

#[test]
fn a_socket_that_opens_while_the_server_ends_is_told_so() {
    run(async {
        let server = Server::builder().without_listener();
        let mut early = TestClient::of(&server, handler(&WebSocketOptions::new(), echo));
        early.send(&HANDSHAKE[..20]).await;
        yield_now().await;
        let end = server.shutdown(Duration::from_secs(20));
        let client = async {
            sleep(Duration::from_secs(1)).await;
            early.send(&HANDSHAKE[20..]).await;
            assert_eq!(early.answer().await.status.as_u16(), 101);
            let (stream, read) = early.into_stream();
            let mut client = Client { stream, read };
            assert_eq!(client.close().await.0, 1001);
            client.send(close_frame(1001, "")).await;
            client.end_of_stream().await;
        };
        let (report, ()) = join(end, client).await;
        assert_eq!(report.cut, 0, "{report}");
    });
}

#[test]
fn a_handler_with_other_work_still_pings_a_silent_client() {
    run(async {
        let busy = async |mut socket: WebSocket| {
            loop {
                // Each turn drops the wait for a message, and begins another one.
                let turn = async {
                    sleep(Duration::from_secs(1)).await;
                    Ok(None)
                };
                let read = async { socket.next().await.map(Some) };
                if race(read, turn).await? == Some(None) {
                    return Ok(());
                }
            }
        };
        let mut client = Client::open(&WebSocketOptions::new(), busy).await;
        let start = Instant::now();
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        assert!(
            start.elapsed() < Duration::from_secs(32),
            "{:?}",
            start.elapsed()
        );
        client.end_of_stream().await;
        assert!(
            start.elapsed() < Duration::from_secs(64),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn a_client_that_reads_nothing_makes_send_wait_and_is_given_up() {
    run(async {
        let sent = Rc::new(Cell::new(0));
        let counted = sent.clone();
        let flood = async move |mut socket: WebSocket| {
            loop {
                socket.send_binary(&[7; 1000]).await?;
                counted.set(counted.get() + 1);
            }
        };
        let mut client = Client::open(&WebSocketOptions::new(), flood.clone()).await;
        sleep(Duration::from_secs(10)).await;
        // The memory of the stream, and no more.
        let full = sent.get();
        assert!((60..=70).contains(&full), "{full}");
        for _ in 0..20 {
            assert_eq!(client.frame().await, (0x82, vec![7; 1000]));
        }
        sleep(Duration::from_secs(10)).await;
        assert!(sent.get() >= full + 15);
        let stalled = sent.get();
        sleep(Duration::from_secs(31)).await;
        assert_eq!(sent.get(), stalled);
        // The bytes in the stream are still there, then the end.
        let mut rest = Vec::new();
        drop(client.stream.read_to_end(&mut rest).await);
        assert!(rest.len() < 70_000);
    });
}

#[test]
fn a_flood_of_pings_from_a_client_that_reads_nothing_leaves_the_last_one() {
    run(async {
        let mut client = Client::open(&WebSocketOptions::new(), echo).await;
        let mut flood = Vec::new();
        for number in 0..20_000_u32 {
            flood.extend(frame(0x89, number.to_string()));
        }
        flood.extend(frame(0x89, "last"));
        client.send(&flood).await;
        let (mut pongs, mut last) = (0, Vec::new());
        while last != b"last" {
            let (first, payload) = client.frame().await;
            assert_eq!(first, 0x8a);
            (pongs, last) = (pongs + 1, payload);
        }
        assert!((1000..20_000).contains(&pongs), "{pongs}");
    });
}

#[test]
fn a_dropped_send_leaves_whole_frames() {
    run(async {
        let hasty = async |mut socket: WebSocket| {
            for number in 0..50_u8 {
                // Most of these do not fit, so the drop comes within a frame.
                let large = [number; 10_000];
                let send = timeout(Duration::from_millis(10), socket.send_binary(&large));
                if let Ok(sent) = send.await {
                    sent?;
                }
            }
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), hasty).await;
        sleep(Duration::from_secs(5)).await;
        let mut numbers = Vec::new();
        loop {
            let (first, payload) = client.frame().await;
            if first == 0x88 {
                break;
            }
            assert_eq!(payload.len(), 10_000);
            assert!(
                payload.iter().all(|byte| *byte == payload[0]),
                "frames are mixed"
            );
            numbers.push(payload[0]);
        }
        assert!(numbers.is_sorted() && numbers.len() >= 6, "{numbers:?}");
    });
}

#[test]
fn the_halves_work_in_two_tasks() {
    run(async {
        let both = async |socket: WebSocket| {
            let (mut reader, mut writer) = socket.split();
            let write = spawn(async move {
                for number in 0..100_000_u32 {
                    if writer.send_text(&number.to_string()).await.is_err() {
                        return number;
                    }
                }
                100_000
            });
            let mut read = 0;
            while let Some(_message) = reader.next().await? {
                read += 1;
            }
            assert_eq!(read, 100);
            assert!(write.await? > 0);
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), both).await;
        let mut next = 0;
        for number in 0..100 {
            client.send(frame(0x81, number.to_string())).await;
            client.send(frame(0x89, "p")).await;
            let mut pong = false;
            while !pong {
                let (first, payload) = client.frame().await;
                pong = first == 0x8a;
                if first == 0x81 {
                    assert_eq!(payload, next.to_string().as_bytes());
                    next += 1;
                }
            }
        }
        client.send(close_frame(1000, "")).await;
        while client.frame().await.0 != 0x88 {}
        client.end_of_stream().await;
    });
}

#[test]
fn a_socket_in_another_task_ends_there_and_its_halves_keep_it_open() {
    run(async {
        let moved = async |socket: WebSocket| {
            spawn(async move {
                let (mut reader, writer) = socket.split();
                drop(writer);
                sleep(Duration::from_secs(5)).await;
                drop(reader.next().await);
            })
            .detach();
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), moved).await;
        let start = Instant::now();
        client.send(frame(0x81, "x")).await;
        assert_eq!(client.close().await.0, 1000);
        assert_eq!(start.elapsed().as_secs(), 5);
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;
    });
}

#[test]
fn a_socket_is_a_stream_and_a_sink() {
    run(async {
        use futures_core::Stream;
        use futures_sink::Sink;
        use std::future::poll_fn;
        use std::pin::Pin;
        let forward = async |mut socket: WebSocket| {
            while let Some(message) = poll_fn(|cx| Pin::new(&mut socket).poll_next(cx)).await {
                let message = message?;
                for _ in 0..3 {
                    poll_fn(|cx| Pin::new(&mut socket).poll_ready(cx)).await?;
                    Pin::new(&mut socket).start_send(message.clone())?;
                }
                poll_fn(|cx| Pin::new(&mut socket).poll_flush(cx)).await?;
            }
            poll_fn(|cx| Pin::new(&mut socket).poll_close(cx)).await?;
            let closed = Pin::new(&mut socket).start_send(Message::from("late"));
            assert!(matches!(closed, Err(WebSocketError::Closed)));
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), forward).await;
        client.send(frame(0x81, "thrice")).await;
        for _ in 0..3 {
            assert_eq!(client.frame().await, (0x81, b"thrice".to_vec()));
        }
        client.send(close_frame(1000, "")).await;
        assert_eq!(client.close().await.0, 1000);
        client.end_of_stream().await;
    });
}

#[test]
fn a_server_that_ends_says_goodbye_to_each_socket_and_waits_for_its_answer() {
    run(async {
        let server = Server::builder().without_listener();
        let options = WebSocketOptions::new();
        let (list, listen) = outcomes();
        // Handlers that read, that wait for something else, that send, and that have moved the socket away.
        let deaf = async |_socket: WebSocket| pending().await;
        let sending = async |mut socket: WebSocket| {
            loop {
                sleep(Duration::from_millis(100)).await;
                socket.send_text("tick").await?;
            }
        };
        let moved = async |mut socket: WebSocket| {
            let task = spawn(async move { socket.next().await.map(drop) });
            Ok(task.await??)
        };
        let mut reading = Client::of(&server, &options, listen).await;
        let mut others = [
            Client::of(&server, &options, deaf).await,
            Client::of(&server, &options, sending).await,
            Client::of(&server, &options, moved).await,
        ];
        let end = server.shutdown(Duration::from_secs(20));
        let clients = async {
            assert_eq!(
                reading.close().await,
                (1001, "the server shuts down".to_owned())
            );
            // A message on its way is not lost.
            reading.send(frame(0x81, "last")).await;
            sleep(Duration::from_secs(12)).await;
            reading.send(close_frame(1001, "")).await;
            reading.end_of_stream().await;
            reading.stream.end();
            for client in &mut others {
                while client.read.first() != Some(&0x88) {
                    let (first, payload) = client.frame().await;
                    if first == 0x88 {
                        assert_eq!(payload[..2], 1001_u16.to_be_bytes());
                        break;
                    }
                }
                client.send(close_frame(1001, "")).await;
                client.end_of_stream().await;
                client.stream.end();
            }
        };
        let (report, ()) = join(end, clients).await;
        assert_eq!((report.cut, report.upgraded), (0, 4), "{report}");
        assert_eq!(*list.borrow(), ["Text(\"last\")", "closed Some(1001)"]);
    });
}

#[test]
fn a_client_that_does_not_answer_the_goodbye_is_cut_at_the_deadline() {
    run(async {
        let server = Server::builder().without_listener();
        let (list, listen) = outcomes();
        let mut client = Client::of(&server, &WebSocketOptions::new(), listen).await;
        let start = Instant::now();
        let (report, code) = join(server.shutdown(Duration::from_secs(20)), client.close()).await;
        assert_eq!((code.0, report.cut), (1001, 1), "{report}");
        assert_eq!(start.elapsed().as_secs(), 20);
        client.end_of_stream().await;
        assert!(
            list.borrow()[0].contains("the server has shut down"),
            "{list:?}"
        );
    });
}

#[test]
fn a_socket_survives_a_transport_that_moves_few_bytes_and_waits_often() {
    block_on(async {
        for seed in 0..20 {
            let server = Server::builder().without_listener();
            let options = WebSocketOptions::new();
            let client = TestClient::through(&server, handler(&options, echo), |stream| {
                Torture::new(stream, seed)
            });
            let mut client = Client::shake_hands(client).await;
            for len in [0, 1, 125, 126, 3000, 65_535, 65_536] {
                let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
                let cut = len / 2;
                client.send(frame(0x02, &payload[..cut])).await;
                client.send(frame(0x89, "p")).await;
                client.send(frame(0x80, &payload[cut..])).await;
                assert_eq!(client.frame().await, (0x8a, b"p".to_vec()));
                assert_eq!(client.frame().await, (0x82, payload));
            }
            client.send(close_frame(1000, "")).await;
            assert_eq!(client.close().await.0, 1000);
            client.end_of_stream().await;
        }
    });
}

#[test]
fn a_compressed_message_may_not_exceed_the_limit_when_it_is_decompressed() {
    run(async {
        // RFC 7692, 7.2.3.1
        let options = WebSocketOptions::new().compress().message_bytes_max(5);
        let mut client = Client::open(&options, echo).await;
        client
            .send(frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00"))
            .await;
        assert_eq!(client.frame().await, (0x81, b"Hello".to_vec()));
        client
            .send(frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x57\x04\x00"))
            .await; // Hello!
        assert_eq!(client.close().await.0, 1009);

        let mut client = Client::open(&WebSocketOptions::new().compress(), echo).await;
        client.send(frame(0xc1, b"\xff\xff")).await;
        assert_eq!(client.close().await.0, 1007);
    });
}

#[test]
fn compressed_messages_of_both_kinds_come_back() {
    run(async {
        let long = "the mill turns ".repeat(100);
        for options in [
            WebSocketOptions::new().compress(),
            WebSocketOptions::new().compress_across_messages(),
        ] {
            let mut client = Client::open(&options, echo).await;
            let mut sizes = Vec::new();
            for _ in 0..3 {
                client.send(frame(0x81, &long)).await;
                let (first, payload) = client.frame().await;
                assert_eq!(first, 0xc1);
                sizes.push(payload.len());
            }
            assert!(sizes[0] < 100, "{sizes:?}");
        }
    });
}

#[test]
fn a_refused_handshake_leaves_the_connection_open() {
    run(async {
        let mut client = TestClient::new(handler(&WebSocketOptions::new(), echo));
        assert_eq!(client.get("/").await.status.as_u16(), 426);
        client.send(HANDSHAKE).await;
        assert_eq!(client.answer().await.status.as_u16(), 101);
    });
}

#[test]
fn a_violation_is_named_to_the_handler() {
    run(async {
        let named = Rc::new(Cell::new(None));
        let seen = named.clone();
        let talk = async move |mut socket: WebSocket| {
            if let Err(WebSocketError::Violation(violation)) = socket.next().await {
                seen.set(Some(violation));
            }
            // The error is returned once, and then the end.
            assert!(matches!(socket.next().await, Ok(None)));
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        client.send(b"\x81\x00").await;
        assert_eq!(
            client.close().await,
            (1002, "a frame without a mask".to_owned())
        );
        assert_eq!(named.get(), Some(Violation::Unmasked));
    });
}

#[test]
fn a_close_in_one_task_leaves_the_messages_and_the_end_to_the_reader_in_another() {
    run(async {
        let ended = Rc::new(Cell::new(false));
        let has_ended = ended.clone();
        let talk = async move |socket: WebSocket| {
            let (mut reader, mut writer) = socket.split();
            let read = spawn(async move {
                let mut texts = Vec::new();
                while let Some(message) = reader.next().await? {
                    texts.push(message);
                }
                Result::<Vec<Message>>::Ok(texts)
            });
            yield_now().await;
            let close = spawn(async move { writer.close(CloseCode::NORMAL, "").await });
            timeout(PATIENCE, close).await.expect("the close ends")??;
            let read = timeout(PATIENCE, read).await.expect("the reader ends")??;
            assert_eq!(read, [Message::from("last")]);
            has_ended.set(true);
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        assert_eq!(client.close().await, (1000, String::new()));
        client.send(frame(0x81, "last")).await;
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;
        sleep(2 * PATIENCE).await;
        assert!(ended.get());
    });
}

#[test]
fn a_function_that_panics_closes_its_socket_with_1011() {
    run(async {
        let talk = async |mut socket: WebSocket| {
            socket.next().await?;
            panic!("a fault of the function");
        };
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        client.send(frame(0x81, "x")).await;
        assert_eq!(client.close().await, (1011, String::new()));
        client.send(close_frame(1011, "")).await;
        client.end_of_stream().await;
    });
}
