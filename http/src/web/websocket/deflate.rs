//! The extension permessage-deflate (RFC 7692): messages compressed with DEFLATE.
//!
//! # How it works
//!
//! The client offers the extension with parameters, and [`negotiate`] accepts the first offer that the server can keep.
//! By default, both ends begin anew with each message ("no context takeover"). Then all sockets share one decompressor, and
//! one compressor for each size of window, and an idle socket has none. With context takeover, each socket has its own:
//! some 330 KiB, for messages that become much smaller if they resemble each other.
//!
//! # Invariants
//!
//! - Always: data that has gone through a compressor that keeps its window is sent. Otherwise the windows of the two
//!   ends would differ from then on.
//! - Never: more decompressed bytes than the limit on messages, however small they were on the wire.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Write;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::headers::Headers;
use crate::web::websocket::error::Violation;

/// The end of each compressed message, which is not sent (RFC 7692, 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The largest window of DEFLATE, and the default of the extension (RFC 7692, 7.1.2).
const WINDOW_BITS_MAX: u8 = 15;

/// The smallest window that zlib can use.
const WINDOW_BITS_MIN: u8 = 9;

/// The number of sizes of windows.
const WINDOWS: usize = (WINDOW_BITS_MAX - WINDOW_BITS_MIN) as usize + 1;

/// The distance over which DEFLATE refers back (RFC 1951, 2).
const WINDOW_BYTES: usize = 1 << WINDOW_BITS_MAX;

/// The most last blocks in a message, besides one for each KiB of its bytes. After each one, the decompressor begins anew
/// and gets its window back, which takes more time than such a block takes bytes.
const LAST_BLOCKS_MAX: usize = 64;

/// The least room for one call of zlib, which needs more than six bytes to end a block.
const ROOM_BYTES: usize = 1024;

/// The accepted parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeflateParameters {
    server_takes_over: bool,
    client_takes_over: bool,
    /// The window of the server's compressor, if the client has limited it.
    server_window_bits: Option<u8>,
}

/// Accepts the first offer of permessage-deflate that this end can keep (RFC 7692, 5 and 7.1). `takes_over` is the
/// server's wish: true if messages may refer to earlier ones.
pub(super) fn negotiate(headers: Headers<'_>, takes_over: bool) -> Option<DeflateParameters> {
    let mut offers = headers.members("sec-websocket-extensions");
    offers.find_map(|offer| accept(str::from_utf8(offer).ok()?, takes_over))
}

/// Returns `None` if the offer is of another extension, or has a parameter that is unknown, repeated or malformed.
fn accept(offer: &str, takes_over: bool) -> Option<DeflateParameters> {
    let mut parts = offer.split(';').map(|part| part.trim_matches([' ', '\t']));
    if !parts.next()?.eq_ignore_ascii_case("permessage-deflate") {
        return None;
    }
    let (mut server_takes_over, mut client_takes_over) = (true, true);
    let (mut server_window_bits, mut client_window) = (None, false);
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value.trim_matches('"'))),
            None => (part, None),
        };
        match (name, value) {
            ("server_no_context_takeover", None) if server_takes_over => server_takes_over = false,
            ("client_no_context_takeover", None) if client_takes_over => client_takes_over = false,
            ("server_max_window_bits", Some(value)) if server_window_bits.is_none() => {
                server_window_bits = Some(window_bits(value)?);
            }
            // The server accepts each window of the client, so it need not answer.
            ("client_max_window_bits", value) if !client_window => {
                value.map_or(Some(WINDOW_BITS_MAX), window_bits)?;
                client_window = true;
            }
            _ => return None,
        }
    }
    // zlib has no window of 8 bits. It would use 9, and the client could not decompress that.
    if server_window_bits.is_some_and(|bits| bits < WINDOW_BITS_MIN) {
        return None;
    }
    Some(DeflateParameters {
        server_takes_over: server_takes_over && takes_over,
        client_takes_over: client_takes_over && takes_over,
        server_window_bits,
    })
}

/// Parses a number from 8 to 15 without a leading zero (RFC 7692, 7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok()?;
    ((8..=WINDOW_BITS_MAX).contains(&bits) && !value.starts_with(['0', '+'])).then_some(bits)
}

impl DeflateParameters {
    /// Returns the field of the answer. The server may ask for no takeover although the client has not offered that
    /// (RFC 7692, 7.1.1).
    pub(super) fn field(self) -> String {
        let mut field = "permessage-deflate".to_owned();
        if !self.server_takes_over {
            field.push_str("; server_no_context_takeover");
        }
        if !self.client_takes_over {
            field.push_str("; client_no_context_takeover");
        }
        if let Some(bits) = self.server_window_bits {
            let written = write!(field, "; server_max_window_bits={bits}");
            debug_assert!(written.is_ok(), "a string takes all text");
        }
        field
    }

    /// Makes the state of one socket.
    pub(super) fn codec(self) -> DeflateCodec {
        let window_bits = self.server_window_bits.unwrap_or(WINDOW_BITS_MAX);
        DeflateCodec {
            window_bits,
            compress: self.server_takes_over.then(|| new_compress(window_bits)),
            decompress: self.client_takes_over.then(|| Decompress::new(false)),
            earlier: VecDeque::new(),
        }
    }
}

fn new_compress(window_bits: u8) -> Compress {
    Compress::new_with_window_bits(Compression::fast(), false, window_bits)
}

/// The compressor and the decompressor that sockets share if they begin anew with each message.
#[derive(Default)]
pub(super) struct SharedDeflate {
    /// One for each size of window, the smallest first. A client chooses the size, so no socket has one of its own.
    compress: [Cell<Option<Compress>>; WINDOWS],
    decompress: Cell<Option<Decompress>>,
}

/// Compresses and decompresses the messages of one socket.
#[derive(Debug)]
pub(super) struct DeflateCodec {
    window_bits: u8,
    /// `None` if the shared one serves.
    compress: Option<Compress>,
    decompress: Option<Decompress>,
    /// The last bytes of the client's earlier messages, to which the next one may refer. The decompressor forgets them at
    /// a last block. Empty if the client begins anew.
    earlier: VecDeque<u8>,
}

impl DeflateCodec {
    /// Compresses a message.
    #[inline(never)] // it would slow down messages that are not compressed: LOG W3
    pub(super) fn compress(&mut self, message: &[u8], shared: &SharedDeflate) -> Vec<u8> {
        // An empty message has one byte, and zlib would write none (RFC 7692, 7.2.3.6).
        if message.is_empty() {
            return vec![0];
        }
        let Some(own) = &mut self.compress else {
            let spare = &shared.compress[usize::from(self.window_bits - WINDOW_BITS_MIN)];
            let compress = spare.take();
            let mut compress = compress.unwrap_or_else(|| new_compress(self.window_bits));
            compress.reset();
            let compressed = compress_with(&mut compress, message);
            spare.set(Some(compress));
            return compressed;
        };
        compress_with(own, message)
    }

    /// Decompresses a message of at most `bytes_max` bytes.
    #[inline(never)] // LOG W3
    pub(super) fn decompress(
        &mut self,
        message: Vec<u8>,
        bytes_max: usize,
        shared: &SharedDeflate,
    ) -> Result<Vec<u8>, Violation> {
        let Some(own) = &mut self.decompress else {
            let mut decompress = shared
                .decompress
                .take()
                .unwrap_or_else(|| Decompress::new(false));
            decompress.reset(false);
            let decompressed = decompress_with(&mut decompress, message, bytes_max, &self.earlier);
            shared.decompress.set(Some(decompress));
            return decompressed;
        };
        let decompressed = decompress_with(own, message, bytes_max, &self.earlier)?;
        let last = &decompressed[decompressed.len().saturating_sub(WINDOW_BYTES)..];
        let excess = (self.earlier.len() + last.len()).saturating_sub(WINDOW_BYTES);
        self.earlier.drain(..excess);
        self.earlier.extend(last);
        Ok(decompressed)
    }
}

/// Returns the bytes to which the next block may refer.
fn window(earlier: &VecDeque<u8>, bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[bytes.len().saturating_sub(WINDOW_BYTES)..];
    let missing = WINDOW_BYTES - bytes.len();
    let earlier = earlier.range(earlier.len().saturating_sub(missing)..);
    earlier.chain(bytes).copied().collect()
}

fn compress_with(compress: &mut Compress, message: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(message.len() / 2 + ROOM_BYTES);
    let start = compress.total_in();
    loop {
        let used = usize::try_from(compress.total_in() - start).unwrap_or(message.len());
        // A status tells no more than the lengths do, and a stream that is flushed has no error.
        let _status = compress.compress_vec(&message[used..], &mut compressed, FlushCompress::Sync);
        // Room that is left is the sign that the flush is complete.
        if compressed.len() < compressed.capacity() {
            break;
        }
        compressed.reserve(compressed.len().max(ROOM_BYTES));
    }
    if compressed.ends_with(&TAIL) {
        compressed.truncate(compressed.len() - TAIL.len());
    }
    compressed
}

fn decompress_with(
    decompress: &mut Decompress,
    mut message: Vec<u8>,
    bytes_max: usize,
    earlier: &VecDeque<u8>,
) -> Result<Vec<u8>, Violation> {
    message.extend(TAIL);
    let mut last_blocks = 0;
    let (mut input, mut bytes) = (&message[..], Vec::new());
    loop {
        // Grows with the data, and stops one byte above the limit.
        let room = bytes
            .len()
            .max(ROOM_BYTES)
            .min((bytes_max - bytes.len()).saturating_add(1));
        bytes.reserve_exact(room);
        let before = decompress.total_in();
        let status = decompress
            .decompress_vec(input, &mut bytes, FlushDecompress::Sync)
            .map_err(|_| Violation::Deflate)?;
        if bytes.len() > bytes_max {
            return Err(Violation::TooLarge);
        }
        let used = usize::try_from(decompress.total_in() - before).unwrap_or(input.len());
        input = &input[used..];
        if status == Status::StreamEnd {
            // A block may say that it is the last one, and others may follow and refer to it (RFC 7692, 7.2.3.4).
            last_blocks += 1;
            if last_blocks > LAST_BLOCKS_MAX + bytes.len() / 1024 {
                return Err(Violation::Deflate);
            }
            decompress.reset(false);
            let window = window(earlier, &bytes);
            if !window.is_empty() {
                decompress
                    .set_dictionary(&window)
                    .map_err(|_| Violation::Deflate)?;
            }
        }
        if input.is_empty() && bytes.len() < bytes.capacity() {
            return Ok(bytes);
        }
        // Data without progress would loop for ever.
        if used == 0 && bytes.len() < bytes.capacity() && status != Status::StreamEnd {
            return Err(Violation::Deflate);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAKES_OVER: bool = true;
    const BEGINS_ANEW: bool = false;

    #[track_caller]
    fn check(offer: &str, takes_over: bool, field: Option<&str>) {
        let accepted = accept(offer, takes_over).map(DeflateParameters::field);
        assert_eq!(accepted.as_deref(), field, "{offer}");
    }

    #[test]
    fn an_offer_is_accepted_only_if_the_server_can_keep_all_of_it() {
        // RFC 7692, 7.1
        check("permessage-deflate", TAKES_OVER, Some("permessage-deflate"));
        let anew = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        check("permessage-deflate", BEGINS_ANEW, Some(anew));
        check(anew, TAKES_OVER, Some(anew));
        check(
            "permessage-deflate;client_max_window_bits",
            TAKES_OVER,
            Some("permessage-deflate"),
        );
        check(
            "permessage-deflate; server_max_window_bits=\"10\"; client_max_window_bits=12",
            TAKES_OVER,
            Some("permessage-deflate; server_max_window_bits=10"),
        );
        for refused in [
            "permessage-deflat",
            "x-webkit-deflate-frame",
            "permessage-deflate; unknown",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=8", // zlib cannot
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate;",
        ] {
            check(refused, TAKES_OVER, None);
        }
    }

    fn codec(takes_over: bool) -> DeflateCodec {
        let accepted = accept("permessage-deflate", takes_over);
        accepted.expect("the plain offer is accepted").codec()
    }

    #[test]
    fn the_examples_of_the_rfc_are_decompressed() {
        // RFC 7692, 7.2.3
        let shared = SharedDeflate::default();
        let mut codec = codec(TAKES_OVER);
        for compressed in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0xf2, 0x00, 0x11, 0x00, 0x00], // from the window of the first
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ], // not compressed
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], // BFINAL
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ], // two blocks
        ] {
            let hello = codec.decompress(compressed.to_vec(), 5, &shared);
            assert_eq!(hello.as_deref(), Ok(&b"Hello"[..]), "{compressed:x?}");
        }
        assert_eq!(codec.decompress(vec![0], 5, &shared), Ok(Vec::new()));
        assert_eq!(
            codec.compress(b"Hello", &shared),
            [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
        );
        assert_eq!(codec.compress(b"", &shared), [0]);
    }

    #[test]
    fn a_socket_that_begins_anew_has_no_memory_whatever_window_its_client_asks_for() {
        let shared = SharedDeflate::default();
        let message = [b'a'; 1000];
        for bits in WINDOW_BITS_MIN..=WINDOW_BITS_MAX {
            let offer = format!("permessage-deflate; server_max_window_bits={bits}");
            let accepted = accept(&offer, BEGINS_ANEW).expect("it is valid");
            let mut codec = accepted.codec();
            let compressed = codec.compress(&message, &shared);
            let again = codec.decompress(compressed, 1000, &shared);
            assert_eq!(again.as_deref(), Ok(&message[..]));
            assert!(
                codec.compress.is_none() && codec.decompress.is_none(),
                "{offer}"
            );
        }
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let shared = SharedDeflate::default();
        let bomb = codec(BEGINS_ANEW).compress(&vec![0; 10_000_000], &shared);
        assert!(bomb.len() < 200_000, "{}", bomb.len());
        for takes_over in [BEGINS_ANEW, TAKES_OVER] {
            let mut codec = codec(takes_over);
            let decompressed = codec.decompress(bomb.clone(), 1_000_000, &shared);
            assert_eq!(decompressed, Err(Violation::TooLarge));
        }
        let whole = codec(BEGINS_ANEW).decompress(bomb, 10_000_000, &shared);
        assert_eq!(whole.map(|bytes| bytes.len()), Ok(10_000_000));
    }

    #[test]
    fn malformed_data_is_refused() {
        let shared = SharedDeflate::default();
        for takes_over in [BEGINS_ANEW, TAKES_OVER] {
            let refused = codec(takes_over).decompress(b"\xff\xff\xff".to_vec(), 100, &shared);
            assert_eq!(refused, Err(Violation::Deflate));
        }
        // The shared one is as new after a fault.
        let hello =
            codec(BEGINS_ANEW).decompress(b"\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec(), 5, &shared);
        assert_eq!(hello.as_deref(), Ok(&b"Hello"[..]));
    }

    proptest! {
        #[test]
        fn messages_come_back_whatever_their_order(
            messages in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..3000),
                    proptest::collection::vec(0_u8..3, 0..9000),
                ],
                0..6,
            ),
            takes_over: bool,
            offer in prop_oneof![
                Just("permessage-deflate"),
                Just("permessage-deflate; server_no_context_takeover; server_max_window_bits=9"),
                Just("permessage-deflate; server_max_window_bits=11"),
            ],
        ) {
            let shared = SharedDeflate::default();
            let accepted = accept(offer, takes_over).expect("it is valid");
            let mut server = accepted.codec();
            let mut client = DeflateParameters { client_takes_over: accepted.server_takes_over, ..accepted }.codec();
            for message in messages {
                let compressed = server.compress(&message, &shared);
                let bytes = client.decompress(compressed, message.len(), &shared);
                prop_assert_eq!(bytes, Ok(message));
            }
        }
    }
}
