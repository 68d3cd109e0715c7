//! The bytes that are sent, and the body that must come back.

use crate::{Head, Options};
use memchr::memmem;

/// The fields of a browser with a cookie. With the request line and `Host` some 350 bytes.
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\n\
    Cookie: theme=dark; session=0000000000";

/// A counter before its first step. No two requests have the same.
const COUNTER: &[u8] = b"0000000000";

/// A batch of requests, and the body of each answer.
pub(crate) struct Request {
    /// The same request over and over, except for its counters.
    pub(crate) batch: Vec<u8>,
    /// Bytes of one request.
    pub(crate) one: usize,
    /// The body of every answer, if it is known.
    pub(crate) expected: Option<Vec<u8>>,
    /// Where the counters of one request stand.
    counters: Vec<usize>,
    count: u64,
}

impl Request {
    /// Renders a batch of `depth` requests.
    pub(crate) fn new(options: &Options, depth: usize) -> Self {
        let request = render(options);
        let counters = memmem::find_iter(request.as_bytes(), COUNTER);
        Self {
            one: request.len(),
            batch: request.repeat(depth).into_bytes(),
            expected: expected(options),
            counters: counters.filter(|_| options.head == Head::Varied).collect(),
            count: 0,
        }
    }

    /// Moves the counters of the first requests of the batch on.
    ///
    /// A batch that is still being sent gets the new counters too. They are as long.
    pub(crate) fn vary(&mut self, requests: usize) {
        if self.counters.is_empty() {
            return;
        }
        for request in self.batch.chunks_exact_mut(self.one).take(requests) {
            self.count += 1;
            for &at in &self.counters {
                write_digits(&mut request[at..at + COUNTER.len()], self.count);
            }
        }
    }
}

fn render(options: &Options) -> String {
    let body = "w".repeat(options.post.unwrap_or(0));
    let method = if options.post.is_some() {
        "POST"
    } else {
        "GET"
    };
    let query = if options.head == Head::Varied {
        "?n=0000000000"
    } else {
        ""
    };
    let mut lines = vec![
        format!("{method} {}{query} HTTP/1.1", options.path),
        format!("Host: {}", options.address),
    ];
    if options.head != Head::Bare {
        lines.push(BROWSER.to_owned());
    }
    if options.post.is_some() {
        lines.push("Content-Type: application/octet-stream".to_owned());
        lines.push(format!("Content-Length: {}", body.len()));
    }
    if options.close {
        lines.push("Connection: close".to_owned());
    }
    lines.extend(options.header.iter().cloned());
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

/// Writes a number in decimal, as wide as its place. `format!` would cost more than a request.
fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
        number /= 10;
    }
}

fn expected(options: &Options) -> Option<Vec<u8>> {
    match (options.post, options.path.as_str()) {
        (Some(bytes), _) => Some(vec![b'w'; bytes]),
        (None, "/json") => Some(br#"{"message":"Hello, World!"}"#.to_vec()),
        (None, "/plaintext" | "/large") => Some(b"Hello, World!".to_vec()),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{COUNTER, Request, write_digits};
    use crate::Options;
    use clap::Parser;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_is_as_wide_as_its_place() {
        let mut place = COUNTER.to_vec();
        write_digits(&mut place, 42);
        assert_eq!(place, b"0000000042");
    }

    #[test]
    fn no_two_varied_requests_are_the_same_and_all_are_as_long() {
        let options = Options::parse_from(["load", "127.0.0.1:1", "--head", "varied"]);
        let mut request = Request::new(&options, 16);
        assert_eq!(request.batch.len(), 16 * request.one);
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            request.vary(16);
            seen.extend(request.batch.chunks_exact(request.one).map(<[u8]>::to_vec));
        }
        assert_eq!(seen.len(), 3 * 16);
    }
}
