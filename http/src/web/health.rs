//! Health checks: `/healthz` and `/readyz`. See [`Health`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use waterwheel_runtime::time::timeout;

use crate::error::panics::{catch_panic, drop_contained};
use crate::exchange::handler::{Handler, Responded};
use crate::exchange::request::Request;
use crate::shared::stop::Stopper;
use crate::{Result, StatusCode};

type Check = Box<dyn Fn() -> Pin<Box<dyn Future<Output = bool>>>>;

struct NamedCheck {
    name: &'static str,
    duration_max: Duration,
    check: Check,
}

impl NamedCheck {
    async fn succeeds(&self) -> bool {
        let contained = async {
            let checked = catch_panic(async || (self.check)().await).await;
            checked.unwrap_or_else(|payload| {
                drop_contained(payload);
                false
            })
        };
        timeout(self.duration_max, contained).await == Ok(true)
    }
}

/// Answers the health checks of load balancers and of Kubernetes, in front of a handler.
///
/// | path | 200 | 503 |
/// |---|---|---|
/// | `/healthz` | the runtime turns | never: a blocked runtime does not answer |
/// | `/readyz` | the server is open, and each check succeeds | the server is asked to end, or a check fails or is late |
///
/// The body is `ok`, or the name of the first failed check, or `stopping`. Answers have `Cache-Control: no-store`. The paths
/// answer GET and HEAD; other methods reach the handler. Combine it with
/// [`Limits::unready_duration`](crate::Limits::unready_duration): the server accepts for that time while
/// `/readyz` answers 503, so load balancers turn away before the listeners close.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::health::Health;
/// use waterwheel::http::{Request, Server, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let server = Server::builder().without_listener();
/// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// let health = Health::new(server.stopper())
///     .check("database", Duration::from_secs(1), async || true);
/// block_on(async {
///     let mut client = TestClient::new(health.around(hello));
///     assert_eq!(client.get("/readyz").await.status, StatusCode::OK);
///     server.stopper().stop();
///     assert_eq!(client.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
///     assert_eq!(client.get("/healthz").await.status, StatusCode::OK);
/// });
/// ```
pub struct Health {
    stopper: Stopper,
    checks: Vec<NamedCheck>,
}

impl Health {
    /// Checks whether the server of this stopper is asked to end.
    pub fn new(stopper: Stopper) -> Self {
        Self {
            stopper,
            checks: Vec::new(),
        }
    }

    /// Adds a check to `/readyz`. It fails if it returns false, panics, or does not end within `duration_max`.
    /// Checks run one after the other, in the order of their adding, for each request, until one fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::time::Duration;
    /// use waterwheel::http::web::health::Health;
    /// use waterwheel::http::Server;
    ///
    /// let is_connected = Cell::new(true); // yours is a pool of connections
    /// let health = Health::new(Server::builder().without_listener().stopper())
    ///     .check("database", Duration::from_secs(1), async move || is_connected.get());
    /// # drop(health);
    /// ```
    #[must_use]
    pub fn check(
        mut self,
        name: &'static str,
        duration_max: Duration,
        check: impl AsyncFn() -> bool + 'static,
    ) -> Self {
        let check = Rc::new(check);
        let check: Check = Box::new(move || {
            let check = check.clone();
            Box::pin(async move { check().await })
        });
        self.checks.push(NamedCheck {
            name,
            duration_max,
            check,
        });
        self
    }

    /// Answers the two paths, and passes all other requests to `handler`.
    pub fn around(self, handler: impl Handler) -> impl Handler {
        let health = Rc::new(self);
        async move |request: Request<'_>| {
            let asks = matches!(request.method().as_str(), "GET" | "HEAD");
            match request.path() {
                "/healthz" if asks => answer(request, None).await,
                "/readyz" if asks => {
                    let failed = health.first_failure(&request).await;
                    answer(request, failed).await
                }
                _ => handler.call(request).await,
            }
        }
    }

    async fn first_failure(&self, request: &Request<'_>) -> Option<&'static str> {
        // The signal too, because `Server::shutdown` does not ask the stopper.
        if self.stopper.is_stopping() || request.shutdown_signal().is_set() {
            return Some("stopping");
        }
        for check in &self.checks {
            if !check.succeeds().await {
                return Some(check.name);
            }
        }
        None
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.checks.iter().map(|check| check.name);
        f.debug_list().entries(names).finish()
    }
}

async fn answer(request: Request<'_>, failed: Option<&'static str>) -> Result<Responded> {
    let fields = [
        ("cache-control", "no-store"),
        ("content-type", "text/plain"),
    ];
    match failed {
        None => request.respond(StatusCode::OK, "ok\n", fields).await,
        Some(name) => {
            let body = format!("{name}\n");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            request.respond(status, body, fields).await
        }
    }
}
