//! The encoders of other crates behind one trait.

use std::rc::Rc;

use crate::exchange::answer_coder::BodyEncoder;
use crate::web::coding::ContentCoding;
use crate::web::compress::Effort;
use crate::web::compress::deflate::{DeflateFormat, DeflatePool};
#[cfg(any(feature = "compress-brotli", feature = "compress-zstd"))]
use crate::web::compress::vec_encoder::boxed;

/// Makes an encoder, or takes one from the pool.
pub(super) type Maker = fn(Effort, &Rc<DeflatePool>) -> Box<dyn BodyEncoder>;

/// The codings of this build.
const MAKERS: &[(ContentCoding, Maker)] = &[
    #[cfg(feature = "compress-brotli")]
    (ContentCoding::Brotli, |effort, _| {
        use brotli::CompressorWriter;

        /// The bytes that the encoder collects before it writes.
        const BUFFER_BYTES: usize = 4096;
        /// The binary logarithm of the window: 256 KiB. One of 4 MiB, the default, takes several times the memory for each
        /// answer.
        const WINDOW_BITS: u32 = 18;

        let quality = effort.of(1, 4, 9);
        let encoder = CompressorWriter::new(Vec::new(), BUFFER_BYTES, quality, WINDOW_BITS);
        let finish = |encoder: CompressorWriter<Vec<u8>>| Ok(encoder.into_inner());
        boxed(encoder, CompressorWriter::get_mut, finish)
    }),
    #[cfg(feature = "compress-zstd")]
    (ContentCoding::Zstd, |effort, _| {
        use zstd::stream::raw::CParameter;
        use zstd::stream::write::Encoder;

        // The window and the tables of `Small` would take 45 MiB for each answer. These take 2 MiB, and its bytes are 4 %
        // more. A client must support windows up to 8 MiB (RFC 9659).
        let level = effort.of(1, 3, 12).cast_signed();
        let tables: &[CParameter] = match effort {
            Effort::Small => &[CParameter::HashLog(18), CParameter::ChainLog(18)],
            _ => &[],
        };
        let mut encoder = Encoder::new(Vec::new(), level).expect("memory for an encoder");
        for parameter in tables.iter().chain([&CParameter::WindowLog(19)]) {
            encoder
                .set_parameter(*parameter)
                .expect("a size that zstd knows");
        }
        boxed(encoder, Encoder::get_mut, Encoder::finish)
    }),
    (ContentCoding::Gzip, |effort, pool| {
        pool.encoder(DeflateFormat::Gzip, effort)
    }),
    // The coding is named after the data inside. The format is that of zlib (RFC 9110, 8.4.1.2).
    (ContentCoding::Deflate, |effort, pool| {
        pool.encoder(DeflateFormat::Zlib, effort)
    }),
];

/// Returns the maker of encoders for a coding. Returns `None` if this build does not have the coding.
pub(super) fn maker(coding: ContentCoding) -> Option<Maker> {
    let mut makers = MAKERS.iter();
    makers.find_map(|(other, maker)| (*other == coding).then_some(*maker))
}

impl Effort {
    pub(super) fn of(self, fast: u32, usual: u32, small: u32) -> u32 {
        match self {
            Self::Fast => fast,
            Self::Usual => usual,
            Self::Small => small,
        }
    }
}
