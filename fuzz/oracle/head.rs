//! Anything at all, sent to a server that says what it saw.
//!
//! However it is split on its way, the outcome is the same; and what comes back can be read.

use std::rc::Rc;

use waterwheel::http::{Limits, Method, Request};

use super::answers::{self, Answers};
use super::play::{self, Client, SENT_BYTES_MAX, settle};
use super::seen::{Log, Seen, echo};

/// How the bytes are sent.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// In one piece.
    Whole,
    /// A byte at a time, all of them at once.
    Bytes,
    /// In a few pieces, each when the one before has been dealt with.
    Pieces,
    /// A byte at a time, each when the one before has been dealt with.
    SlowBytes,
}

/// Small enough for a fuzzer to meet them.
pub const LIMITS: Limits = {
    let mut limits = Limits::DEFAULT;
    limits.target_bytes_max = 64;
    limits.field_line_bytes_max = 96;
    limits.fields_max = 8;
    limits.head_bytes_max = 384;
    limits.body_bytes_max = 256;
    limits.chunk_line_bytes_max = 32;
    limits.chunk_extension_bytes_max = 48;
    limits.trailer_bytes_max = 96;
    limits.trailer_fields_max = 3;
    limits.drain_bytes_max = 64;
    limits
};

/// Beyond this, one byte after the other takes too long.
pub const SLOW_BYTES_MAX: usize = 256;

/// The target: `bytes` is what a client sends.
///
/// # Panics
///
/// When something is not as it has to be.
pub fn head(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(SENT_BYTES_MAX)];
    let whole = exchange(bytes, Pace::Whole);
    check(bytes, &whole);
    let mut paces = vec![Pace::Bytes, Pace::Pieces];
    if bytes.len() <= SLOW_BYTES_MAX {
        paces.push(Pace::SlowBytes);
    }
    for pace in paces {
        let other = exchange(bytes, pace);
        assert!(
            whole.0 == other.0 && whole.1.last == other.1.last,
            "split, it is answered otherwise: {whole:#?}\n{pace:?}: {other:#?}"
        );
    }
}

/// Sends it all, and reads it all.
fn exchange(bytes: &[u8], pace: Pace) -> (Vec<Seen>, Answers) {
    let log = Log::default();
    let output = play::run(async {
        let handler = {
            let log = Rc::clone(&log);
            async move |request: Request<'_>| echo(&log, request).await
        };
        let mut client = Client::new(LIMITS, handler);
        match pace {
            Pace::Whole => {
                client.send(bytes).await;
            }
            Pace::Bytes => {
                for byte in bytes {
                    client.send(std::slice::from_ref(byte)).await;
                }
            }
            Pace::Pieces => {
                for piece in pieces(bytes) {
                    client.send(piece).await;
                    settle().await;
                }
            }
            Pace::SlowBytes => {
                for byte in bytes {
                    client.send(std::slice::from_ref(byte)).await;
                    settle().await;
                }
            }
        }
        client.end();
        client.read_to_end().await;
        client.leave().await
    });
    let seen = log.take();
    let methods: Vec<Method> = seen.iter().map(|seen| seen.method.clone()).collect();
    let answers = answers::read(&output, &methods);
    (seen, answers)
}

/// Up to five pieces, cut where the bytes themselves say, by a sum over them (FNV-1a).
fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut pieces = Vec::new();
    let mut rest = bytes;
    for _ in 0..4 {
        let at = usize::from(u16::try_from(sum & 0xffff).unwrap_or(0)) % (rest.len() + 1);
        let (piece, behind) = rest.split_at(at);
        pieces.push(piece);
        rest = behind;
        sum >>= 16;
    }
    pieces.push(rest);
    pieces
}

/// What must be so of any exchange with a server that says what it saw.
fn check(bytes: &[u8], (seen, answers): &(Vec<Seen>, Answers)) {
    assert!(answers.begun.is_empty() && answers.tunnelled.is_none());
    let extra = answers.last.len().checked_sub(seen.len());
    assert!(matches!(extra, Some(0 | 1)), "{seen:#?}\n{answers:#?}");
    // The shortest request there is has this many bytes.
    assert!(seen.len() <= bytes.len() / b"X / HTTP/1.0\r\n\r\n".len());
    for (number, answer) in answers.last.iter().enumerate() {
        assert!(answer.is_whole(), "{answer:#?}");
        match seen.get(number) {
            Some(seen) if answer.status / 100 == 2 || answer.status == 405 => {
                seen.check();
                assert!(seen.body.is_some());
                if seen.method != Method::HEAD {
                    assert_eq!(answer.body, seen.text());
                }
            }
            _ => {
                assert!(answer.closes(), "a refusal that goes on: {answer:#?}");
                check_refusal(answer);
            }
        }
    }
    for (before, interim) in &answers.interim {
        assert!(*before < answers.last.len(), "an interim answer at the end");
        let expects = seen[*before].field("expect").next().is_some();
        assert!(interim.status == 100 && expects && interim.fields.is_empty());
    }
}

/// A refusal is short, says nothing of its own, and is none of the server's faults.
pub fn check_refusal(answer: &answers::Answer) {
    assert!(
        matches!(answer.status, 400 | 408 | 413 | 414 | 417 | 431 | 501 | 505),
        "{answer:#?}"
    );
    assert!(answer.body.len() < 64 && answer.body.is_ascii());
}
