//! Frames: their heads, and the masks of their payloads (RFC 6455, 5.2).
//!
//! A head is taken apart here, because each message has one. tungstenite needs more than twice as many instructions for
//! it, and is lax about some rules (LOG W3).
//!
//! # Invariants
//!
//! - Always: a head that is returned obeys the rules that concern one frame alone.
//! - Never: a socket, a clock, or an allocation.

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::web::websocket::error::Violation;

/// The longest payload of a control frame (RFC 6455, 5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// The longest head that a client sends: two bytes, eight of the length, four of the mask.
pub(super) const CLIENT_HEAD_BYTES_MAX: usize = 14;

/// The longest head that a server sends, which has no mask.
const SERVER_HEAD_BYTES_MAX: usize = 10;

/// The longest payload whose length is a part of the first two bytes.
pub(super) const SMALL_BYTES_MAX: usize = 125;

/// The bytes of a small message that are unmasked at once.
const SMALL_BLOCK_BYTES: usize = 16;

/// The most memory that a small message needs.
pub(super) const SMALL_MEMORY_BYTES: usize = SMALL_BYTES_MAX.next_multiple_of(SMALL_BLOCK_BYTES);

/// The bits of the first byte beside the opcode.
const FINAL: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;

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
    #[inline]
    pub(super) fn parse(
        bytes: &[u8],
        may_be_compressed: bool,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let (payload_bytes, rest, shortest) = match second & 0x7f {
            126 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest, 126),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest, 1 << 16),
                None => return Ok(None),
            },
            length => (u64::from(length), rest, 0),
        };
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        let Some((mask, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let opcode = match first & 0x0f {
            0 => OpCode::Data(Data::Continue),
            1 => OpCode::Data(Data::Text),
            2 => OpCode::Data(Data::Binary),
            8 => OpCode::Control(Control::Close),
            9 => OpCode::Control(Control::Ping),
            10 => OpCode::Control(Control::Pong),
            _ => return Err(Violation::Opcode),
        };
        let is_final = first & FINAL != 0;
        let is_compressed = first & RSV1 != 0;
        // Only the first frame of a message tells that the message is compressed (RFC 7692, 6.1).
        let may_tell =
            may_be_compressed && matches!(opcode, OpCode::Data(Data::Text | Data::Binary));
        if first & (RSV2 | RSV3) != 0 || is_compressed && !may_tell {
            return Err(Violation::ReservedBit);
        }
        // A length has one form: the shortest (RFC 6455, 5.2). Its highest bit is 0.
        if payload_bytes < shortest || payload_bytes > i64::MAX as u64 {
            return Err(Violation::Length);
        }
        if let OpCode::Control(_) = opcode {
            if !is_final {
                return Err(Violation::FragmentedControl);
            }
            if payload_bytes > CONTROL_BYTES_MAX as u64 {
                return Err(Violation::Length);
            }
        }
        let head = Self {
            opcode,
            is_final,
            is_compressed,
            mask: *mask,
            payload_bytes,
        };
        Ok(Some((head, bytes.len() - rest.len())))
    }
}

/// The head of a whole message or a control frame from a server.
pub(super) struct ServerHead {
    bytes: [u8; SERVER_HEAD_BYTES_MAX],
    len: usize,
}

impl ServerHead {
    #[inline]
    pub(super) fn new(opcode: OpCode, is_compressed: bool, payload_bytes: usize) -> Self {
        let mut bytes = [0; SERVER_HEAD_BYTES_MAX];
        bytes[0] = u8::from(opcode) | FINAL | if is_compressed { RSV1 } else { 0 };
        let length = (payload_bytes as u64).to_be_bytes();
        let len = match payload_bytes {
            0..126 => {
                bytes[1] = length[7];
                2
            }
            126..=0xffff => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&length[6..]);
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&length);
                SERVER_HEAD_BYTES_MAX
            }
        };
        Self { bytes, len }
    }

    /// Returns the head of a message of less than 126 bytes that is not compressed.
    #[inline]
    pub(super) fn small(data: Data, payload_bytes: usize) -> [u8; 2] {
        debug_assert!(payload_bytes <= SMALL_BYTES_MAX);
        let opcode = if data == Data::Text { 1 } else { 2 };
        [opcode | FINAL, payload_bytes.to_le_bytes()[0]]
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline]
    pub(super) fn push_to(&self, out: &mut Vec<u8>) {
        let len = out.len() + self.len;
        // The whole array, because a copy of a known length needs no call. // LOG W3
        out.extend_from_slice(&self.bytes);
        out.truncate(len);
    }
}

/// Appends a control frame. Cuts a payload that is too long.
pub(super) fn push_control(out: &mut Vec<u8>, control: Control, payload: &[u8]) {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    let head = ServerHead::new(OpCode::Control(control), false, payload.len());
    head.push_to(out);
    out.extend_from_slice(payload);
}

/// Appends a part of a payload without its mask. The part begins `offset` bytes after the start of the payload
/// (RFC 6455, 5.3).
pub(super) fn push_unmasked(out: &mut Vec<u8>, part: &[u8], mask: [u8; 4], offset: u64) {
    // The remainder is below four, so it fits.
    let turned = 8 * (offset % 4) as u32;
    let mask = u32::from_le_bytes(mask).rotate_right(turned).to_le_bytes();
    out.reserve(part.len());
    // Copied and unmasked in one step. Each block has a known size, so it needs a few wide registers and no loop within.
    let rest = push_blocks::<64>(out, part, mask); // LOG W3
    let rest = push_blocks::<16>(out, rest, mask);
    let rest = push_blocks::<4>(out, rest, mask);
    out.extend(rest.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
}

/// Returns the first `len` bytes without their mask, in the memory of an empty vector if it has room. Bytes may follow
/// them. // LOG W5
#[inline]
pub(super) fn unmasked_small(
    mut spare: Vec<u8>,
    bytes: &[u8],
    len: usize,
    mask: [u8; 4],
) -> Vec<u8> {
    // Whole blocks with bytes of the next frame, if there are any, because a rest needs loops of its own.
    let (blocks, _) = bytes.as_chunks::<SMALL_BLOCK_BYTES>();
    let Some(blocks) = blocks.get(..len.div_ceil(SMALL_BLOCK_BYTES)) else {
        // Moved to a place of its own, so that the vector of the other way stays in registers. // LOG W6
        return unmasked_last(std::mem::take(&mut spare), &bytes[..len], mask);
    };
    let room = blocks.as_flattened().len();
    if spare.capacity() < room {
        spare = Vec::with_capacity(room);
    }
    for block in blocks {
        // There is room. The compiler learns here that the vector does not grow, so it stays in registers. // LOG W6
        if spare.capacity() - spare.len() < SMALL_BLOCK_BYTES {
            break;
        }
        spare.extend_from_slice(&unmask_block(*block, mask));
    }
    spare.truncate(len);
    spare
}

/// As [`unmasked_small`], for the last bytes that are here.
#[inline(never)]
fn unmasked_last(mut spare: Vec<u8>, bytes: &[u8], mask: [u8; 4]) -> Vec<u8> {
    push_unmasked(&mut spare, bytes, mask, 0);
    spare
}

/// Removes the mask of a multiple of its bytes.
#[inline]
fn unmask_block<const N: usize>(mut block: [u8; N], mask: [u8; 4]) -> [u8; N] {
    for four in block.as_chunks_mut().0 {
        *four = (u32::from_ne_bytes(*four) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    block
}

/// Appends whole blocks, of which each is a multiple of the mask. Returns the rest.
fn push_blocks<'a, const N: usize>(out: &mut Vec<u8>, part: &'a [u8], mask: [u8; 4]) -> &'a [u8] {
    let (blocks, rest) = part.as_chunks::<N>();
    for block in blocks {
        out.extend_from_slice(&unmask_block(*block, mask));
    }
    rest
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tungstenite::protocol::frame::FrameHeader;

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
    fn a_head_of_the_server_is_the_one_of_tungstenite() {
        let opcodes = [
            OpCode::Data(Data::Text),
            OpCode::Data(Data::Binary),
            OpCode::Control(Control::Close),
        ];
        for payload_bytes in [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 1 << 40] {
            for opcode in opcodes {
                let mut expected = Vec::new();
                let header = FrameHeader {
                    opcode,
                    ..FrameHeader::default()
                };
                let formatted = header.format(payload_bytes as u64, &mut expected);
                formatted.expect("a vector takes all bytes");
                let head = ServerHead::new(opcode, false, payload_bytes);
                assert_eq!(head.as_bytes(), expected);
                if let OpCode::Data(data) = opcode
                    && payload_bytes <= SMALL_BYTES_MAX
                {
                    assert_eq!(ServerHead::small(data, payload_bytes)[..], expected);
                }
                let mut pushed = vec![7];
                head.push_to(&mut pushed);
                assert_eq!(pushed[1..], expected);
                // The first reserved bit marks a compressed message (RFC 7692, 6).
                expected[0] |= 0x40;
                let compressed = ServerHead::new(opcode, true, payload_bytes);
                assert_eq!(compressed.as_bytes(), expected);
            }
        }
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
        fn a_head_that_is_accepted_is_the_one_of_tungstenite(
            first: u8,
            second: u8,
            rest in proptest::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..14),
        ) {
            let bytes = [&[first, second][..], &rest].concat();
            let mut cursor = Cursor::new(&bytes);
            let theirs = FrameHeader::parse(&mut cursor);
            match FrameHead::parse(&bytes, true) {
                Ok(Some((head, used))) => {
                    let (header, payload_bytes) = theirs.expect("a head").expect("a whole one");
                    prop_assert_eq!(head.opcode, header.opcode);
                    prop_assert_eq!(head.is_final, header.is_final);
                    prop_assert_eq!(head.is_compressed, header.rsv1);
                    prop_assert_eq!(Some(head.mask), header.mask);
                    prop_assert_eq!(head.payload_bytes, payload_bytes);
                    prop_assert_eq!(used as u64, cursor.position());
                }
                Ok(None) => prop_assert!(matches!(theirs, Ok(None))),
                Err(_) => {} // only this parser judges
            }
        }

        #[test]
        fn a_mask_is_removed_in_pieces_as_in_one(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            mask: [u8; 4],
            cut in 0_usize..10_000,
        ) {
            let slowly: Vec<u8> = bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            let cut = cut.min(bytes.len());
            let mut pieces = Vec::new();
            push_unmasked(&mut pieces, &bytes[..cut], mask, 0);
            push_unmasked(&mut pieces, &bytes[cut..], mask, cut as u64);
            prop_assert_eq!(pieces, slowly);
        }

        #[test]
        fn a_mask_is_removed_from_a_small_payload_whatever_follows_it(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            mask: [u8; 4],
            len in 0_usize..=SMALL_BYTES_MAX,
        ) {
            let len = len.min(bytes.len());
            let mut expected = Vec::new();
            push_unmasked(&mut expected, &bytes[..len], mask, 0);
            for room in [0, 16, SMALL_MEMORY_BYTES] {
                let spare = Vec::with_capacity(room);
                prop_assert_eq!(&unmasked_small(spare, &bytes, len, mask), &expected, "{}", room);
            }
        }
    }
}
