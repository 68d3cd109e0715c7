use axum::Router;
use axum::body::Body;
use tower::ServiceExt;
use waterwheel::http::{Handler, Request, Responded, Result, StatusCode, header};

/// Makes a handler of an axum `Router`, with its extractors, layers and streamed answers. The body of a
/// request is read first.
pub fn handler(router: Router) -> impl Handler {
    async move |request: Request<'_>| serve(&router, request).await
}

async fn serve(router: &Router, request: Request<'_>) -> Result<Responded> {
    let mut asked = axum::http::Request::new(Body::from(request.bytes().await?));
    *asked.method_mut() = request.method().clone();
    *asked.uri_mut() = request.target().parse()?;
    *asked.headers_mut() = request.headers().to_header_map();
    let (mut head, body) = router.clone().oneshot(asked).await?.into_parts();
    if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(header::CONTENT_LENGTH); // not allowed there (RFC 9110, 8.6)
    }
    let answer = request.start(head.status, head.headers).await?;
    answer.send_body(body).await
}
