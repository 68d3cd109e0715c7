//! Messages, and the reasons for the end of a WebSocket.

use std::fmt;

use tungstenite::protocol::frame::coding::CloseCode as KnownCode;

use crate::web::websocket::error::Violation;

/// A whole message: a text or bytes. A fragmented message arrives as one.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::websocket::Message;
///
/// let message = Message::from("flour");
/// assert_eq!(message.as_text(), Some("flour"));
/// assert_eq!(message.as_bytes(), b"flour");
/// assert_eq!(Message::from(vec![1, 2]), Message::Binary(vec![1, 2]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// A text, which is UTF-8 (RFC 6455, 5.6).
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// Returns the text, or `None` if the message has bytes.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the bytes of the message or of its text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

/// A code of a close frame (RFC 6455, 7.4).
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::websocket::CloseCode;
///
/// assert_eq!(CloseCode::GOING_AWAY.get(), 1001);
/// assert_eq!(CloseCode::new(4000).map(CloseCode::get), Some(4000)); // for applications: 4000 to 4999
/// assert_eq!(CloseCode::new(1006), None); // may not be sent
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server ends, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer has broken a rule of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: this end accepts no messages of that kind.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: a text is not UTF-8, or a compressed message is malformed.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: the message violates a rule of the application.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message is too large.
    pub const TOO_LARGE: Self = Self(1009);
    /// 1011: the server has failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1013: the client should try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// Returns the code, or `None` if a close frame may not have it (RFC 6455, 7.4.2).
    #[must_use]
    pub fn new(code: u16) -> Option<Self> {
        // 1014 was registered later, and tungstenite does not know it.
        (KnownCode::from(code).is_allowed() || code == 1014).then_some(Self(code))
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The code and the text of the close frame that a client has sent.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::websocket::{CloseCode, WebSocket};
///
/// fn report(socket: &WebSocket) {
///     if let Some(reason) = socket.close_reason() {
///         println!("closed with {}: {}", reason.code, reason.text);
///     }
/// }
/// # drop(report);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CloseReason {
    /// The code.
    pub code: CloseCode,
    /// The text, at most 123 bytes.
    pub text: String,
}

impl CloseReason {
    /// Parses the payload of a close frame. It may be empty (RFC 6455, 5.5.1).
    pub(super) fn parse(payload: &[u8]) -> Result<Option<Self>, Violation> {
        let [high, low, text @ ..] = payload else {
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(Violation::Close)
            };
        };
        let code = u16::from_be_bytes([*high, *low]);
        let code = CloseCode::new(code).ok_or(Violation::Close)?;
        let text = str::from_utf8(text).map_err(|_| Violation::Utf8)?;
        Ok(Some(Self {
            code,
            text: text.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_has_no_payload_or_a_valid_code_and_a_text() {
        // RFC 6455, 5.5.1 and 7.4
        let check = |payload: &[u8], expected: Result<Option<(u16, &str)>, Violation>| {
            let parsed = CloseReason::parse(payload);
            let parsed = parsed.map(|some| some.map(|reason| (reason.code.get(), reason.text)));
            let expected = expected.map(|some| some.map(|(code, text)| (code, text.to_owned())));
            assert_eq!(parsed, expected, "{payload:?}");
        };
        check(b"", Ok(None));
        check(b"\x03", Err(Violation::Close));
        check(b"\x03\xe8", Ok(Some((1000, ""))));
        check(b"\x03\xe8bye", Ok(Some((1000, "bye"))));
        check(b"\x03\xe8\xff", Err(Violation::Utf8));
        for code in [
            1000, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999_u16,
        ] {
            check(&code.to_be_bytes(), Ok(Some((code, ""))));
        }
        for code in [
            0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535_u16,
        ] {
            check(&code.to_be_bytes(), Err(Violation::Close));
        }
    }
}
