//! Handlers below a prefix: the part of the path that is theirs.

use crate::exchange::request::Request;

/// The number of segments of the path that the prefixes of outer routers have matched.
#[derive(Clone, Copy)]
pub(crate) struct NestedAt(pub(crate) usize);

/// Returns the number of segments that belong to outer routers.
pub(crate) fn depth(request: &Request<'_>) -> usize {
    request
        .extensions()
        .get::<NestedAt>()
        .map_or(0, |nested| nested.0)
}

/// Returns the part of the path below the prefixes of outer routers, without decoding. It is empty if the path ends
/// with the prefix.
///
/// A handler of [`Router::nest`](crate::web::routes::Router::nest) sees the whole path as
/// [`Request::path`], and its own part here. The router and `Files` use this, so they can be nested as they are.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::routes::{Router, nested_path};
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// async fn legacy(request: Request<'_>) -> Result<Responded> {
///     let text = format!("{} of {}", nested_path(&request), request.path());
///     request.respond(StatusCode::OK, text, ()).await
/// }
///
/// let router = Router::new().nest("/old", legacy);
/// let answer = block_on(async { TestClient::new(router).get("/old/mill").await });
/// assert_eq!(answer.text(), "/mill of /old/mill");
/// ```
pub fn nested_path<'c>(request: &Request<'c>) -> &'c str {
    let path = request.path();
    match depth(request) {
        0 => path,
        segments => {
            let slash = path.match_indices('/').nth(segments);
            slash.map_or("", |(start, _)| &path[start..])
        }
    }
}
