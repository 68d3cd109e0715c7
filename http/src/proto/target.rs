//! The four forms of a request target, and which method takes which (RFC 9112, 3.2).
//!
//! | form | looks like | for |
//! |---|---|---|
//! | origin | `/path?query` | any method but CONNECT |
//! | absolute | `http://host:port/path?query` | any method but CONNECT |
//! | authority | `host:port` | CONNECT |
//! | asterisk | `*` | OPTIONS |
//!
//! **Always**: `http` and `https` only, in any case, with a host. **Never**: a fragment, user
//! information; nothing is decoded, a `%` is left to whoever reads the path.

use http::Method;

use super::authority::{is_host_and_port, is_tunnel_end};
use crate::error::Refusal;
use crate::headers::Span;

/// In which form a target came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Origin,
    Absolute,
    Authority,
    Asterisk,
}

/// A target and where its parts are. The parts it does not have are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) form: Form,
    pub(crate) whole: Span,
    /// Host and port of the absolute and authority forms.
    pub(crate) authority: Span,
    /// From the first `/` up to the `?`; empty in `http://host`, where it means `/`.
    pub(crate) path: Span,
}

/// Sorts the target at `start..end`, whose `?` is at `path_end` or which has none if that is
/// its end.
#[inline]
pub(super) fn judge(
    bytes: &[u8],
    method: &Method,
    (start, path_end, end): (usize, usize, usize),
) -> Result<Target, Refusal> {
    let whole = Span::new(start, end);
    if bytes[start] == b'/' && *method != Method::CONNECT {
        let path = Span::new(start, path_end);
        return Ok(Target {
            form: Form::Origin,
            whole,
            authority: Span::default(),
            path,
        });
    }
    judge_rare(bytes, method, whole, path_end).ok_or(Refusal::TargetForm)
}

fn judge_rare(bytes: &[u8], method: &Method, whole: Span, path_end: usize) -> Option<Target> {
    let text = whole.of(bytes);
    if *method == Method::CONNECT {
        let target = Target {
            form: Form::Authority,
            whole,
            authority: whole,
            ..Target::default()
        };
        return is_tunnel_end(text).then_some(target);
    }
    if text == b"*" {
        let target = Target {
            form: Form::Asterisk,
            whole,
            path: whole,
            ..Target::default()
        };
        return (*method == Method::OPTIONS).then_some(target);
    }
    absolute(bytes, whole, path_end)
}

fn absolute(bytes: &[u8], whole: Span, path_end: usize) -> Option<Target> {
    let start = whole.range().start + scheme_bytes(whole.of(bytes))?;
    let before_query = bytes.get(start..path_end)?;
    let slash = before_query.iter().position(|byte| *byte == b'/');
    let authority_end = slash.map_or(path_end, |at| start + at);
    is_host_and_port(&bytes[start..authority_end]).then(|| Target {
        form: Form::Absolute,
        whole,
        authority: Span::new(start, authority_end),
        path: Span::new(authority_end, path_end),
    })
}

fn scheme_bytes(text: &[u8]) -> Option<usize> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|has| has.eq_ignore_ascii_case(scheme))
        })
        .map(<[u8]>::len)
}
