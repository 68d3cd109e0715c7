//! A chunked body, read by the server and by a decoder that is written plainly.
//!
//! The first bytes say how the handler reads the body and where it is cut on its way; what follows
//! them is the body, and what comes behind it. The server hands its stream over once the body is
//! read, so that the first byte behind it is seen.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use futures_lite::AsyncReadExt;
use http_body::Body as _;
use waterwheel::http::{
    HeaderMap, Limits, Method, Request, Responded, Result, StatusCode, Upgrade,
};
use waterwheel::runtime::{JoinHandle, spawn};

use super::answers::{self, Answers};
use super::decoder::{Decoded, Fault, decode};
use super::head::SLOW_BYTES_MAX;
use super::play::{self, Client, SENT_BYTES_MAX, settle};

/// Small enough for a fuzzer to meet them.
const LIMITS: Limits = {
    let mut limits = super::head::LIMITS;
    limits.field_line_bytes_max = 40;
    limits
};

const UPGRADING: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: rest\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

const IGNORED: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// How many bytes of an input are not of the body.
const SETTINGS: usize = 4;

/// How a handler reads.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Whole.
    Bytes,
    /// Piece by piece.
    Pieces,
    /// Into a buffer of that many bytes.
    Buffer(usize),
    /// As `http-body`.
    Frames,
}

/// How the body is sent.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// In one piece with its head.
    Whole,
    /// A byte at a time, all of them at once.
    Bytes,
    /// Cut in those places, each piece when the one before has been dealt with.
    Cut([u8; 3]),
    /// A byte at a time, each when the one before has been dealt with.
    SlowBytes,
}

/// What a handler found.
#[derive(Debug, Default)]
struct Found {
    /// Up to the fault; nothing of a body that is read whole or not at all.
    body: Vec<u8>,
    trailers: HeaderMap,
    fault: Option<Fault>,
    rest: Option<JoinHandle<Vec<u8>>>,
}

/// The target.
///
/// # Panics
///
/// When the server and the decoder disagree.
pub fn chunked(bytes: &[u8]) {
    let Some((settings, bytes)) = bytes.split_first_chunk::<SETTINGS>() else {
        return;
    };
    let bytes = &bytes[..bytes.len().min(SENT_BYTES_MAX / 2)];
    let [way, cuts @ ..] = *settings;
    let way = Way::of(way);
    let expected = decode(bytes, &LIMITS);
    let mut paces = vec![Pace::Whole, Pace::Bytes, Pace::Cut(cuts)];
    if bytes.len() <= SLOW_BYTES_MAX {
        paces.push(Pace::SlowBytes);
    }
    for pace in paces {
        compare(bytes, way, pace, &expected);
    }
    ignore(bytes, Pace::Cut(cuts), &expected);
}

/// The server reads it, and then whatever is behind it.
fn compare(bytes: &[u8], way: Way, pace: Pace, expected: &Decoded) {
    let context = || format!("{way:?} {pace:?} {expected:?}");
    let found = Rc::<RefCell<Found>>::default();
    let (output, rest) = play::run(async {
        let handler = {
            let found = Rc::clone(&found);
            async move |request: Request<'_>| read(&found, way, request).await
        };
        let mut client = Client::new(LIMITS, handler);
        pace.send(&mut client, UPGRADING, bytes).await;
        client.end();
        client.read_to_end().await;
        let rest = found.borrow_mut().rest.take();
        let rest = match rest {
            Some(rest) => Some(rest.await.expect("the rest can be read")),
            None => None,
        };
        (client.leave().await, rest)
    });
    let found = found.take();
    let answers = answers::read(&output, &[Method::POST]);
    assert_eq!(found.fault, expected.end.err(), "{}", context());
    if found.fault.is_none() || !matches!(way, Way::Bytes) {
        assert_eq!(found.body, expected.body, "{}", context());
    }
    match expected.end {
        Ok(end) => {
            assert_eq!(rest.as_deref(), Some(&bytes[end..]), "{}", context());
            assert_eq!(
                by_name(&found.trailers),
                sorted(&expected.trailers),
                "{}",
                context()
            );
            assert_eq!(answers.tunnelled, Some(Vec::new()), "{}", context());
            check_one(&answers, 101, &context);
        }
        Err(fault) => {
            check_one(&answers, fault.status(), &context);
            assert!(answers.last[0].closes(), "{}", context());
        }
    }
}

/// The handler reads nothing of it, and the server reads past it to the next request, or closes when
/// there is too much of it.
fn ignore(bytes: &[u8], pace: Pace, expected: &Decoded) {
    let bytes = match expected.end {
        Ok(end) => [&bytes[..end], NEXT].concat(),
        Err(_) => bytes.to_vec(),
    };
    let output = play::run(async {
        let handler = async |request: Request<'_>| {
            let path = request.path();
            request.respond(StatusCode::OK, path, ()).await
        };
        let mut client = Client::new(LIMITS, handler);
        pace.send(&mut client, IGNORED, &bytes).await;
        client.end();
        client.read_to_end().await;
        client.leave().await
    });
    let answers = answers::read(&output, &[Method::POST, Method::GET]);
    let bodies: Vec<_> = answers.last.iter().map(|answer| &answer.body[..]).collect();
    let goes_on = expected.end.is_ok() && expected.body.len() as u64 <= LIMITS.drain_bytes_max;
    let both: [&[u8]; 2] = [b"/", b"/next"];
    let given = if goes_on { &both[..] } else { &both[..1] };
    assert_eq!(bodies, given, "{expected:?}");
}

fn check_one(answers: &Answers, status: u16, context: &dyn Fn() -> String) {
    let statuses: Vec<_> = answers.last.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [status], "{}", context());
    assert!(answers.interim.is_empty() && answers.begun.is_empty());
}

/// The handler.
async fn read(found: &RefCell<Found>, way: Way, request: Request<'_>) -> Result<Responded> {
    if let Err(error) = way.read(found, &request).await {
        let refusal = error.refusal().expect("the client is to blame");
        found.borrow_mut().fault = Some(Fault::of(refusal));
        return Err(error);
    }
    if let Some(trailers) = request.body().trailers() {
        found.borrow_mut().trailers = trailers;
    }
    let (responded, upgrade) = request.upgrade("rest", ()).await?;
    found.borrow_mut().rest = Some(spawn(read_rest(upgrade)));
    Ok(responded)
}

async fn read_rest(upgrade: Upgrade) -> Vec<u8> {
    let mut stream = upgrade.await.expect("the stream");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("the rest");
    rest
}

impl Way {
    fn of(setting: u8) -> Self {
        match setting % 4 {
            0 => Self::Bytes,
            1 => Self::Pieces,
            2 => Self::Frames,
            _ => Self::Buffer(1 + usize::from(setting / 4)),
        }
    }

    async fn read(self, found: &RefCell<Found>, request: &Request<'_>) -> Result<()> {
        let mut body = request.body();
        let add = |piece: &[u8]| found.borrow_mut().body.extend_from_slice(piece);
        match self {
            Self::Bytes => add(&request.bytes().await?),
            Self::Pieces => {
                while let Some(piece) = body.next().await? {
                    assert!(!piece.is_empty());
                    add(&piece);
                }
            }
            Self::Buffer(size) => {
                let mut buffer = vec![0; size];
                loop {
                    match body.read(&mut buffer).await? {
                        0 => break,
                        count => add(&buffer[..count]),
                    }
                }
            }
            Self::Frames => {
                let mut body = pin!(body);
                while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                    match frame?.into_data() {
                        Ok(piece) => add(&piece),
                        Err(frame) => {
                            found.borrow_mut().trailers = frame.into_trailers().unwrap_or_default();
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Pace {
    async fn send(self, client: &mut Client, head: &[u8], body: &[u8]) {
        if let Self::Whole = self {
            client.send(&[head, body].concat()).await;
            return;
        }
        client.send(head).await;
        match self {
            Self::Whole => {}
            Self::Bytes => {
                for byte in body {
                    client.send(std::slice::from_ref(byte)).await;
                }
            }
            Self::SlowBytes => {
                for byte in body {
                    settle().await;
                    client.send(std::slice::from_ref(byte)).await;
                }
            }
            Self::Cut(cuts) => {
                let mut rest = body;
                for cut in cuts {
                    settle().await;
                    let (piece, behind) = rest.split_at(rest.len() * usize::from(cut) / 256);
                    client.send(piece).await;
                    rest = behind;
                }
                settle().await;
                client.send(rest).await;
            }
        }
    }
}

/// Names in lower case and in order; the values of one name as they came.
fn sorted(trailers: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let lower = |(name, value): &(String, Vec<u8>)| (name.to_ascii_lowercase(), value.clone());
    let mut trailers: Vec<_> = trailers.iter().map(lower).collect();
    trailers.sort_by(|one, other| one.0.cmp(&other.0));
    trailers
}

fn by_name(trailers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let pair = |(name, value): (&_, &_)| owned(name, value);
    sorted(&trailers.iter().map(pair).collect::<Vec<_>>())
}

fn owned(
    name: &waterwheel::http::HeaderName,
    value: &waterwheel::http::HeaderValue,
) -> (String, Vec<u8>) {
    (name.as_str().to_owned(), value.as_bytes().to_vec())
}
