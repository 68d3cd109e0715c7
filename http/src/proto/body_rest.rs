//! The part of an answer's body that a client has not read yet.

use http::HeaderMap;

use super::chunked::{Decoded, Decoder};
use super::framing::ContentFraming;
use crate::error::Refusal;
use crate::limits::Limits;

/// The unread part of an answer's body.
pub(crate) enum BodyRest {
    /// That many bytes. 0 is the end.
    Sized(u64),
    Chunked(Box<Decoder>),
    UntilClose,
}

impl BodyRest {
    pub(crate) fn of(framing: ContentFraming) -> Self {
        match framing {
            ContentFraming::Sized(length) => Self::Sized(length),
            ContentFraming::Chunked => Self::Chunked(Box::default()),
            ContentFraming::AtClose => Self::UntilClose,
            ContentFraming::None | ContentFraming::Tunnel => Self::Sized(0),
        }
    }

    /// Finds the next data in the input.
    pub(crate) fn decode(&mut self, input: &[u8], limits: &Limits) -> Result<Decoded, Refusal> {
        let count = match self {
            Self::Sized(0) => return Ok(Decoded::End(0)),
            Self::Chunked(decoder) => return decoder.decode(input, limits),
            Self::Sized(left) => {
                let count =
                    usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= count as u64;
                count
            }
            Self::UntilClose => input.len(),
        };
        // Like the decoder of chunks, which never returns an empty range.
        Ok(match count {
            0 => Decoded::Incomplete,
            _ => Decoded::Data(0..count),
        })
    }

    /// Returns the trailers, after the end of the body.
    pub(crate) fn trailers(&self) -> HeaderMap {
        match self {
            Self::Chunked(decoder) => decoder.trailers().to_header_map(),
            Self::Sized(_) | Self::UntilClose => HeaderMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads pieces to the end of the body, or of the pieces. Returns the data, and the bytes behind the end.
    fn check(framing: ContentFraming, pieces: &[&str], data: &str, behind: Option<&str>) {
        let (mut rest, mut read, mut found) = (BodyRest::of(framing), String::new(), None);
        let mut input = String::new();
        'pieces: for piece in pieces {
            input.push_str(piece);
            loop {
                match rest.decode(input.as_bytes(), &Limits::DEFAULT) {
                    Ok(Decoded::Data(range)) => {
                        assert!(!range.is_empty());
                        read.push_str(&input[range.clone()]);
                        input.drain(..range.end);
                    }
                    Ok(Decoded::Incomplete) => {
                        input.clear();
                        break;
                    }
                    Ok(Decoded::End(count)) => {
                        found = Some(input[count..].to_owned());
                        break 'pieces;
                    }
                    Err(refusal) => panic!("{refusal:?}"),
                }
            }
        }
        assert_eq!(
            (read.as_str(), found.as_deref()),
            (data, behind),
            "{framing:?}"
        );
    }

    #[test]
    fn each_body_ends_where_its_framing_says() {
        use ContentFraming::{AtClose, Chunked, None, Sized, Tunnel};
        check(None, &["next"], "", Some("next"));
        check(Tunnel, &[""], "", Some(""));
        check(Sized(5), &["gr", "ainnext"], "grain", Some("next"));
        check(Sized(5), &["grai"], "grai", Option::None);
        check(Sized(u64::MAX), &["grain"], "grain", Option::None);
        check(AtClose, &["gr", "", "ain"], "grain", Option::None);
        check(
            Chunked,
            &["5\r\ngr", "ain\r\n0\r\n\r\nnext"],
            "grain",
            Some("next"),
        );
        check(Chunked, &["5\r\ngrain\r\n"], "grain", Option::None);
    }
}
