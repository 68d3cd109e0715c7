//! The bytes that are sent, and the body that must come back.

use crate::options::{Life, Options};

/// One request, as often as a batch holds it, and what its answer must say.
pub(crate) struct Request {
    /// The same request over and over.
    pub(crate) batch: Vec<u8>,
    /// Bytes of one request.
    pub(crate) one: usize,
    /// The body of every answer, where it is known beforehand.
    pub(crate) expected: Option<Vec<u8>>,
}

impl Request {
    /// Renders the request: a `Host` field and whatever the options add.
    pub(crate) fn new(options: &Options) -> Self {
        let body = "w".repeat(options.post_bytes.unwrap_or(0));
        let method = if options.post_bytes.is_some() {
            "POST"
        } else {
            "GET"
        };
        let mut lines = vec![
            format!("{method} {} HTTP/1.1", options.path),
            format!("Host: {}", options.address),
        ];
        if options.post_bytes.is_some() {
            lines.push("Content-Type: application/octet-stream".to_owned());
            lines.push(format!("Content-Length: {}", body.len()));
        }
        if options.life == Life::OneRequest {
            lines.push("Connection: close".to_owned());
        }
        lines.extend(options.headers.iter().cloned());
        let request = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
        Self {
            one: request.len(),
            batch: request.repeat(options.depth).into_bytes(),
            expected: expected(options),
        }
    }
}

fn expected(options: &Options) -> Option<Vec<u8>> {
    if let Some(body) = &options.expect {
        return Some(body.clone().into_bytes());
    }
    match (options.post_bytes, options.path.as_str()) {
        (Some(bytes), _) => Some(vec![b'w'; bytes]),
        (None, "/plaintext") => Some(b"Hello, World!".to_vec()),
        (None, "/json") => Some(br#"{"message":"Hello, World!"}"#.to_vec()),
        _ => None,
    }
}
