//! The settings of a server that meets the internet.
//!
//! The folder `examples/deploy` of the repository is the whole of this page as a program, with files for nginx, HAProxy,
//! systemd and Kubernetes, and with the commands that start them. This is the middle of that program:
//!
//! ```no_run
//! use std::time::Duration;
//! use waterwheel::http::web::client_address::{ForwardedBy, Networks, TrustedProxies};
//! use waterwheel::http::web::health::Health;
//! use waterwheel::http::web::middleware::{LineWriter, access_log};
//! use waterwheel::http::web::routes::Router;
//! use waterwheel::http::web::trace::traces;
//! use waterwheel::http::{Limits, Server, Systemd};
//! use waterwheel::runtime::{block_on, signal};
//!
//! fn main() -> waterwheel::http::Result<()> {
//!     // First a subscriber, such as `tracing_subscriber::fmt().init()`.
//!     let systemd = Systemd::from_env()?;
//!     let limits = Limits::default().with(|limits| {
//!         limits.connections_max = Some(10_000);
//!         limits.handler_duration_max = Some(Duration::from_secs(30));
//!         limits.unready_duration = Duration::from_secs(2);
//!         limits.shutdown_duration_max = Duration::from_secs(20);
//!     });
//!     block_on(async {
//!         let server = Server::builder().limits(limits).bind("127.0.0.1:8081")?;
//!         let site = Router::new().get("/", async || "hello"); // your site
//!         let lines = LineWriter::new(std::io::stdout())?;
//!         let site = access_log(site, move |entry| lines.write(entry.combined()));
//!         let site = traces(site);
//!         let site = TrustedProxies::new(Networks::loopback(), ForwardedBy::XForwardedFor).around(site);
//!         let site = Health::new(server.stopper()).around(site); // outside of the log
//!         let served = server.serve_until(site, signal::shutdown());
//!         println!("{}", systemd.during(&server, served).await?);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Its features are `client-address`, `health`, `middleware`, `routes`, `systemd` and `trace`.
//!
//! # The checklist
//!
//! | set | to | because |
//! |---|---|---|
//! | [`Limits::body_bytes_max`](crate::http::Limits::body_bytes_max) | the largest upload that you expect, also in the proxy | the default is 8 MiB, and 1 MiB in nginx (`client_max_body_size`) |
//! | [`Limits::connections_max`](crate::http::Limits::connections_max) | what the memory allows, below the descriptors | the default has no limit but the descriptors |
//! | [`Limits::connections_per_peer_max`](crate::http::Limits::connections_per_peer_max) | 100, if no proxy is in front | behind a proxy, all clients have one address |
//! | [`RateLimit`](crate::http::web::middleware::RateLimit) | around logins, and all that costs much | no default |
//! | [`Limits::handler_duration_max`](crate::http::Limits::handler_duration_max) | the longest answer, such as 30 s | the default has no limit |
//! | [`Limits::idle_duration_max`](crate::http::Limits::idle_duration_max) | more than the proxy's keep-alive time | the proxy must close first |
//! | [`Limits::unready_duration`](crate::http::Limits::unready_duration) | two periods of the health check | the check must see it before the listeners close |
//! | [`Limits::shutdown_duration_max`](crate::http::Limits::shutdown_duration_max) | the longest request | the rest is cut |
//! | `ulimit -n`, `LimitNOFILE=` | twice the connections | files and clients of databases need descriptors, too |
//! | `net.core.somaxconn` | 4096 | the kernel shortens the queue to it |
//!
//! # Workers
//!
//! One server is one thread. [`Builder::workers`](crate::http::Builder::workers) starts one for each core. Each worker
//! may call [`serve_until`](crate::http::Server::serve_until) with [`shutdown`](crate::runtime::signal::shutdown), and all
//! end on one SIGTERM. Limits on connections and rates count for each worker by itself. The workers bind the address
//! themselves, so they take no socket of systemd.
//!
//! Blocking work belongs on the pool of threads ([`spawn_blocking`](crate::runtime::spawn_blocking),
//! [`blocking`](crate::http::web::middleware::blocking)), because it stops all clients of its worker.
//!
//! # TLS
//!
//! End TLS in the proxy, or here by [`Builder::tls`](crate::http::Builder::tls). A
//! [`TlsReloader`](crate::http::tls::TlsReloader) replaces certificates without a restart. Its `with_systemd` tells
//! systemd about it: with `Type=notify-reload`, `systemctl reload` sends SIGHUP and waits for the new certificate. Behind
//! a proxy with TLS, sessions need [`secure(true)`](crate::http::web::session::Sessions::secure).
//!
//! # A proxy in front
//!
//! - The proxy's keep-alive time must be shorter than ours. Otherwise a request may meet our close, and the client
//!   receives 502.
//! - Trust addresses from the networks of your proxies only. Let the proxy replace `X-Forwarded-For`, not
//!   extend it, and remove `traceparent` and `tracestate`, which a client can write, too.
//! - Let the proxy try another instance (`proxy_next_upstream`, `redispatch`). After a request was sent, it may do that
//!   for GET, HEAD and PUT only, because the first instance may have worked on a POST.
//! - Publish `/metrics`, `/healthz` and `/readyz` to your own network only.
//!
//! # Logs and metrics
//!
//! Install a subscriber of `tracing`, because without it only the first line is shown. Write an access
//! log with [`access_log`](crate::http::web::middleware::access_log), and put
//! [`TrustedProxies::around`](crate::http::web::client_address::TrustedProxies::around) outside of it. Put
//! [`traces`](crate::http::web::trace::traces) around the handler, and send the
//! [`TraceContext`](crate::http::web::trace::TraceContext) on to the services that you ask. Serve
//! [`Numbers::to_prometheus`](crate::http::Numbers::to_prometheus) (feature `prometheus`), and watch the refused requests
//! and the descriptors.
//!
//! # When a server hangs
//!
//! Build with the feature `inspect`, and give the runtime a [`Flight`](crate::inspect::Flight) recorder. Then a panic, a slow
//! request or SIGUSR1 leaves a file with the events before it, and a [`dump`](crate::inspect::dump) names the reason of
//! each task. [`inspect`](crate::inspect) shows how, and [its costs](waterwheel_runtime::inspect) are measured.
//!
//! # Restarts
//!
//! A stop has this order, and each step has its own limit:
//!
//! ```text
//! SIGTERM ─► unready: /readyz answers 503, the listeners accept,
//!            each answer has Connection: close from now on         ─► unready_duration
//!         ─► the queue is served, idle connections close in 100 ms ─► shutdown_duration_max
//!         ─► the rest is cut ─► exit 0
//! ```
//!
//! A second signal skips to the cut. The unready time is for balancers that ask `/readyz`: HAProxy, Kubernetes, those of
//! clouds. nginx without Plus asks no checks. It finds the closed port, and tries the other instance. In the unready time,
//! the announced ends empty its pool of connections, too. So a POST, which it sends only once, meets the close of an idle
//! connection only if no request came on it in that whole time. Behind a socket of systemd, the queue stays open between
//! two processes, so no unready time is needed.
//!
//! # systemd
//!
//! Use `Type=notify`, `WatchdogSec=` and a socket unit.
//! [`Systemd::during`](crate::http::Systemd::during) (feature `systemd`) sends all
//! messages in one line, and [`Listener::inherited`](crate::http::Listener::inherited) takes the socket. With
//! several socket units, [`Listener::inherited_by_name`](crate::http::Listener::inherited_by_name) tells them apart by
//! their `FileDescriptorName=`. The watchdog runs on the runtime's thread. So it also finds a handler that blocks, and
//! `WatchdogSec=` must be longer than each block that you accept. `TimeoutStopSec=` must be longer than the unready time and `shutdown_duration_max` together.
//!
//! # Kubernetes
//!
//! Ask `/readyz` for readiness and `/healthz` for liveness (feature `health`). Never put a database into the check for
//! liveness: its failure would restart each instance. `terminationGracePeriodSeconds` must be longer than the unready
//! time and `shutdown_duration_max` together. A `preStop` hook is not needed, because the unready time has the same
//! effect.
//!
//! # Memory
//!
//! The worst case is the number of connections times the buffers of one, plus the bodies that handlers keep. Set
//! `MemoryMax=` or a limit of the container above it, and lower `connections_max` if it is too much.
