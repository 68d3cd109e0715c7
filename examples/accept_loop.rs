//! An accept loop with a policy: three clients at a time, and a 503 that says so for each further one.
//!
//! ```text
//! cargo run --example accept_loop [ADDRESS]
//! curl -Z --parallel-immediate 'http://127.0.0.1:8080/[1-5]'
//! ```
//!
//! You should see two refusals, and a second later three greetings. The loop logs each refusal. For a limit
//! per address, `Limits::connections_per_peer_max` answers 429, without a loop of your own.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal, spawn, time::sleep};

const CONNECTIONS_MAX: usize = 3;

async fn hello(request: Request<'_>) -> Result<Responded> {
    sleep(Duration::from_secs(1)).await;
    request.respond(StatusCode::OK, "Hello World\n", ()).await
}

/// Refuses with a status, because a closed connection would look like a fault.
async fn busy(request: Request<'_>) -> Result<Responded> {
    let headers = [("retry-after", "1"), ("connection", "close")];
    let status = StatusCode::SERVICE_UNAVAILABLE;
    request.respond(status, "too many clients\n", headers).await
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Rc::new(Server::bind(&address)?);
        let (ending, signals) = (server.clone(), signal::shutdown());
        let ending = spawn(async move { ending.shutdown_on(signals).await });
        println!("listening on http://{}", server.local_address());
        loop {
            server.capacity().await; // waits while the process has no descriptor for a connection
            match server.accept().await {
                Ok(connection) if server.connections() > CONNECTIONS_MAX => {
                    println!("refused: {:?}", connection.peer_address());
                    spawn(connection.serve(busy)).detach();
                }
                Ok(connection) => spawn(connection.serve(hello)).detach(),
                Err(error) if error.is_closed() => break,
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => println!("{error}"), // one connection was lost
            }
        }
        println!("{}", ending.await??);
        Ok(())
    })
}
