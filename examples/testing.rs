//! Tests without a network: `TestClient` sends a handler real requests, over a connection in memory.
//!
//! ```text
//! cargo test --example testing
//! ```
//!
//! You should see two passed tests. The second one waits for ten seconds of the paused clock, which take no
//! time. `cargo run --example testing [ADDRESS]` serves the same router.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use waterwheel::http::web::routes::Router;
use waterwheel::http::{Request, Result, Server};
use waterwheel::runtime::{self, signal, time::sleep};

async fn double(_: &Request<'_>, number: u32) -> String {
    (u64::from(number) * 2).to_string()
}

async fn grind() -> &'static str {
    sleep(Duration::from_secs(10)).await;
    "flour"
}

fn mill() -> Router {
    Router::new()
        .get("/double/{number}", double)
        .get("/grind", grind)
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(mill(), shutdown).await?);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use waterwheel::http::testing::TestClient;
    use waterwheel::runtime::{block_on, time};

    #[test]
    fn a_number_is_doubled_and_a_word_is_not_found() {
        block_on(async {
            let mut client = TestClient::new(super::mill());
            assert_eq!(client.get("/double/7").await.text(), "14");
            assert_eq!(client.get("/double/seven").await.status, 404);
        });
    }

    #[test]
    fn grinding_takes_ten_seconds() {
        block_on(async {
            time::pause();
            let start = time::Instant::now();
            let answer = TestClient::new(super::mill()).get("/grind").await;
            assert_eq!(answer.text(), "flour");
            assert_eq!(start.elapsed().as_secs(), 10);
        });
    }
}
