//! Waterwheel with a handler whose future holds 4 KiB. The memory of its idle connections is measured.

mod contract;

use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

async fn answer(request: Request<'_>) -> Result<Responded> {
    let headers = [("content-type", "text/plain")];
    let answer = request.respond(StatusCode::OK, contract::TEXT, headers);
    answer.await
}

async fn large_answer(request: Request<'_>) -> Result<Responded> {
    contract::large(answer(request)).await
}

fn main() -> std::io::Result<()> {
    runtime::block_on(async {
        let builder = Server::builder().server_name("waterwheel");
        let server = builder.bind(contract::address())?;
        let shutdown = async { signal::shutdown().await.map(drop) };
        runtime::race(server.serve(large_answer), shutdown).await
    })
}
