//! The contract on hyper, for every runtime below it.

use crate::contract;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Error, Request, Response, StatusCode};

/// Serves one connection. An error ends this connection only.
pub(crate) async fn connection(io: impl Read + Write + Unpin + 'static) {
    let mut http = http1::Builder::new();
    http.pipeline_flush(true);
    if contract::is_large() {
        let service = service_fn(|request| contract::large(answer(request)));
        http.serve_connection(io, service).await.ok();
    } else {
        http.serve_connection(io, service_fn(answer)).await.ok();
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Error> {
    let (kind, body) = match request.uri().path() {
        "/plaintext" => ("text/plain", Bytes::from_static(contract::TEXT.as_bytes())),
        "/json" => ("application/json", contract::json().into()),
        "/echo" => {
            let body = request.into_body().collect().await?.to_bytes();
            ("application/octet-stream", body)
        }
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(SERVER, HeaderValue::from_static("hyper"));
    Ok(response)
}
