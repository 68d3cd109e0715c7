//! HTTP/2 by hyper, with the same handler.
//!
//! [`into_service`](waterwheel::http::web::tower::into_service) makes a service of the handler, which hyper serves on
//! our sockets.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use waterwheel::http::tls::{TlsAcceptor, TlsConfig};
use waterwheel::http::web::tower::{HandlerService, into_service};
use waterwheel::http::{Handler, Result, Stream};
use waterwheel::runtime::hyper_rt::{HyperIo, RuntimeTimer};
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::signal::Shutdown;
use waterwheel::runtime::time::timeout;
use waterwheel::runtime::{LocalSpawner, race, spawn};

/// The time of a client for its TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// The time of the requests under way after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// A port that speaks HTTP/2 alone.
struct Port<H> {
    service: HandlerService<H>,
    tls: Option<TlsAcceptor>,
    /// Ends the connections. `None` once it does.
    graceful: RefCell<Option<GracefulShutdown>>,
}

impl<H: Handler> Port<H> {
    async fn serve(&self, stream: TcpStream) {
        let Some(tls) = &self.tls else {
            return self.speak(stream).await;
        };
        if let Ok(Ok(stream)) = timeout(HANDSHAKE_MAX, tls.accept(Stream::from(stream))).await {
            self.speak(HyperIo::new(stream)).await;
        }
    }

    async fn speak(&self, stream: impl Read + Write + Unpin + 'static) {
        let mut builder = http2::Builder::new(LocalSpawner);
        builder.timer(RuntimeTimer);
        let service = TowerToHyperService::new(self.service.clone());
        let connection = builder.serve_connection(stream, service);
        let watch = |graceful: &GracefulShutdown| graceful.watch(connection);
        let connection = self.graceful.borrow().as_ref().map(watch);
        if let Some(connection) = connection {
            // A client that breaks the protocol, or leaves, costs its own connection.
            drop(connection.await);
        }
    }
}

/// Serves a port until a signal comes.
pub async fn serve_until(
    listener: TcpListener,
    tls: Option<TlsConfig>,
    handler: impl Handler,
    signals: Shutdown,
) -> Result<()> {
    let port = Rc::new(Port {
        service: into_service(handler),
        tls: tls.map(TlsAcceptor::new),
        graceful: RefCell::new(Some(GracefulShutdown::new())),
    });
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            let port = port.clone();
            spawn(async move { port.serve(stream).await }).detach();
        }
    };
    race(accept, signals).await?;
    drop(listener);
    if let Some(graceful) = port.graceful.take() {
        let _in_time = timeout(GRACE, graceful.shutdown()).await;
    }
    Ok(())
}
