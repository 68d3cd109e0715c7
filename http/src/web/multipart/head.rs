//! The head of a part: its name, its file name, its type (RFC 7578, 4.2 and 4.4).

use percent_encoding::percent_decode;

use super::fault::{bad, malformed_head};
use crate::error::ClientError;
use crate::headers::white_space::trim;
use crate::web::parameters::parameters;

/// The head of a part.
#[derive(Debug)]
pub(super) struct PartHead {
    /// The name of the part's input.
    pub(super) name: String,
    /// The sender's name for the file, if the part is a file.
    pub(super) file_name: Option<String>,
    /// The sender's Content-Type.
    pub(super) content_type: Option<String>,
}

/// Builds a head from its fields, one by one.
#[derive(Debug, Default)]
pub(super) struct PartHeadBuilder {
    disposition: Option<Disposition>,
    content_type: Option<String>,
}

/// The parameters of a Content-Disposition.
#[derive(Debug, Default)]
struct Disposition {
    name: Option<String>,
    extended_name: Option<String>,
    file_name: Option<String>,
    extended_file_name: Option<String>,
}

impl PartHeadBuilder {
    /// Adds a field.
    ///
    /// # Errors
    ///
    /// If the head is ambiguous, because another server might read it in another way.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), ClientError> {
        if name.eq_ignore_ascii_case(b"content-disposition") {
            once(&mut self.disposition, Disposition::parse(value)?)
        } else if name.eq_ignore_ascii_case(b"content-type") {
            once(&mut self.content_type, lossy(value))
        } else {
            Ok(()) // RFC 7578, 4.8: others are to be ignored
        }
    }

    /// # Errors
    ///
    /// If the part has no name.
    pub(super) fn build(self) -> Result<PartHead, ClientError> {
        let disposition = self.disposition.unwrap_or_default();
        let name = disposition.extended_name.or(disposition.name);
        Ok(PartHead {
            name: name.ok_or_else(|| bad("a part of the form has no name"))?,
            file_name: disposition.extended_file_name.or(disposition.file_name),
            content_type: self.content_type,
        })
    }
}

impl Disposition {
    /// Reads the parameters of a `form-data`. Any other kind has none.
    ///
    /// RFC 7578 forbids the extended notation (RFC 8187), but some libraries send it, and some send it
    /// alone. It is preferred, as in other Content-Disposition fields (RFC 6266, 4.3).
    fn parse(value: &[u8]) -> Result<Self, ClientError> {
        let mut found = Self::default();
        let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
        if !trim(kind).eq_ignore_ascii_case(b"form-data") {
            return Ok(found);
        }
        for parameter in parameters(value) {
            let parameter = parameter.map_err(|_| malformed_head())?;
            let is = |name: &[u8]| parameter.name.eq_ignore_ascii_case(name);
            if is(b"name") {
                once(&mut found.name, text(&parameter.value)?)?;
            } else if is(b"name*") {
                once(&mut found.extended_name, text(&extended(&parameter.value))?)?;
            } else if is(b"filename") {
                once(&mut found.file_name, lossy(&parameter.value))?;
            } else if is(b"filename*") {
                let name = lossy(&extended(&parameter.value));
                once(&mut found.extended_file_name, name)?;
            }
        }
        Ok(found)
    }
}

/// Fills an empty place. Returns an error if it is full.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), ClientError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(malformed_head()),
    }
}

/// Decodes an extended value, without its charset and language.
fn extended(value: &[u8]) -> Vec<u8> {
    let encoded = value.splitn(3, |byte| *byte == b'\'').nth(2);
    percent_decode(encoded.unwrap_or(value)).collect()
}

fn text(bytes: &[u8]) -> Result<String, ClientError> {
    let text = String::from_utf8(bytes.to_vec());
    text.map_err(|_| malformed_head())
}

/// Replaces bytes that are not UTF-8, because a file with such a name is still a file.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
