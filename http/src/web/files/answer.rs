//! Answers with a file: the whole, ranges of it, or 304.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Method, StatusCode};

use super::refuse::{NO_FIELDS, refuse};
use super::search::FoundFile;
use crate::error::Result;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::web::coding::ContentCoding;
use crate::web::conditional::{Evaluation, Validators};
use crate::web::date::http_date;
use crate::web::range::Ranges;
use crate::web::single::only;

type AnswerFields = Vec<(&'static str, String)>;

/// A file and the head of its answer.
struct Sending<'f> {
    file: &'f File,
    length: u64,
    content_type: String,
    fields: AnswerFields,
}

/// Answers a GET or HEAD request with the file.
pub(super) async fn respond(
    request: Request<'_>,
    found: FoundFile,
    max_age: Option<Duration>,
) -> Result<Responded> {
    let now = SystemTime::now();
    let validators = validators(&found.metadata, found.coding, now);
    let evaluation = validators.evaluate(request.method(), request.headers());
    let mut fields = fields(&validators, &found, max_age, now);
    match evaluation {
        Evaluation::NotModified => {
            return request.respond(StatusCode::NOT_MODIFIED, "", fields).await;
        }
        Evaluation::Failed => {
            return Ok(refuse(request, StatusCode::PRECONDITION_FAILED, NO_FIELDS));
        }
        Evaluation::Serve => {}
    }
    if let Some(coding) = found.coding {
        fields.push(("content-encoding", coding.token().to_owned()));
    }
    fields.push(("accept-ranges", "bytes".to_owned()));
    let sending = Sending {
        file: &found.file,
        length: found.metadata.len(),
        content_type: content_type(&found.path),
        fields,
    };
    let headers = request.headers();
    let ranges = match only(headers, "range") {
        Some(value) if *request.method() == Method::GET && validators.allow_range(headers) => {
            Ranges::parse(value, sending.length)
        }
        _ => Ranges::Whole,
    };
    match ranges {
        Ranges::Whole => sending.whole(request).await,
        Ranges::Unsatisfiable => {
            let fields = [("content-range", format!("bytes */{}", sending.length))];
            Ok(refuse(request, StatusCode::RANGE_NOT_SATISFIABLE, fields))
        }
        Ranges::Parts(parts) => match &parts[..] {
            [part] => sending.part(request, part.clone()).await,
            _ => sending.parts(request, &parts).await,
        },
    }
}

/// The age from which a file has a strong tag. A younger file may change again within the clock's resolution.
const SETTLED: Duration = Duration::from_secs(2);

/// Makes a tag of the time of the last change, the length, and the coding. It is equal on all machines with
/// equal copies.
fn validators(metadata: &Metadata, coding: Option<ContentCoding>, now: SystemTime) -> Validators {
    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
    let nanos = modified
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let coding = coding.map_or("", ContentCoding::suffix).replace('.', "-");
    let tag = format!("{nanos:x}-{:x}{coding}", metadata.len());
    let validators = Validators::new(tag).modified(modified);
    match now.duration_since(modified) {
        Ok(age) if age >= SETTLED => validators,
        _ => validators.weak(),
    }
}

/// The answer's Date may be a moment old, and Last-Modified must not be later than Date (RFC 9110, 8.8.2.1).
/// A second too early costs at most one full answer more.
const DATE_LAG: Duration = Duration::from_secs(1);

/// Returns the fields of all answers about a file, also of a 304 (RFC 9110, 15.4.5).
fn fields(
    validators: &Validators,
    found: &FoundFile,
    max_age: Option<Duration>,
    now: SystemTime,
) -> AnswerFields {
    let mut fields = AnswerFields::new();
    fields.extend(validators.etag().map(|tag| ("etag", tag)));
    let modified = found.metadata.modified().ok();
    let said = modified.and_then(|time| http_date(time.min(now - DATE_LAG)));
    fields.extend(said.map(|date| ("last-modified", date)));
    if let Some(age) = max_age {
        let value = format!("public, max-age={}", age.as_secs());
        fields.push(("cache-control", value));
    }
    if found.varies {
        fields.push(("vary", "accept-encoding".to_owned()));
    }
    fields
}

/// Returns the type by the name of the original file. Text is UTF-8.
fn content_type(path: &Path) -> String {
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    match (kind.type_().as_str(), kind.subtype().as_str()) {
        ("text", _) => format!("{kind}; charset=utf-8"),
        _ => kind.to_string(),
    }
}

impl Sending<'_> {
    async fn whole(mut self, request: Request<'_>) -> Result<Responded> {
        self.fields.push(("content-type", self.content_type));
        self.fields
            .push(("content-length", self.length.to_string()));
        let mut body = request.start(StatusCode::OK, self.fields).await?;
        body.send_file(self.file, 0..self.length).await?;
        body.finish().await
    }

    async fn part(mut self, request: Request<'_>, part: Range<u64>) -> Result<Responded> {
        let length = part.end - part.start;
        self.fields
            .push(("content-range", content_range(&part, self.length)));
        self.fields.push(("content-type", self.content_type));
        self.fields.push(("content-length", length.to_string()));
        let mut body = request
            .start(StatusCode::PARTIAL_CONTENT, self.fields)
            .await?;
        body.send_file(self.file, part).await?;
        body.finish().await
    }

    /// `multipart/byteranges` (RFC 9110, 14.6).
    async fn parts(mut self, request: Request<'_>, parts: &[Range<u64>]) -> Result<Responded> {
        let boundary = boundary();
        let heads: Vec<_> = parts
            .iter()
            .map(|part| {
                let content_range = content_range(part, self.length);
                let content_type = &self.content_type;
                format!(
                    "\r\n--{boundary}\r\ncontent-type: {content_type}\r\ncontent-range: {content_range}\r\n\r\n"
                )
            })
            .collect();
        let end = format!("\r\n--{boundary}--\r\n");
        let of_parts = parts.iter().map(|part| part.end - part.start);
        let of_heads = heads.iter().map(|head| head.len() as u64);
        // All heads are made first, because Content-Length counts them.
        let length = of_parts.chain(of_heads).sum::<u64>() + end.len() as u64;
        let content_type = format!("multipart/byteranges; boundary={boundary}");
        self.fields.push(("content-type", content_type));
        self.fields.push(("content-length", length.to_string()));
        let mut body = request
            .start(StatusCode::PARTIAL_CONTENT, self.fields)
            .await?;
        for (head, part) in heads.iter().zip(parts) {
            body.write(head).await?;
            body.send_file(self.file, part.clone()).await?;
        }
        body.write(end).await?;
        body.finish().await
    }
}

fn content_range(part: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.start, part.end - 1)
}

/// Returns a line that no file contains, because it cannot be predicted and is never repeated.
fn boundary() -> String {
    use std::hash::{BuildHasher, RandomState};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(
        "{:016x}{:016x}",
        RandomState::new().hash_one(count),
        RandomState::new().hash_one(count)
    )
}

/// Turns a lack of descriptors or memory into a 503.
pub(super) fn error(errno: rustix::io::Errno) -> crate::error::Error {
    use rustix::io::Errno;
    match errno {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => crate::error::Refusal::Unavailable.into(),
        other => io::Error::from(other).into(),
    }
}
