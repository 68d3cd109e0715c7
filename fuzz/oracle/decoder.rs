//! The chunked coding, read plainly: a function for each rule of RFC 9112, 7.1.
//!
//! ```text
//! chunked-body = *chunk last-chunk trailer-section CRLF
//! chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//! chunk-ext    = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//! ```
//!
//! All bytes are there from the beginning, so there is no state to get wrong. Limits are part of
//! the rules: whichever byte comes first, the forbidden one or the one too many, decides.

use waterwheel::http::{Limits, Refusal};

use super::seen::is_token;

/// What a chunked body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The data of all chunks, up to the fault if there is one.
    pub body: Vec<u8>,
    /// The trailer fields, names as they came.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Where it ends.
    pub end: Result<usize, Fault>,
}

/// Why a chunked body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no more, and it is not at its end.
    CutShort,
    /// Against the grammar.
    Malformed,
    /// A size line, or all extensions together.
    LineTooLong,
    /// The data.
    BodyTooLarge,
    /// The trailer section, a line of it, or the number of its fields.
    TrailersTooLarge,
}

impl Fault {
    /// What the server calls it.
    ///
    /// # Panics
    ///
    /// When a chunked body cannot be refused for that.
    pub fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::BodyCutShort => Self::CutShort,
            Refusal::ChunkLineTooLong => Self::LineTooLong,
            Refusal::BodyTooLarge => Self::BodyTooLarge,
            Refusal::TrailersTooLarge | Refusal::FieldLineTooLong => Self::TrailersTooLarge,
            Refusal::ChunkSize
            | Refusal::ChunkExtension
            | Refusal::ChunkEnd
            | Refusal::BareLineFeed
            | Refusal::BareCarriageReturn
            | Refusal::ControlByte
            | Refusal::FieldName
            | Refusal::SpaceBeforeColon
            | Refusal::LeadingWhitespace
            | Refusal::ObsoleteFold => Self::Malformed,
            other => panic!("no reason to refuse a chunked body: {other:?}"),
        }
    }

    /// What a client is told.
    pub fn status(self) -> u16 {
        match self {
            Self::CutShort | Self::Malformed | Self::LineTooLong => 400,
            Self::BodyTooLarge => 413,
            Self::TrailersTooLarge => 431,
        }
    }
}

/// Reads the chunked body at the beginning of `bytes`.
pub fn decode(bytes: &[u8], limits: &Limits) -> Decoded {
    let mut decoder = Decoder {
        bytes,
        at: 0,
        line_start: 0,
        extension_bytes: 0,
        limits,
        body: Vec::new(),
        trailers: Vec::new(),
    };
    let end = decoder.chunked_body();
    Decoded {
        end: end.map(|()| decoder.at),
        body: decoder.body,
        trailers: decoder.trailers,
    }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    line_start: usize,
    /// Of all chunks.
    extension_bytes: u32,
    limits: &'a Limits,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
}

type Rule<T = ()> = Result<T, Fault>;

impl Decoder<'_> {
    /// `*chunk last-chunk trailer-section CRLF`
    fn chunked_body(&mut self) -> Rule {
        loop {
            match self.size_line()? {
                0 => return self.trailer_section(),
                size => self.data(size)?,
            }
        }
    }

    /// `chunk-size [ chunk-ext ] CRLF`
    fn size_line(&mut self) -> Rule<u64> {
        self.line_start = self.at;
        let size = self.size()?;
        self.extensions()?;
        self.line_end()?;
        if size > self.limits.body_bytes_max - self.body.len() as u64 {
            return Err(Fault::BodyTooLarge);
        }
        Ok(size)
    }

    /// `1*HEXDIG`: any number of zeros, then as many digits as fit into 64 bits; and no more than fit
    /// into 63.
    fn size(&mut self) -> Rule<u64> {
        while self.in_line()? == b'0' {
            self.digit()?;
        }
        let first = self.at;
        while self.in_line()?.is_ascii_hexdigit() && self.at - first < 16 {
            self.digit()?;
        }
        let digits = str::from_utf8(&self.bytes[self.line_start..self.at]).unwrap_or_default();
        let size = u64::from_str_radix(digits, 16).map_err(|_| Fault::Malformed)?;
        match self.in_line()? {
            _ if i64::try_from(size).is_err() => Err(Fault::Malformed),
            b';' | b' ' | b'\t' | b'\r' => Ok(size),
            _ => Err(Fault::Malformed),
        }
    }

    /// `HEXDIG`. From the seventeenth of a line on, it counts as an extension byte.
    fn digit(&mut self) -> Rule {
        if self.at - self.line_start < 16 {
            self.at += 1;
            return Ok(());
        }
        self.in_extension()?;
        self.take_in_extension();
        Ok(())
    }

    /// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`
    fn extensions(&mut self) -> Rule {
        while self.in_extension()? != b'\r' {
            self.white()?;
            self.exactly(b';')?;
            self.white()?;
            self.token()?;
            let before = self.at;
            self.white()?;
            match self.in_extension()? {
                b'=' => {
                    self.take_in_extension();
                    self.white()?;
                    self.value()?;
                }
                b';' => {}
                b'\r' if self.at == before => {}
                _ => return Err(Fault::Malformed),
            }
        }
        Ok(())
    }

    /// `token / quoted-string`
    fn value(&mut self) -> Rule {
        if self.in_extension()? != b'"' {
            return self.token();
        }
        self.take_in_extension();
        loop {
            match self.in_extension()? {
                b'"' => break,
                b'\\' => {
                    self.take_in_extension();
                    self.text()?;
                }
                _ => self.text()?,
            }
        }
        self.take_in_extension();
        Ok(())
    }

    /// `HTAB / SP / VCHAR / obs-text`
    fn text(&mut self) -> Rule {
        if !is_text(self.in_extension()?) {
            return Err(Fault::Malformed);
        }
        self.take_in_extension();
        Ok(())
    }

    /// `1*tchar`
    fn token(&mut self) -> Rule {
        let start = self.at;
        while is_token(self.in_extension()?) {
            self.take_in_extension();
        }
        if self.at == start {
            return Err(Fault::Malformed);
        }
        Ok(())
    }

    /// `BWS`
    fn white(&mut self) -> Rule {
        while matches!(self.in_extension()?, b' ' | b'\t') {
            self.take_in_extension();
        }
        Ok(())
    }

    fn exactly(&mut self, byte: u8) -> Rule {
        if self.in_extension()? != byte {
            return Err(Fault::Malformed);
        }
        self.take_in_extension();
        Ok(())
    }

    /// `chunk-data CRLF`
    fn data(&mut self, size: u64) -> Rule {
        let left = &self.bytes[self.at..];
        let count = usize::try_from(size).map_or(left.len(), |size| size.min(left.len()));
        self.body.extend_from_slice(&left[..count]);
        self.at += count;
        self.line_end()
    }

    /// `*( field-line CRLF ) CRLF`
    fn trailer_section(&mut self) -> Rule {
        let bytes_max = usize::from(self.limits.trailer_bytes_max);
        let has = self.bytes.len() - self.at;
        self.bytes = &self.bytes[..self.at + has.min(bytes_max)];
        loop {
            let read = match self.peek() {
                Ok(b'\r') => {
                    return self
                        .line_end()
                        .map_err(|fault| too_large(fault, has, bytes_max));
                }
                Ok(_) => self.field_line(),
                Err(fault) => Err(fault),
            };
            read.map_err(|fault| too_large(fault, has, bytes_max))?;
        }
    }

    /// `field-name ":" OWS field-value OWS CRLF`
    fn field_line(&mut self) -> Rule {
        self.line_start = self.at;
        while is_token(self.peek()?) {
            self.take_in_field()?;
        }
        let name = self.bytes[self.line_start..self.at].to_vec();
        if name.is_empty() || self.peek()? != b':' {
            return Err(Fault::Malformed);
        }
        self.take_in_field()?;
        let start = self.at;
        while is_text(self.peek()?) {
            self.take_in_field()?;
        }
        let value = self.bytes[start..self.at].trim_ascii().to_vec();
        self.line_end()?;
        if self.trailers.len() == usize::from(self.limits.trailer_fields_max) {
            return Err(Fault::TrailersTooLarge);
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        self.trailers.push((name, value));
        Ok(())
    }

    /// `CRLF`
    fn line_end(&mut self) -> Rule {
        for expected in *b"\r\n" {
            if self.peek()? != expected {
                return Err(Fault::Malformed);
            }
            self.at += 1;
        }
        Ok(())
    }

    fn peek(&self) -> Rule<u8> {
        self.bytes.get(self.at).copied().ok_or(Fault::CutShort)
    }

    /// The next byte, of a size line that may be only so long, not counting its end.
    fn in_line(&self) -> Rule<u8> {
        let byte = self.peek()?;
        let full = self.at - self.line_start == usize::from(self.limits.chunk_line_bytes_max);
        if full && byte != b'\r' {
            return Err(Fault::LineTooLong);
        }
        Ok(byte)
    }

    /// The next byte, of extensions that may be only so long.
    fn in_extension(&self) -> Rule<u8> {
        let byte = self.in_line()?;
        if self.extension_bytes == self.limits.chunk_extension_bytes_max && byte != b'\r' {
            return Err(Fault::LineTooLong);
        }
        Ok(byte)
    }

    fn take_in_extension(&mut self) {
        self.at += 1;
        self.extension_bytes += 1;
    }

    fn take_in_field(&mut self) -> Rule {
        self.at += 1;
        if self.at - self.line_start > usize::from(self.limits.field_line_bytes_max) {
            return Err(Fault::TrailersTooLarge);
        }
        Ok(())
    }
}

/// `HTAB / SP / VCHAR / obs-text`
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// What ends at the limit ends for being too large.
fn too_large(fault: Fault, has: usize, bytes_max: usize) -> Fault {
    match fault {
        Fault::CutShort if has >= bytes_max => Fault::TrailersTooLarge,
        fault => fault,
    }
}
