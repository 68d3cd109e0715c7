//! Calling another service: a blocking client on the thread pool, so that other requests continue.
//!
//! ```text
//! cargo run --example call_service [ADDRESS] [SERVICE]
//! curl http://127.0.0.1:8080/
//! ```
//!
//! Start `serve_until 127.0.0.1:8081` first: it is the default service. You should see its answer. Stop it,
//! and you should see a 502. Waterwheel has no client of its own yet. This one is `ureq`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::env;
use std::time::Duration;

use ureq::Agent;
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{Runtime, signal, spawn_blocking};

async fn forward(request: Request<'_>, agent: &Agent, service: &str) -> Result<Responded> {
    // The closure runs on another thread, so it owns its data. A clone of an agent shares its connections.
    let (agent, url) = (agent.clone(), format!("{service}{}", request.path()));
    let called = spawn_blocking(move || agent.get(url).call()?.body_mut().read_to_string()).await?;
    let headers = [("content-type", "text/plain; charset=utf-8")];
    match called {
        Ok(text) => request.respond(StatusCode::OK, text, headers).await,
        Err(error) => {
            let text = format!("the service failed: {error}\n");
            request
                .respond(StatusCode::BAD_GATEWAY, text, headers)
                .await
        }
    }
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let service = arguments
        .next()
        .unwrap_or_else(|| "http://127.0.0.1:8081".to_owned());
    // A handler has no deadline, so the call needs one.
    let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(5)));
    let agent = Agent::from(config.build());
    let handler = async move |request: Request<'_>| forward(request, &agent, &service).await;
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(handler, shutdown).await?);
        Ok(())
    });
    // A second Ctrl-C has cut the requests, and `block_on` alone would wait for their calls.
    runtime.shutdown_background();
    ended
}
