//! The settings of a server that meets the internet.
//!
//! `examples/deploy` is the whole of this page as a program, with files for nginx, HAProxy, systemd and Kubernetes.
//!
//! # The checklist
//!
//! | set | to | because |
//! |---|---|---|
//! | [`Limits::body_bytes_max`](crate::http::Limits::body_bytes_max) | the largest upload that you expect | the default is 8 MiB |
//! | [`Limits::connections_max`](crate::http::Limits::connections_max) | what the memory allows, below the descriptors | the default has no limit but the descriptors |
//! | [`Limits::connections_per_peer_max`](crate::http::Limits::connections_per_peer_max) | 100, if no proxy is in front | behind a proxy, all clients have one address |
//! | [`Limits::handler_duration_max`](crate::http::Limits::handler_duration_max) | the longest answer, such as 30 s | the default has no limit |
//! | [`Limits::idle_duration_max`](crate::http::Limits::idle_duration_max) | more than the proxy's keep-alive time | the proxy must close first |
//! | [`Limits::unready_duration`](crate::http::Limits::unready_duration) | two periods of the health check | the check must see it before the listeners close |
//! | [`Limits::shutdown_duration_max`](crate::http::Limits::shutdown_duration_max) | the longest request | the rest is cut |
//! | `ulimit -n`, `LimitNOFILE=` | twice the connections | files and clients of databases need descriptors, too |
//! | `net.core.somaxconn` | 4096 | the kernel shortens the queue to it |
//!
//! # Workers
//!
//! One server is one thread. [`Builder::workers`](crate::http::Builder::workers) starts one for each core.
//! Blocking work belongs on the pool of threads, because it stops all clients of its worker.
//!
//! # TLS
//!
//! End TLS in the proxy, or here by [`Builder::tls`](crate::http::Builder::tls). Replace certificates without
//! a restart: `TlsReloader` reads them again, and `TlsReloader::with_systemd` tells systemd about it. With
//! `Type=notify-reload`, `systemctl reload` sends SIGHUP and waits until the new certificate is in use.
//!
//! # A proxy in front
//!
//! - The proxy's keep-alive time must be shorter than ours. Otherwise a request may meet our close, and the client
//!   receives 502.
//! - Trust addresses from the networks of your proxies only. Let the proxy replace `X-Forwarded-For`, not
//!   extend it.
//! - Retry only GET, HEAD and PUT after a request was sent. Another server may have worked on a POST.
//! - Publish `/metrics`, `/healthz` and `/readyz` to your own network only.
//!
//! # Logs and metrics
//!
//! Install a subscriber of `tracing`, because without it only the first line is shown. Write an access
//! log with `access_log`, and put `TrustedProxies::around` outside of it. Serve
//! `Numbers::to_prometheus` (feature `prometheus`), and watch the refused requests and the descriptors.
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
//! A second signal skips to the cut. The announced ends empty the pools of proxies. So a POST, which no proxy sends
//! twice, meets the close of an idle connection only if no request came on it in the whole unready time. Behind a socket of systemd, the queue stays open between two
//! processes, so no unready time is needed.
//!
//! # systemd
//!
//! Use `Type=notify`, `WatchdogSec=` and a socket unit. `Systemd::during` (feature `systemd`) sends all
//! messages in one line. The watchdog runs on the runtime's thread. So it also finds a handler that blocks.
//! `TimeoutStopSec=` must be longer than both times above together.
//!
//! # Kubernetes
//!
//! Ask `/readyz` for readiness and `/healthz` for liveness (feature `health`). Never put a database into the check for
//! liveness: its failure would restart each instance. `terminationGracePeriodSeconds` must be longer than
//! both times together. A `preStop` hook is not needed, because the unready time has the same effect.
//!
//! # Memory
//!
//! The worst case is the number of connections times the buffers of one, plus the bodies that handlers keep. Set
//! `MemoryMax=` or a limit of the container above it, and lower `connections_max` if it is too much.
