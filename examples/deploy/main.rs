//! A server as it runs in production: behind nginx, HAProxy, a systemd socket, or Kubernetes.
//!
//! ```text
//! cargo run --example deploy [ADDRESS] [direct|forwarded|proxy]
//! curl http://127.0.0.1:8080/readyz
//! ```
//!
//! You should see `ok`. The second argument tells how the proxy passes the address of a client:
//! `X-Forwarded-For` (`forwarded`), the PROXY protocol (`proxy`), or no proxy (`direct`). After SIGTERM,
//! `/readyz` answers 503 for the seconds in `UNREADY_SECONDS` (2 by default), then the server shuts down.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::io::IsTerminal;
use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::web::client_address::{ForwardedBy, Networks, ProxyProtocol, TrustedProxies};
use waterwheel::http::web::health::Health;
use waterwheel::http::web::middleware::{LineWriter, access_log};
use waterwheel::http::web::trace::traces;
use waterwheel::http::{Limits, Listener, Request, Responded, Result, Server, StatusCode, Systemd};
use waterwheel::runtime::net::TcpListener;
use waterwheel::runtime::{self, signal};

async fn site(server: &Server, request: Request<'_>) -> Result<Responded> {
    // For the scraper only: the proxies do not pass this path.
    if request.path() == "/metrics" {
        let page = server.numbers().to_prometheus();
        let fields = [("content-type", "text/plain; version=0.0.4")];
        return request.respond(StatusCode::OK, page, fields).await;
    }
    let answer = format!("answered by {}\n", std::process::id());
    request.respond(StatusCode::OK, answer, ()).await
}

fn main() -> Result<()> {
    // The lines of the server. Without a subscriber, they are lost.
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal()) // the journal shows no colours
        .init();
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let way = arguments.next().unwrap_or_else(|| "direct".to_owned());
    let unready = std::env::var("UNREADY_SECONDS").ok();
    let unready = unready.and_then(|seconds| seconds.parse().ok());
    let mut listeners = Listener::inherited()?; // of systemd's socket unit
    let systemd = Systemd::from_env()?;
    runtime::block_on(async {
        if listeners.is_empty() {
            listeners.push(TcpListener::bind(&address)?.into());
        }
        let limits = Limits::DEFAULT.with(|limits| {
            limits.connections_max = Some(10_000);
            limits.idle_duration_max = Duration::from_secs(75); // longer than the proxy's
            limits.handler_duration_max = Some(Duration::from_secs(30));
            limits.unready_duration = Duration::from_secs(unready.unwrap_or(2));
            limits.shutdown_duration_max = Duration::from_secs(20);
        });
        let mut builder = Server::builder().limits(limits);
        if way == "proxy" {
            builder = builder.proxy_protocol(ProxyProtocol::optional_from(Networks::loopback()));
        }
        let server = Rc::new(builder.listen_on(listeners)?);
        println!("listening on http://{}", server.local_address());
        let lines = LineWriter::new(std::io::stdout())?;
        let numbers = server.clone();
        let handler = async move |request: Request<'_>| site(&numbers, request).await;
        let handler = access_log(handler, move |entry| lines.write(entry.combined()));
        let handler = traces(handler); // the lines of a request are in its span
        // Outside of the log, so that the checks do not fill it.
        let handler = Health::new(server.stopper()).around(handler);
        let shutdown = signal::shutdown();
        let report = if way == "forwarded" {
            let proxies = TrustedProxies::new(Networks::loopback(), ForwardedBy::XForwardedFor);
            let serving = server.serve_until(proxies.around(handler), shutdown);
            systemd.during(&server, serving).await?
        } else {
            systemd
                .during(&server, server.serve_until(handler, shutdown))
                .await?
        };
        println!("{report}");
        Ok(())
    })
}
