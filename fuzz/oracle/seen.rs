//! What a handler saw of a request, kept; and said in its answer.

use std::cell::RefCell;
use std::rc::Rc;

use waterwheel::http::{Method, Request, Responded, Result, StatusCode, Version};

/// All a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// As it came.
    pub method: Method,
    /// As it came.
    pub target: String,
    /// 1.0 or 1.1.
    pub version: Version,
    /// Out of the target, or the Host.
    pub host: Option<String>,
    /// Names as they came.
    pub fields: Vec<(String, Vec<u8>)>,
    /// `None` while it has not been read to its end.
    pub body: Option<Vec<u8>>,
    /// Of a chunked body.
    pub trailers: Vec<(String, Vec<u8>)>,
}

/// All requests of a connection.
pub type Log = Rc<RefCell<Vec<Seen>>>;

impl Seen {
    /// What the head says.
    pub fn of(request: &Request<'_>) -> Self {
        check_target(request);
        Self {
            method: request.method().clone(),
            target: request.target().to_owned(),
            version: request.version(),
            host: request.host().map(str::to_owned),
            fields: request
                .headers()
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect(),
            body: None,
            trailers: Vec::new(),
        }
    }

    /// All of it as one text.
    pub fn text(&self) -> Vec<u8> {
        format!("{self:?}").into_bytes()
    }

    /// The values of a field.
    pub fn field<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |(has, _)| has.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// What no request may say that has come to a handler.
    ///
    /// # Panics
    ///
    /// If it does.
    pub fn check(&self) {
        assert!(matches!(self.version, Version::HTTP_10 | Version::HTTP_11));
        let target = self.target.as_bytes();
        assert!(!target.is_empty() && target.iter().all(u8::is_ascii_graphic));
        assert!(!target.contains(&b'#'), "a fragment: {}", self.target);
        for (name, value) in self.fields.iter().chain(&self.trailers) {
            assert!(!name.is_empty() && name.bytes().all(is_token), "{name:?}");
            let clean = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
            assert!(value.iter().all(clean), "{name}: {value:?}");
            let white = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
            assert!(!white(value.first()) && !white(value.last()), "{name}");
        }
        let hosts = self.field("host").count();
        assert!(hosts == 1 || hosts == 0 && self.version == Version::HTTP_10);
        let lengths: Vec<_> = self.field("content-length").collect();
        let chunked = self.field("transfer-encoding").next().is_some();
        assert!(lengths.len() + usize::from(chunked) <= 1, "two framings");
        if let ([length], Some(body)) = (&lengths[..], &self.body) {
            let length = std::str::from_utf8(length).expect("digits");
            assert_eq!(length.parse(), Ok(body.len()));
        }
        if let (true, Some(body)) = (lengths.is_empty() && !chunked, &self.body) {
            assert!(body.is_empty(), "a body out of nowhere");
        }
        assert!(!chunked || self.version == Version::HTTP_11);
    }
}

/// Path and query are the end of the target as it came. An absolute one may have no path behind its
/// host: then that is `/` (RFC 9110, 4.2.3).
fn check_target(request: &Request<'_>) {
    let (target, path, host) = (request.target(), request.path(), request.host());
    let query = request
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let bare = format!("://{}{query}", host.unwrap_or_default());
    let without_path = path == "/" && target.ends_with(&bare);
    assert!(
        target.ends_with(&format!("{path}{query}")) || without_path,
        "{target}"
    );
}

/// A byte of a token (RFC 9110, 5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads all of a request, notes it, and answers with it.
pub async fn echo(log: &Log, request: Request<'_>) -> Result<Responded> {
    let mut seen = Seen::of(&request);
    log.borrow_mut().push(seen.clone());
    let body = request.body();
    seen.body = Some(request.bytes().await?);
    if let Some(trailers) = body.trailers() {
        seen.trailers = trailers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
    }
    if let Some(last) = log.borrow_mut().last_mut() {
        last.clone_from(&seen);
    }
    let status = if seen.method == Method::CONNECT {
        StatusCode::METHOD_NOT_ALLOWED
    } else {
        StatusCode::OK
    };
    request.respond(status, seen.text(), ()).await
}
