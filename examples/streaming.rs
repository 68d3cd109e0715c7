//! A streamed answer: each line is sent when it is ready, and the client sets the pace.
//!
//! ```text
//! cargo run --example streaming [ADDRESS]
//! curl -N http://127.0.0.1:8080/
//! curl -N -T Cargo.lock http://127.0.0.1:8080/shout
//! ```
//!
//! You should see a line each half second, and then your file in capitals. `/shout` never has more than one
//! piece of it in memory.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use waterwheel::http::web::routes::Router;
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal, time::sleep};

const TEXT: [(&str, &str); 1] = [("content-type", "text/plain; charset=utf-8")];

async fn count(request: Request<'_>) -> Result<Responded> {
    let mut answer = request.start(StatusCode::OK, TEXT).await?; // the length is not known yet
    for line in ["one\n", "two\n", "three\n", "four\n"] {
        answer.write(line).await?;
        answer.flush().await?; // sends it now, instead of with the next lines
        sleep(Duration::from_millis(500)).await;
    }
    answer.finish().await // without this, the client sees an error, and not a short answer
}

async fn shout(request: Request<'_>) -> Result<Responded> {
    let mut body = request.body();
    let mut answer = request.start(StatusCode::OK, TEXT).await?;
    while let Some(piece) = body.next().await? {
        // Waits while the client reads slowly. Meanwhile, no more of its body is read, either.
        answer.write(piece.to_ascii_uppercase()).await?;
    }
    answer.finish().await
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let router = Router::new().get("/", count).put("/shout", shout);
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(router, shutdown).await?);
        Ok(())
    })
}
