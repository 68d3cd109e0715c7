//! The four forms of a request target, and which method takes which (RFC 9112, 3.2).
//!
//! | form | looks like | for |
//! |---|---|---|
//! | origin | `/path?query` | any method but CONNECT |
//! | absolute | `http://host:port/path?query` | any method but CONNECT |
//! | authority | `host:port` | CONNECT |
//! | asterisk | `*` | OPTIONS |
//!
//! **Always**: the scheme is `http` or `https`, in any case, with a host. **Never**: a fragment, or user
//! information. This module decodes no `%`: the reader of the path does.

use http::Method;

use super::authority::{is_host_and_port, is_tunnel_end};
use crate::error::Refusal;
use crate::headers::Span;

/// The form of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Origin,
    Absolute,
    Authority,
    Asterisk,
}

/// A target's form and the positions of its parts. A missing part is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) form: Form,
    /// Host and port of the absolute and authority forms.
    pub(crate) authority: Span,
    /// From the first `/` up to the `?`; empty in `http://host`, where it means `/`.
    pub(crate) path: Span,
}

/// Returns form and parts of a target, which is not empty. `path_end` is the position of its `?`, or its
/// length if it has none.
#[inline]
pub(super) fn judge(target: &[u8], method: &Method, path_end: usize) -> Result<Target, Refusal> {
    // The usual form needs no further look: its bytes were checked while they were read.
    if target[0] == b'/' && *method != Method::CONNECT {
        return Ok(Target {
            form: Form::Origin,
            authority: Span::default(),
            path: Span::new(0, path_end),
        });
    }
    judge_rare(target, method, path_end).ok_or(Refusal::TargetForm)
}

fn judge_rare(target: &[u8], method: &Method, path_end: usize) -> Option<Target> {
    let whole = Span::new(0, target.len());
    if *method == Method::CONNECT {
        let found = Target {
            form: Form::Authority,
            authority: whole,
            ..Target::default()
        };
        return is_tunnel_end(target).then_some(found);
    }
    if target == b"*" {
        let found = Target {
            form: Form::Asterisk,
            path: whole,
            ..Target::default()
        };
        return (*method == Method::OPTIONS).then_some(found);
    }
    absolute(target, path_end)
}

fn absolute(target: &[u8], path_end: usize) -> Option<Target> {
    let start = scheme_bytes(target)?;
    let before_query = target.get(start..path_end)?;
    // The path begins at the first slash after the scheme. Without one, the authority ends at the query or at the end.
    let slash = before_query.iter().position(|byte| *byte == b'/');
    let authority_end = slash.map_or(path_end, |at| start + at);
    is_host_and_port(&target[start..authority_end]).then(|| Target {
        form: Form::Absolute,
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
