//! Waterwheel with a handler whose future holds 4 KiB, to see what an idle connection then holds.

use std::hint::black_box;

use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

async fn answer(request: Request<'_>) -> Result<Responded> {
    let headers = [("content-type", "text/plain")];
    request
        .respond(StatusCode::OK, "Hello, World!", headers)
        .await
}

/// The same with 4 KiB of its own, which the future holds while the answer is made.
async fn large_answer(request: Request<'_>) -> Result<Responded> {
    let room = [0_u8; 4096];
    let answered = answer(request).await;
    black_box(&room);
    answered
}

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::builder().server_name("waterwheel").bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        let ended = async { shutdown.await.map(drop) };
        runtime::race(server.serve(large_answer), ended).await
    })
}
