//! Frames: their heads, and the masks of their payloads (RFC 6455, 5.2).
//!
//! tungstenite takes a head apart and puts it together. This file judges it, because tungstenite is lax about some
//! rules.
//!
//! # Invariants
//!
//! - Always: a head that is returned obeys the rules that concern one frame alone.
//! - Never: a socket, a clock, or an allocation.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::web::websocket::error::Violation;

/// The longest payload of a control frame (RFC 6455, 5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// The longest head that a client sends: two bytes, eight of the length, four of the mask.
pub(super) const CLIENT_HEAD_BYTES_MAX: usize = 14;

/// The longest head that a server sends, which has no mask.
const SERVER_HEAD_BYTES_MAX: usize = 10;

/// The head of a frame from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) opcode: OpCode,
    pub(super) is_final: bool,
    /// RSV1, which permessage-deflate uses (RFC 7692, 6).
    pub(super) is_compressed: bool,
    pub(super) mask: [u8; 4],
    pub(super) payload_bytes: u64,
}

impl FrameHead {
    /// Parses the head at the start of `bytes`, and returns it with its length. Returns `None` if it is not complete.
    pub(super) fn parse(
        bytes: &[u8],
        may_be_compressed: bool,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let mut cursor = Cursor::new(bytes);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Opcode)?;
        let Some((header, payload_bytes)) = parsed else {
            return Ok(None);
        };
        let used = CLIENT_HEAD_BYTES_MAX.min(usize::try_from(cursor.position()).unwrap_or(0));
        if header.rsv2 || header.rsv3 || header.rsv1 && !may_be_compressed {
            return Err(Violation::ReservedBit);
        }
        let mask = header.mask.ok_or(Violation::Unmasked)?;
        // A length has one form: the shortest (RFC 6455, 5.2). Its highest bit is 0.
        if header.len(payload_bytes) != used || payload_bytes > i64::MAX as u64 {
            return Err(Violation::Length);
        }
        if let OpCode::Control(_) = header.opcode {
            if !header.is_final {
                return Err(Violation::FragmentedControl);
            }
            if payload_bytes > CONTROL_BYTES_MAX as u64 {
                return Err(Violation::Length);
            }
        }
        // Only the first frame of a message tells that the message is compressed (RFC 7692, 6.1).
        let may_tell = matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        if header.rsv1 && !may_tell {
            return Err(Violation::ReservedBit);
        }
        let head = Self {
            opcode: header.opcode,
            is_final: header.is_final,
            is_compressed: header.rsv1,
            mask,
            payload_bytes,
        };
        Ok(Some((head, used)))
    }
}

/// The head of a whole message or a control frame from a server.
pub(super) struct ServerHead {
    bytes: [u8; SERVER_HEAD_BYTES_MAX],
    len: usize,
}

impl ServerHead {
    pub(super) fn new(opcode: OpCode, is_compressed: bool, payload_bytes: usize) -> Self {
        let header = FrameHeader {
            opcode,
            rsv1: is_compressed,
            ..FrameHeader::default()
        };
        let mut bytes = [0; SERVER_HEAD_BYTES_MAX];
        let mut rest = &mut bytes[..];
        let formatted = header.format(payload_bytes as u64, &mut rest);
        debug_assert!(formatted.is_ok(), "a head without a mask has ten bytes");
        let len = SERVER_HEAD_BYTES_MAX - rest.len();
        Self { bytes, len }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Appends a control frame. Cuts a payload that is too long.
pub(super) fn push_control(out: &mut Vec<u8>, control: Control, payload: &[u8]) {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    let head = ServerHead::new(OpCode::Control(control), false, payload.len());
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(payload);
}

/// Removes the mask from a part of a payload. The part begins `offset` bytes after the start of the payload
/// (RFC 6455, 5.3).
pub(super) fn unmask(part: &mut [u8], mut mask: [u8; 4], offset: u64) {
    // The remainder is below four, so it fits.
    mask.rotate_left((offset % 4) as usize);
    let word = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let (words, rest) = part.as_chunks_mut();
    for eight in words {
        *eight = (u64::from_ne_bytes(*eight) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<Option<(OpCode, usize)>, Violation>) {
        let parsed = FrameHead::parse(bytes, false);
        let parsed = parsed.map(|some| some.map(|(head, used)| (head.opcode, used)));
        assert_eq!(parsed, expected, "{bytes:x?}");
    }

    #[test]
    fn a_head_of_a_client_obeys_the_rules_of_one_frame() {
        const TEXT: OpCode = OpCode::Data(Data::Text);
        const PING: OpCode = OpCode::Control(Control::Ping);
        check(b"\x81\x81abcd", Ok(Some((TEXT, 6))));
        check(b"\x81\x81abc", Ok(None));
        check(b"\x81", Ok(None));
        check(b"", Ok(None));
        check(b"\x81\x01", Err(Violation::Unmasked)); // RFC 6455, 5.1
        for reserved in [0x40, 0x20, 0x10] {
            check(
                &[0x81 | reserved, 0x80, 0, 0, 0, 0],
                Err(Violation::ReservedBit),
            ); // RFC 6455, 5.2
        }
        for unknown in [3, 7, 11, 15] {
            check(&[0x80 | unknown, 0x80, 0, 0, 0, 0], Err(Violation::Opcode)); // RFC 6455, 5.2
        }
        // The shortest form of a length, and the one above (RFC 6455, 5.2).
        check(b"\x81\xfe\x00\x7eabcd", Ok(Some((TEXT, 8))));
        check(b"\x81\xfe\x00\x7dabcd", Err(Violation::Length));
        check(b"\x81\xff\0\0\0\0\0\x01\0\0abcd", Ok(Some((TEXT, 14))));
        check(b"\x81\xff\0\0\0\0\0\0\xff\xffabcd", Err(Violation::Length));
        check(b"\x81\xff\x80\0\0\0\0\x01\0\0abcd", Err(Violation::Length));
        // RFC 6455, 5.5
        check(b"\x89\xfdabcd", Ok(Some((PING, 6))));
        check(b"\x89\xfe\x00\x7eabcd", Err(Violation::Length));
        check(b"\x09\x80abcd", Err(Violation::FragmentedControl));
    }

    #[test]
    fn only_the_first_frame_of_a_message_may_be_compressed() {
        // RFC 7692, 6.1
        let parse = |bytes: &[u8]| FrameHead::parse(bytes, true).map(|head| head.is_some());
        assert_eq!(parse(b"\xc1\x80abcd"), Ok(true));
        assert_eq!(parse(b"\x42\x80abcd"), Ok(true));
        assert_eq!(parse(b"\xc0\x80abcd"), Err(Violation::ReservedBit));
        assert_eq!(parse(b"\xc9\x80abcd"), Err(Violation::ReservedBit));
    }

    proptest! {
        #[test]
        fn a_mask_is_removed_in_pieces_as_in_one(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            mask: [u8; 4],
            cut in 0_usize..100,
        ) {
            let slowly: Vec<u8> = bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            let cut = cut.min(bytes.len());
            let mut pieces = bytes;
            unmask(&mut pieces[..cut], mask, 0);
            unmask(&mut pieces[cut..], mask, cut as u64);
            prop_assert_eq!(pieces, slowly);
        }
    }
}
