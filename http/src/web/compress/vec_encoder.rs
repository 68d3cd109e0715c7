//! Encoders that write into a `Vec`.

use std::io::{self, Write};

use crate::exchange::answer_coder::BodyEncoder;

/// An encoder that writes into a `Vec`, and the two functions that take the bytes out of it.
struct VecEncoder<E> {
    /// `None` after the end.
    inner: Option<E>,
    output: fn(&mut E) -> &mut Vec<u8>,
    finish: fn(E) -> io::Result<Vec<u8>>,
}

/// Makes an encoder of one of another crate.
pub(super) fn boxed<E: Write + 'static>(
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
