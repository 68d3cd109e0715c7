//! An axum `Router` on Waterwheel: HTTP/1.1 by our server, and HTTP/2 by hyper, on one port.
//!
//! ```text
//! cargo run --manifest-path tests/ecosystem/Cargo.toml --example axum_on_waterwheel [ADDRESS] [CERTIFICATE KEY]
//! curl http://127.0.0.1:8080/mills/rye
//! curl --http2-prior-knowledge http://127.0.0.1:8080/mills/rye
//! ```
//!
//! You should see `the mill grinds rye, HTTP/1.1` and then the same with `HTTP/2.0`. With the names of two PEM files, the
//! port speaks HTTPS, and ALPN chooses the version: `curl --insecure https://127.0.0.1:8080/mills/rye`.

use std::cell::RefCell;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::Version;
use axum::routing::get;
use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use waterwheel::http::tls::{Identity, TlsAcceptor, TlsConfig};
use waterwheel::http::web::tower::from_service;
use waterwheel::http::{Io, Server, Stream};
use waterwheel::runtime::hyper_rt::{HyperIo, RuntimeTimer};
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::time::timeout;
use waterwheel::runtime::{LocalSpawner, block_on, join, race, signal, spawn};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The time of a client for its TLS handshake, and for the first bytes of its connection.
const BEGIN_MAX: Duration = Duration::from_secs(10);

/// The time of the requests under way after Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);

async fn grind(Path(grain): Path<String>, version: Version) -> String {
    format!("the mill grinds {grain}, {version:?}\n")
}

/// The two halves of the port.
struct Port {
    /// Serves HTTP/1.1, with the limits of our server.
    http1: Server,
    router: Router,
    /// Ends the connections of HTTP/2. `None` once it does.
    graceful: RefCell<Option<GracefulShutdown>>,
}

impl Port {
    /// Serves a connection whose client has chosen HTTP/1.1.
    fn serve_http1(&self, stream: impl Io, peer: SocketAddr) -> impl Future<Output = ()> {
        let connection = self.http1.connection(stream, Some(peer));
        connection.serve(from_service(self.router.clone()))
    }

    /// Serves a connection whose client has chosen HTTP/2.
    async fn serve_http2(&self, stream: impl Read + Write + Unpin + 'static) {
        let service = TowerToHyperService::new(self.router.clone());
        let mut builder = http2::Builder::new(LocalSpawner);
        builder.timer(RuntimeTimer);
        let connection = builder.serve_connection(stream, service);
        let watch = |graceful: &GracefulShutdown| graceful.watch(connection);
        let Some(connection) = self.graceful.borrow().as_ref().map(watch) else {
            return;
        };
        if let Err(error) = connection.await {
            eprintln!("a connection of HTTP/2 failed: {error}");
        }
    }

    /// Finds out the version of a connection, and serves it.
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
        let Some(tls) = tls else {
            match timeout(BEGIN_MAX, begins_with_http2(&stream)).await {
                Ok(Ok(true)) => self.serve_http2(stream).await,
                Ok(Ok(false)) => self.serve_http1(Stream::from(stream), peer).await,
                Ok(Err(_)) | Err(_) => {} // the client has left, or is silent
            }
            return;
        };
        let Ok(Ok(stream)) = timeout(BEGIN_MAX, tls.accept(Stream::from(stream))).await else {
            return;
        };
        if stream.tls_info().alpn() == Some(b"h2") {
            self.serve_http2(HyperIo::new(stream)).await;
        } else {
            self.serve_http1(stream, peer).await;
        }
    }
}

/// Returns true if the client begins with the preface of HTTP/2 (RFC 9113, 3.4). The bytes stay for the next read.
async fn begins_with_http2(stream: &TcpStream) -> std::io::Result<bool> {
    // No method of HTTP/1.1 begins with these three bytes.
    let mut first = [0; 3];
    stream.readable().await?;
    let count = stream.try_peek(&mut first)?;
    Ok(count == 3 && first == *b"PRI")
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8080".to_owned());
    let tls = match arguments.next().zip(arguments.next()) {
        Some((certificate, key)) => {
            let identity = Identity::from_pem_files(certificate, key)?;
            let config = TlsConfig::builder().identity(identity);
            Some(TlsAcceptor::new(config.alpn(["h2", "http/1.1"]).build()?))
        }
        None => None,
    };
    let port = Rc::new(Port {
        http1: Server::builder().without_listener(),
        router: Router::new().route("/mills/{grain}", get(grind)),
        graceful: RefCell::new(Some(GracefulShutdown::new())),
    });
    block_on(async {
        let listener = TcpListener::bind(&address)?;
        println!("listening on {}", listener.local_address()?);
        let accept = async {
            loop {
                let (stream, peer) = listener.accept().await?;
                let (port, tls) = (port.clone(), tls.clone());
                spawn(async move { port.serve(stream, peer, tls).await }).detach();
            }
        };
        race(accept, signal::shutdown()).await?;
        drop(listener);
        let http2 = async {
            if let Some(graceful) = port.graceful.take() {
                let _ = timeout(GRACE, graceful.shutdown()).await; // the end of `block_on` cuts the rest
            }
        };
        let (report, ()) = join(port.http1.shutdown(GRACE), http2).await;
        println!("{report}");
        Ok(())
    })
}
