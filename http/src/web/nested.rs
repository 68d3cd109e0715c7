//! Handlers below a prefix: the part of the path that is theirs.

use crate::exchange::request::Request;

/// The number of segments of the path that the prefixes of outer routers have matched.
#[derive(Clone, Copy)]
pub(crate) struct NestedAt(pub(crate) usize);

/// Returns the number of segments that belong to outer routers.
#[inline]
pub(crate) fn depth(request: &Request<'_>) -> usize {
    let extensions = request.extensions();
    // Most requests have no extensions, and need no search.
    if extensions.is_empty() {
        return 0;
    }
    extensions.get::<NestedAt>().map_or(0, |nested| nested.0)
}

/// Returns the part of the path below the prefixes of outer routers, without decoding. It is empty if the path ends
/// with the prefix.
#[inline]
pub(crate) fn path<'c>(request: &Request<'c>) -> &'c str {
    let path = request.path();
    match depth(request) {
        0 => path,
        segments => {
            let slash = path.match_indices('/').nth(segments);
            slash.map_or("", |(start, _)| &path[start..])
        }
    }
}

/// Returns the prefixes of outer routers, as the request has them: the part of its path before [`path`].
#[cfg(feature = "proxy")]
pub(crate) fn prefix<'c>(request: &Request<'c>) -> &'c str {
    let path = request.path();
    &path[..path.len() - self::path(request).len()]
}
