//! The encoders of other crates behind one trait.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::Effort;
use crate::exchange::answer_coder::BodyEncoder;
use crate::web::coding::ContentCoding;

/// Makes an encoder.
pub(super) type Maker = fn(Effort) -> Box<dyn BodyEncoder>;

/// The codings of this build.
const MAKERS: &[(ContentCoding, Maker)] = &[
    #[cfg(feature = "compress-brotli")]
    (ContentCoding::Brotli, |effort| {
        use brotli::CompressorWriter;

        /// The bytes that the encoder collects before it writes.
        const BUFFER_BYTES: usize = 4096;
        /// The binary logarithm of the window: 512 KiB. A larger one takes more memory for each answer.
        const WINDOW_BITS: u32 = 19;

        let quality = effort.of(1, 4, 9);
        let encoder = CompressorWriter::new(Vec::new(), BUFFER_BYTES, quality, WINDOW_BITS);
        let finish = |encoder: CompressorWriter<Vec<u8>>| Ok(encoder.into_inner());
        boxed(encoder, CompressorWriter::get_mut, finish)
    }),
    #[cfg(feature = "compress-zstd")]
    (ContentCoding::Zstd, |effort| {
        use zstd::stream::write::Encoder;

        // A client must support windows up to 8 MiB (RFC 9659). These levels use up to 4 MiB.
        let level = effort.of(1, 3, 12).cast_signed();
        let encoder = Encoder::new(Vec::new(), level).expect("memory for an encoder");
        boxed(encoder, Encoder::get_mut, Encoder::finish)
    }),
    (ContentCoding::Gzip, |effort| {
        let encoder = GzEncoder::new(Vec::new(), Compression::new(effort.of(1, 6, 9)));
        boxed(encoder, GzEncoder::get_mut, GzEncoder::finish)
    }),
    // The coding is named after the data inside. The format is that of zlib (RFC 9110, 8.4.1.2).
    (ContentCoding::Deflate, |effort| {
        let encoder = ZlibEncoder::new(Vec::new(), Compression::new(effort.of(1, 6, 9)));
        boxed(encoder, ZlibEncoder::get_mut, ZlibEncoder::finish)
    }),
];

/// Returns the maker of encoders for a coding. Returns `None` if this build does not have the coding.
pub(super) fn maker(coding: ContentCoding) -> Option<Maker> {
    let mut makers = MAKERS.iter();
    makers.find_map(|(other, maker)| (*other == coding).then_some(*maker))
}

impl Effort {
    fn of(self, fast: u32, usual: u32, small: u32) -> u32 {
        match self {
            Self::Fast => fast,
            Self::Usual => usual,
            Self::Small => small,
        }
    }
}

/// An encoder that writes into a `Vec`, and the two functions that take the bytes out of it.
struct VecEncoder<E> {
    /// `None` after the end.
    inner: Option<E>,
    output: fn(&mut E) -> &mut Vec<u8>,
    finish: fn(E) -> io::Result<Vec<u8>>,
}

fn boxed<E: Write + 'static>(
    encoder: E,
    output: fn(&mut E) -> &mut Vec<u8>,
    finish: fn(E) -> io::Result<Vec<u8>>,
) -> Box<dyn BodyEncoder> {
    Box::new(VecEncoder {
        inner: Some(encoder),
        output,
        finish,
    })
}

impl<E: Write> VecEncoder<E> {
    fn run(
        &mut self,
        coded: &mut Vec<u8>,
        work: impl FnOnce(&mut E) -> io::Result<()>,
    ) -> io::Result<()> {
        let encoder = self.inner.as_mut().ok_or(io::ErrorKind::WriteZero)?;
        work(encoder)?;
        coded.append((self.output)(encoder));
        Ok(())
    }
}

impl<E: Write> BodyEncoder for VecEncoder<E> {
    fn encode(&mut self, data: &[u8], coded: &mut Vec<u8>) -> io::Result<()> {
        self.run(coded, |encoder| encoder.write_all(data))
    }

    fn flush(&mut self, coded: &mut Vec<u8>) -> io::Result<()> {
        self.run(coded, Write::flush)
    }

    fn finish(&mut self, coded: &mut Vec<u8>) -> io::Result<()> {
        if let Some(encoder) = self.inner.take() {
            coded.append(&mut (self.finish)(encoder)?);
        }
        Ok(())
    }
}
