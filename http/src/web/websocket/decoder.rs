//! From bytes to messages.
//!
//! # How it works
//!
//! ```text
//!  bytes ──► head ──► payload, without its mask ──► a control frame: returned
//!             ▲                  │
//!             └── not final ─────┤
//!                                ▼ final
//!                       the message: returned
//! ```
//!
//! The decoder takes bytes in pieces of any size. It stops after each message and each control frame, and returns how
//! many bytes it has used.
//!
//! # Invariants
//!
//! - Always: memory grows with bytes that have arrived, and never with a length that a head announces.
//! - Always: a text is checked while it arrives, so that the first invalid byte ends it.
//! - Never: a socket or a clock.

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::web::websocket::error::Violation;
use crate::web::websocket::frame::{
    CLIENT_HEAD_BYTES_MAX, FrameHead, push_unmasked, unmasked_small,
};
use crate::web::websocket::message::{CloseReason, Message};
use crate::web::websocket::spare::SpareMemory;

/// The most bytes that are reserved for an announced payload before they arrive.
const RESERVED_BYTES_MAX: usize = 64 * 1024;

/// The bytes by which DEFLATE may lengthen even a short message.
const DEFLATE_OVERHEAD_BYTES: usize = 64;

/// The head of a frame of less than 126 bytes, with its mask.
const SMALL_HEAD_BYTES: usize = 6;

/// The limits that concern the decoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageLimits {
    pub(super) message_bytes_max: usize,
    pub(super) frame_bytes_max: usize,
    /// True if the client may send compressed messages.
    pub(super) may_be_compressed: bool,
}

impl MessageLimits {
    /// Returns the most bytes of a message of one frame.
    fn bytes_max(self) -> usize {
        self.message_bytes_max.min(self.frame_bytes_max)
    }
}

/// A whole message or control frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Message(Message),
    Compressed { is_text: bool, bytes: Vec<u8> },
    Ping(Vec<u8>),
    Pong,
    Close(Option<CloseReason>),
}

/// Parses the bytes of one client.
#[derive(Debug, Default)]
pub(super) struct MessageDecoder {
    /// The bytes of a head that is not complete, and their number.
    head: [u8; CLIENT_HEAD_BYTES_MAX],
    head_len: usize,
    frame: Option<OpenFrame>,
    message: Option<OpenMessage>,
    /// The payload of a control frame, which may come between the frames of a message.
    control: Vec<u8>,
}

/// A frame whose payload has not arrived in full.
#[derive(Debug)]
struct OpenFrame {
    head: FrameHead,
    /// The number of payload bytes that have arrived.
    arrived: u64,
}

/// A message whose last frame has not arrived in full.
#[derive(Debug)]
struct OpenMessage {
    is_text: bool,
    is_compressed: bool,
    bytes: Vec<u8>,
    /// The length of the part that is known to be UTF-8.
    checked: usize,
}

impl MessageDecoder {
    /// Returns true if the decoder keeps no bytes, so that it can be replaced with a new one.
    pub(super) fn is_idle(&self) -> bool {
        self.head_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// Decodes up to the end of a message or a control frame. Returns the number of bytes that it has used: all of them
    /// if it returns no message.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        limits: MessageLimits,
        spare: &SpareMemory,
    ) -> Result<(usize, Option<Incoming>), Violation> {
        // Many messages are small and here as a whole, so they need no state. // LOG W3
        if self.is_idle()
            && let Some((message, used)) = decode_small(bytes, limits.bytes_max(), spare)
        {
            return Ok((used, Some(Incoming::Message(message))));
        }
        self.decode_frames(bytes, limits)
    }

    #[inline(never)]
    fn decode_frames(
        &mut self,
        bytes: &[u8],
        limits: MessageLimits,
    ) -> Result<(usize, Option<Incoming>), Violation> {
        let mut used = 0;
        loop {
            let Some(frame) = &mut self.frame else {
                let (head_used, head) = self.parse_head(&bytes[used..], limits)?;
                used += head_used;
                let Some(head) = head else {
                    return Ok((used, None));
                };
                self.begin_frame(head, limits)?;
                continue;
            };
            let left = frame.head.payload_bytes - frame.arrived;
            let here = &bytes[used..];
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(here.len());
            let here = &here[..len];
            used += here.len();
            let target = match (frame.head.opcode, &mut self.message) {
                (OpCode::Data(_), Some(message)) => &mut message.bytes,
                _ => &mut self.control,
            };
            push_unmasked(target, here, frame.head.mask, frame.arrived);
            frame.arrived += here.len() as u64;
            if frame.arrived < frame.head.payload_bytes {
                self.check_text()?;
                return Ok((used, None));
            }
            let head = frame.head;
            self.frame = None;
            if let Some(incoming) = self.end_frame(head)? {
                return Ok((used, Some(incoming)));
            }
        }
    }

    /// Parses a head, which may have begun in an earlier piece. Returns how many of these bytes belong to it.
    fn parse_head(
        &mut self,
        bytes: &[u8],
        limits: MessageLimits,
    ) -> Result<(usize, Option<FrameHead>), Violation> {
        if self.head_len == 0
            && let Some((head, used)) = FrameHead::parse(bytes, limits.may_be_compressed)?
        {
            return Ok((used, Some(head)));
        }
        // Rare: the piece ends within the head. It grows byte by byte, because its length is in its first two.
        for (used, byte) in (1..).zip(bytes) {
            self.head[self.head_len] = *byte;
            self.head_len += 1;
            let begun = &self.head[..self.head_len];
            if let Some((head, _)) = FrameHead::parse(begun, limits.may_be_compressed)? {
                self.head_len = 0;
                return Ok((used, Some(head)));
            }
        }
        Ok((bytes.len(), None))
    }

    fn begin_frame(&mut self, head: FrameHead, limits: MessageLimits) -> Result<(), Violation> {
        if let OpCode::Data(data) = head.opcode {
            let message = match (data, &mut self.message) {
                (Data::Continue, Some(message)) => message,
                (Data::Continue, None) => return Err(Violation::Continuation),
                (_, Some(_)) => return Err(Violation::Interrupted),
                (_, none) => none.insert(OpenMessage {
                    is_text: data == Data::Text,
                    is_compressed: head.is_compressed,
                    bytes: Vec::new(),
                    checked: 0,
                }),
            };
            // Data that cannot be compressed grows a little.
            let growth = |bytes: usize| {
                let more = bytes / 1024 + DEFLATE_OVERHEAD_BYTES;
                bytes.saturating_add(if message.is_compressed { more } else { 0 })
            };
            let room = growth(limits.message_bytes_max).saturating_sub(message.bytes.len());
            let bytes = usize::try_from(head.payload_bytes).unwrap_or(usize::MAX);
            if bytes > room.min(growth(limits.frame_bytes_max)) {
                return Err(Violation::TooLarge);
            }
            message.bytes.reserve(bytes.min(RESERVED_BYTES_MAX));
        }
        self.frame = Some(OpenFrame { head, arrived: 0 });
        Ok(())
    }

    fn end_frame(&mut self, head: FrameHead) -> Result<Option<Incoming>, Violation> {
        let control = match head.opcode {
            OpCode::Data(_) if !head.is_final => {
                self.check_text()?;
                return Ok(None);
            }
            OpCode::Data(_) => {
                let Some(message) = self.message.take() else {
                    return Err(Violation::Continuation);
                };
                let (is_text, bytes) = (message.is_text, message.bytes);
                if message.is_compressed {
                    return Ok(Some(Incoming::Compressed { is_text, bytes }));
                }
                return message_of(is_text, bytes).map(|message| Some(Incoming::Message(message)));
            }
            OpCode::Control(control) => control,
        };
        let payload = std::mem::take(&mut self.control);
        Ok(Some(match control {
            Control::Ping => Incoming::Ping(payload),
            Control::Close => Incoming::Close(CloseReason::parse(&payload)?),
            _ => Incoming::Pong,
        }))
    }

    /// Checks the part of a text that has arrived.
    fn check_text(&mut self) -> Result<(), Violation> {
        self.message.as_mut().map_or(Ok(()), OpenMessage::check)
    }
}

impl OpenMessage {
    fn check(&mut self) -> Result<(), Violation> {
        if !self.is_text || self.is_compressed {
            return Ok(());
        }
        match str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            // The rest of a character may be in the next piece.
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Violation::Utf8),
        }
        Ok(())
    }
}

/// Decodes a message of one frame and less than 126 bytes that has arrived in full. Returns it with the number of its
/// bytes, or `None` if the bytes are not such a message, or are a text that is not valid.
#[inline]
pub(super) fn decode_small(
    bytes: &[u8],
    bytes_max: usize,
    spare: &SpareMemory,
) -> Option<(Message, usize)> {
    let (head, rest) = bytes.split_first_chunk::<SMALL_HEAD_BYTES>()?;
    let [first @ (0x81 | 0x82), second @ 0x80..=0xfd, mask @ ..] = *head else {
        return None;
    };
    let len = usize::from(second & 0x7f);
    if len > rest.len() || len > bytes_max {
        return None;
    }
    let mut bytes = unmasked_small(spare.take(), rest, len, mask);
    let message = if first == 0x82 {
        Message::Binary(bytes)
    } else {
        // Moved to a place of its own, so that the bytes of the other way stay in registers. // LOG W5
        Message::Text(text_of(std::mem::take(&mut bytes))?)
    };
    Some((message, SMALL_HEAD_BYTES + len))
}

#[inline(never)]
fn text_of(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok()
}

/// Makes a message. Checks a text.
pub(super) fn message_of(is_text: bool, bytes: Vec<u8>) -> Result<Message, Violation> {
    if !is_text {
        return Ok(Message::Binary(bytes));
    }
    text_of(bytes).map(Message::Text).ok_or(Violation::Utf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tungstenite::protocol::{Role, WebSocket as Oracle, WebSocketConfig};

    use super::*;
    use crate::web::websocket::message::CloseCode;

    const LIMITS: MessageLimits = MessageLimits {
        message_bytes_max: 300,
        frame_bytes_max: 200,
        may_be_compressed: false,
    };

    /// Makes a frame of a client.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let len = u16::try_from(payload.len()).expect("no test has a longer payload");
        let mut frame = vec![first];
        if len < 126 {
            frame.push(0x80 | len.to_be_bytes()[1]);
        } else {
            frame.push(0xfe);
            frame.extend(len.to_be_bytes());
        }
        frame.extend(mask);
        frame.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        frame
    }

    /// Decodes pieces of `size` bytes.
    fn decode_in(size: usize, bytes: &[u8]) -> (Vec<Incoming>, Option<Violation>) {
        let (mut decoder, mut all) = (MessageDecoder::default(), Vec::new());
        for mut piece in bytes.chunks(size) {
            while !piece.is_empty() {
                match decoder.decode(piece, LIMITS, &SpareMemory::default()) {
                    Ok((used, incoming)) => {
                        piece = &piece[used..];
                        all.extend(incoming);
                    }
                    Err(violation) => return (all, Some(violation)),
                }
            }
        }
        (all, None)
    }

    #[track_caller]
    fn check(frames: &[Vec<u8>], expected: &[Incoming], violation: Option<Violation>) {
        let bytes = frames.concat();
        for size in [1, 2, 3, 7, bytes.len()] {
            let (all, found) = decode_in(size, &bytes);
            assert_eq!(
                (&all[..], found),
                (expected, violation),
                "in pieces of {size}"
            );
        }
    }

    fn text(text: &str) -> Incoming {
        Incoming::Message(Message::from(text))
    }

    #[test]
    fn the_examples_of_the_rfc_are_decoded() {
        // RFC 6455, 5.7
        let hello = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        check(&[hello.to_vec()], &[text("Hello")], None);
        check(
            &[frame(0x01, b"Hel"), frame(0x80, b"lo")],
            &[text("Hello")],
            None,
        );
        check(
            &[frame(0x89, b"Hello")],
            &[Incoming::Ping(b"Hello".to_vec())],
            None,
        );
        check(
            &[frame(0x82, &[7; 200])],
            &[Incoming::Message(Message::Binary(vec![7; 200]))],
            None,
        );
    }

    #[test]
    fn control_frames_may_come_between_the_frames_of_a_message() {
        // RFC 6455, 5.4
        let frames = [
            frame(0x01, b"fl"),
            frame(0x89, b"1"),
            frame(0x00, b""),
            frame(0x8a, b"2"),
            frame(0x80, b"our"),
            frame(0x88, b"\x03\xe8"),
        ];
        let reason = CloseReason::parse(b"\x03\xe8").expect("it is valid");
        let expected = [
            Incoming::Ping(b"1".to_vec()),
            Incoming::Pong,
            text("flour"),
            Incoming::Close(reason),
        ];
        check(&frames, &expected, None);
    }

    #[test]
    fn the_frames_of_two_messages_do_not_mix() {
        // RFC 6455, 5.4
        check(&[frame(0x80, b"x")], &[], Some(Violation::Continuation));
        check(
            &[frame(0x81, b"x"), frame(0x00, b"x")],
            &[text("x")],
            Some(Violation::Continuation),
        );
        check(
            &[frame(0x01, b"x"), frame(0x81, b"y")],
            &[],
            Some(Violation::Interrupted),
        );
    }

    #[test]
    fn a_limit_is_exact_and_holds_for_the_announced_length() {
        let fits = Incoming::Message(Message::Binary(vec![0; 300]));
        check(
            &[frame(0x02, &[0; 200]), frame(0x80, &[0; 100])],
            &[fits],
            None,
        );
        check(&[frame(0x82, &[0; 201])], &[], Some(Violation::TooLarge));
        check(
            &[frame(0x02, &[0; 200]), frame(0x80, &[0; 101])],
            &[],
            Some(Violation::TooLarge),
        );
        // Only the head, without a byte of its payload.
        let head = b"\x82\xff\x00\x00\x7f\xff\xff\xff\xff\xff\0\0\0\0".to_vec();
        check(&[head], &[], Some(Violation::TooLarge));
    }

    #[test]
    fn empty_frames_of_a_message_take_no_memory() {
        let mut decoder = MessageDecoder::default();
        assert_eq!(
            decoder.decode(&frame(0x01, b""), LIMITS, &SpareMemory::default()),
            Ok((6, None))
        );
        for _ in 0..100_000 {
            assert_eq!(
                decoder.decode(&frame(0x00, b""), LIMITS, &SpareMemory::default()),
                Ok((6, None))
            );
        }
        assert_eq!(
            decoder.message.map(|message| message.bytes.capacity()),
            Some(0)
        );
    }

    #[test]
    fn a_text_ends_at_its_first_invalid_byte() {
        // RFC 6455, 8.1
        check(
            &[frame(0x81, "grüße €".as_bytes())],
            &[text("grüße €")],
            None,
        );
        check(
            &[frame(0x01, b"\xe2\x82"), frame(0x80, b"\xac")],
            &[text("€")],
            None,
        );
        check(&[frame(0x81, b"\xe2\x82")], &[], Some(Violation::Utf8));
        check(&[frame(0x81, b"\xed\xa0\x80")], &[], Some(Violation::Utf8)); // a surrogate
        check(
            &[frame(0x81, b"\xf4\x90\x80\x80")],
            &[],
            Some(Violation::Utf8),
        );
        // The rest of the frame never arrives.
        check(
            &[frame(0x81, b"\xc0aaaa")[..7].to_vec()],
            &[],
            Some(Violation::Utf8),
        );
        check(&[frame(0x01, b"a\xc0")], &[], Some(Violation::Utf8));
    }

    /// Returns the messages that tungstenite reads, and true if it finds a fault.
    fn oracle(bytes: &[u8]) -> (Vec<Incoming>, bool) {
        struct Pipe<'a>(&'a [u8]);
        impl std::io::Read for Pipe<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                if self.0.is_empty() {
                    return Err(std::io::ErrorKind::WouldBlock.into());
                }
                self.0.read(buffer)
            }
        }
        impl std::io::Write for Pipe<'_> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(LIMITS.message_bytes_max))
            .max_frame_size(Some(LIMITS.frame_bytes_max));
        let mut socket = Oracle::from_raw_socket(Pipe(bytes), Role::Server, Some(config));
        let mut all = Vec::new();
        loop {
            use tungstenite::{Error, Message as Read};
            let incoming = match socket.read() {
                Ok(Read::Text(read)) => text(read.as_str()),
                Ok(Read::Binary(read)) => Incoming::Message(Message::Binary(read.to_vec())),
                Ok(Read::Ping(payload)) => Incoming::Ping(payload.to_vec()),
                Ok(Read::Pong(_)) => Incoming::Pong,
                Ok(Read::Close(reason)) => Incoming::Close(reason.and_then(|reason| {
                    Some(CloseReason {
                        code: CloseCode::new(reason.code.into())?,
                        text: reason.reason.as_str().to_owned(),
                    })
                })),
                Ok(Read::Frame(_)) => continue,
                Err(Error::Io(_)) => return (all, false),
                Err(_) => return (all, true),
            };
            let is_last = matches!(incoming, Incoming::Close(_));
            all.push(incoming);
            if is_last {
                return (all, false);
            }
        }
    }

    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        let first = prop_oneof![
            4 => prop_oneof![Just(0x81_u8), Just(0x82), Just(0x01), Just(0x00), Just(0x80), Just(0x89), Just(0x8a)],
            1 => any::<u8>().prop_filter("close is tested alone", |first| first & 0x0f != 8),
        ];
        let payload = prop_oneof![
            3 => "[a-ü€😀]{0,9}".prop_map(String::into_bytes),
            1 => proptest::collection::vec(any::<u8>(), 0..8),
            1 => proptest::collection::vec(Just(b'a'), 0..260),
        ];
        (first, payload).prop_map(|(first, payload)| frame(first, &payload))
    }

    proptest! {
        #[test]
        fn messages_are_those_that_tungstenite_reads(
            frames in proptest::collection::vec(any_frame(), 0..6),
            size in 1_usize..40,
        ) {
            let bytes = frames.concat();
            let (ours, violation) = decode_in(size, &bytes);
            let (theirs, is_fault) = oracle(&bytes);
            // A fault is found at the first byte here, and there after the messages that have arrived before it.
            prop_assert_eq!(&ours, &theirs, "{:?}", violation);
            prop_assert_eq!(violation.is_some(), is_fault, "{:?}", violation);
        }

        #[test]
        fn any_bytes_in_any_pieces_decode_alike(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            size in 1_usize..20,
        ) {
            prop_assert_eq!(decode_in(size, &bytes), decode_in(64, &bytes));
        }
    }
}
