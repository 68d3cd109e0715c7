//! axum with tower-http's compression on a current-thread tokio: `gzip` at a level.

mod arguments;

use arguments::{Arguments, Part};
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

fn main() -> std::io::Result<()> {
    let arguments = Arguments::read();
    let Part::Gzip(level) = arguments.part else {
        return Err(std::io::ErrorKind::Unsupported.into());
    };
    let [small, large] = arguments.bodies().map(|body| {
        let kind = [(CONTENT_TYPE, "application/json")];
        get(move || async move { (kind, Bytes::from_static(body)) })
    });
    let level = CompressionLevel::Precise(i32::try_from(level).expect("1 to 9"));
    let router = Router::new()
        .route("/small", small)
        .route("/large", large)
        .layer(CompressionLayer::new().quality(level));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(async {
        let listener = listener::bind(&*arguments.address)?;
        listener.set_nonblocking(true)?;
        axum::serve(TcpListener::from_std(listener)?, router).await
    })
}
