//! The lines of the access log: the combined format, and JSON.
//!
//! # Invariants
//!
//! - Never: a byte in a line that ends it, or a quote that ends its string.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::SystemTime;

use http::Method;
use jiff::Timestamp;
use serde::Serialize;

use super::log::{End, LogEntry};

impl LogEntry<'_> {
    /// Returns the line in the combined log format, with more at its end: the duration in seconds, the id or
    /// `-`, and the reason if the request was not answered.
    ///
    /// ```text
    /// 127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.1" 200 11 "-" "curl/8.5.0" 0.000021 -
    /// 127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] "-" 400 - "-" "-" 0.000000 - refused: malformed method
    /// ```
    pub fn combined(&self) -> CombinedLine<'_> {
        CombinedLine(self)
    }

    /// Returns a JSON object in one line.
    ///
    /// ```text
    /// {"time":"1994-11-06T08:49:37.250Z","peer":"127.0.0.1","method":"GET","target":"/","version":"HTTP/1.1","end":"answered","status":200,"bytes":11,"seconds":0.000021}
    /// ```
    pub fn json(&self) -> JsonLine<'_> {
        JsonLine(self)
    }
}

/// The line that [`LogEntry::combined`] returns; `Display` writes it.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::middleware::{CombinedLine, LogEntry};
///
/// fn print(entry: &LogEntry<'_>) {
///     let line: CombinedLine<'_> = entry.combined();
///     println!("{line}");
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CombinedLine<'e>(&'e LogEntry<'e>);

impl fmt::Display for CombinedLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.0;
        write_or_dash(f, entry.peer.map(|peer| peer.ip()))?;
        let date = timestamp(entry.time).strftime("%d/%b/%Y:%H:%M:%S +0000");
        write!(f, " - - [{date}] ")?;
        match (entry.method, entry.target, entry.version) {
            (Some(method), Some(target), Some(version)) => {
                write!(f, "\"{method} {target} {version:?}\" ")?;
            }
            _ => f.write_str("\"-\" ")?,
        }
        write_or_dash(f, entry.end.status().map(|status| status.as_u16()))?;
        f.write_char(' ')?;
        write_or_dash(f, entry.end.body_bytes())?;
        for field in [entry.referer, entry.user_agent] {
            write!(f, " \"{}\"", Quoted(field.unwrap_or(b"-")))?;
        }
        write!(f, " {:.6} ", entry.duration.as_secs_f64())?;
        write_or_dash(f, entry.id.as_deref())?;
        match &entry.end {
            End::Answered(..) => Ok(()),
            end => {
                write!(f, " {}", end.word())?;
                let error = end.error().map(|error| Quoted(error.as_bytes()));
                error.map_or(Ok(()), |error| write!(f, ": {error}"))
            }
        }
    }
}

fn write_or_dash(f: &mut fmt::Formatter<'_>, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, "{value}"),
        None => f.write_char('-'),
    }
}

/// Bytes between quotes. Bytes that are not printable ASCII, quotes and backslashes become `\xHH`.
struct Quoted<'b>(&'b [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            match byte {
                b'"' | b'\\' | 0..=0x1f | 0x7f.. => write!(f, "\\x{byte:02X}")?,
                plain => f.write_char(char::from(*plain))?,
            }
        }
        Ok(())
    }
}

/// The line that [`LogEntry::json`] returns; `Display` writes it.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::middleware::{JsonLine, LogEntry};
///
/// fn print(entry: &LogEntry<'_>) {
///     let line: JsonLine<'_> = entry.json();
///     println!("{line}");
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct JsonLine<'e>(&'e LogEntry<'e>);

/// The members of a [`JsonLine`], in their order.
#[derive(Serialize)]
struct JsonMembers<'e> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'e, str>>,
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    seconds: f64,
}

impl fmt::Display for JsonLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.0;
        let members = JsonMembers {
            time: format!("{:.3}", timestamp(entry.time)),
            peer: entry.peer.map(|peer| peer.ip()),
            id: entry.id.as_deref(),
            method: entry.method.map(Method::as_str),
            target: entry.target,
            version: entry.version.map(|version| format!("{version:?}")),
            referer: entry.referer.map(String::from_utf8_lossy),
            user_agent: entry.user_agent.map(String::from_utf8_lossy),
            end: entry.end.word(),
            error: entry.end.error(),
            status: entry.end.status().map(|status| status.as_u16()),
            bytes: entry.end.body_bytes(),
            seconds: entry.duration.as_secs_f64(),
        };
        f.write_str(&serde_json::to_string(&members).map_err(|_| fmt::Error)?)
    }
}

/// Converts a time for a line. A clock outside jiff's years is wrong, but must not stop the log.
fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}
