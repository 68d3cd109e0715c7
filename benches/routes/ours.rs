//! Waterwheel's router, in whole requests and by itself.

use std::hint::black_box;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::testing::MemoryStream;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Handler, Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{block_on, spawn};

use crate::measure::nanos;

/// So many requests come in one piece.
const PIPELINED: usize = 25;

/// The handler of all routes; alone, a server without routes.
pub(crate) async fn answer(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "ok", ()).await
}

pub(crate) fn router(all: &[(String, String)]) -> Router {
    let add = |router: Router, (pattern, _): &(String, String)| router.get(pattern, answer);
    all.iter().fold(Router::new(), add)
}

/// The same routes, to handlers that return a value.
#[allow(dead_code, reason = "one of two programs uses it")]
pub(crate) fn router_of_values(all: &[(String, String)]) -> Router {
    let add = |router: Router, (pattern, _): &(String, String)| router.get(pattern, async || "ok");
    all.iter().fold(Router::new(), add)
}

/// Finds each route, without a request.
pub(crate) fn lookups(all: &[(String, String)]) -> f64 {
    let router = router(all);
    block_on(nanos(all.len(), async || {
        for (_, path) in all {
            black_box(router.pattern(&Method::GET, black_box(path)));
        }
    }))
}

/// A request from the head's first byte to the answer's last, over a connection in memory.
pub(crate) fn requests(handler: impl Handler, all: &[(String, String)]) -> f64 {
    let head = |(_, path): &(String, String)| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let pieces: Vec<String> = all
        .chunks(PIPELINED)
        .map(|some| some.iter().map(head).collect())
        .collect();
    block_on(async {
        let server = Server::bind("127.0.0.1:0").expect("there is a port");
        let (mut near, far) = MemoryStream::pair();
        spawn(server.connection(far, None).serve(handler)).detach();
        let mut answers = vec![0; 64 * 1024];
        let mut answered = async |piece: &str| {
            let sent = near.write_all(piece.as_bytes()).await;
            sent.expect("the server is there");
            let mut left = PIPELINED;
            while left > 0 {
                let read = near.read(&mut answers).await;
                let read = &answers[..read.expect("the server is there")];
                assert!(read.starts_with(b"HTTP/1.1 200 OK\r\n"));
                left -= memchr::memmem::find_iter(read, "HTTP/1.1").count();
            }
        };
        nanos(all.len(), async || {
            for piece in &pieces {
                answered(piece).await;
            }
        })
        .await
    })
}
