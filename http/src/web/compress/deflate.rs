//! The encoders of gzip and deflate, whose states are used again.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::exchange::answer_coder::BodyEncoder;
use crate::web::compress::Effort;

/// The idle states of DEFLATE. A new state has 370 KiB, of which 256 KiB are cleared; for a used one, 128 KiB. // LOG C1
#[derive(Debug, Default)]
pub(super) struct DeflatePool(RefCell<Vec<DeflateState>>);

/// The most idle states. A whole answer needs one at a time; only answers in pieces need more.
const IDLE_STATES_MAX: usize = 4;

/// The largest window of DEFLATE, and the usual one.
const WINDOW_BITS: u8 = 15;

/// The least room for the output of one call of zlib.
const ROOM_BYTES: usize = 1024;

/// The format around the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum DeflateFormat {
    Gzip,
    Zlib,
}

/// A state, and the format and effort that it was made for.
#[derive(Debug)]
struct DeflateState {
    format: DeflateFormat,
    effort: Effort,
    state: Compress,
}

impl DeflatePool {
    /// Returns an encoder with an idle state, or with a new one.
    pub(super) fn encoder(
        self: &Rc<Self>,
        format: DeflateFormat,
        effort: Effort,
    ) -> Box<dyn BodyEncoder> {
        let state = self.take(format, effort).unwrap_or_else(|| {
            let level = Compression::new(effort.of(1, 6, 9));
            let state = match format {
                DeflateFormat::Gzip => Compress::new_gzip(level, WINDOW_BITS),
                DeflateFormat::Zlib => Compress::new(level, true),
            };
            DeflateState {
                format,
                effort,
                state,
            }
        });
        Box::new(DeflateEncoder {
            state: Some(state),
            pool: self.clone(),
        })
    }

    fn take(&self, format: DeflateFormat, effort: Effort) -> Option<DeflateState> {
        let mut idle = self.0.borrow_mut();
        let fits = |other: &DeflateState| other.format == format && other.effort == effort;
        let mut state = idle.iter().rposition(fits).map(|at| idle.swap_remove(at))?;
        state.state.reset();
        Some(state)
    }

    fn put(&self, state: DeflateState) {
        let mut idle = self.0.borrow_mut();
        if idle.len() < IDLE_STATES_MAX {
            idle.push(state);
        }
    }
}

/// An encoder whose state goes to the pool at its end.
struct DeflateEncoder {
    /// `None` after the end.
    state: Option<DeflateState>,
    pool: Rc<DeflatePool>,
}

impl DeflateEncoder {
    fn run(
        &mut self,
        mut data: &[u8],
        coded: &mut Vec<u8>,
        flush: FlushCompress,
    ) -> io::Result<()> {
        let state = self.state.as_mut().ok_or(io::ErrorKind::WriteZero)?;
        let state = &mut state.state;
        loop {
            coded.reserve((data.len() / 2).max(ROOM_BYTES));
            let before = state.total_in();
            let status = state.compress_vec(data, coded, flush)?;
            let used = usize::try_from(state.total_in() - before).unwrap_or(data.len());
            data = &data[used..];
            let is_done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                FlushCompress::None => data.is_empty(),
                // A full buffer may have left bytes behind.
                _ => data.is_empty() && coded.len() < coded.capacity(),
            };
            if is_done {
                return Ok(());
            }
        }
    }

    fn release(&mut self) {
        if let Some(state) = self.state.take() {
            self.pool.put(state);
        }
    }
}

impl BodyEncoder for DeflateEncoder {
    fn encode(&mut self, data: &[u8], coded: &mut Vec<u8>) -> io::Result<()> {
        self.run(data, coded, FlushCompress::None)
    }

    fn flush(&mut self, coded: &mut Vec<u8>) -> io::Result<()> {
        self.run(&[], coded, FlushCompress::Sync)
    }

    fn finish(&mut self, coded: &mut Vec<u8>) -> io::Result<()> {
        if self.state.is_some() {
            self.run(&[], coded, FlushCompress::Finish)?;
            self.release();
        }
        Ok(())
    }
}

impl Drop for DeflateEncoder {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_keeps_the_states_that_ended_and_at_most_four() {
        let pool = Rc::new(DeflatePool::default());
        let begin = |effort| pool.encoder(DeflateFormat::Gzip, effort);
        let idle = || pool.0.borrow().len();
        drop(begin(Effort::Usual));
        assert_eq!(idle(), 1);
        let mut again = begin(Effort::Usual);
        assert_eq!(idle(), 0, "an idle state is used again");
        again.finish(&mut Vec::new()).expect("zlib ends a stream");
        assert_eq!(idle(), 1, "also before the encoder is dropped");
        let other = begin(Effort::Fast);
        assert_eq!(idle(), 1, "another effort has another state");
        let many: Vec<_> = (0..10).map(|_| begin(Effort::Fast)).collect();
        drop((again, other, many));
        assert_eq!(idle(), IDLE_STATES_MAX);
    }

    #[test]
    fn a_flush_is_whole_whatever_room_its_output_needs() {
        let pool = Rc::new(DeflatePool::default());
        for length in (0..4000).step_by(7) {
            // Hardly compressible, so the lengths of the outputs pass every border of the room.
            let data: Vec<u8> = (0..length)
                .map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect();
            let mut encoder = pool.encoder(DeflateFormat::Zlib, Effort::Usual);
            let mut coded = Vec::new();
            encoder.encode(&data, &mut coded).expect("it is coded");
            encoder.flush(&mut coded).expect("it is flushed");
            let mut inflate = flate2::Decompress::new(true);
            let mut decoded = Vec::with_capacity(5000);
            inflate
                .decompress_vec(&coded, &mut decoded, flate2::FlushDecompress::Sync)
                .expect("it decodes");
            assert_eq!(decoded, data, "{length}");
        }
    }
}
