//! An entry for HttpArena, a public comparison of HTTP servers, by the documented API alone.
//!
//! ```text
//! ARENA_DATA=… ARENA_CERTIFICATES=… cargo run --release --manifest-path examples/arena/Cargo.toml
//! curl 'http://127.0.0.1:8080/baseline11?a=13&b=42'
//! ```
//!
//! You should see `55`. README.md beside this file has the endpoints, and the settings, which are variables of the
//! environment.
//!
//! Each core has a thread with a runtime, its own listeners on all four ports, its own state, and its own connections
//! to the database. So the threads share nothing, and the kernel distributes the clients.
#![allow(clippy::print_stdout, reason = "a program prints")]

mod app;
mod database;
mod http2;
mod item;
mod settings;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use waterwheel::http::{Error, Result, Server};
use waterwheel::runtime::net::{self, ListenOptions};
use waterwheel::runtime::{block_on, signal, try_join};

use crate::app::{App, Cache};
use crate::settings::Settings;

/// The largest upload has 20 MB. The default limit is smaller.
const BODY_BYTES_MAX: u64 = 32 << 20;

/// The listeners of one thread.
struct Ports {
    http: TcpListener,
    https: TcpListener,
    http2: TcpListener,
    http2_plain: TcpListener,
}

/// Binds a listener for each thread to one port.
fn listeners(address: SocketAddr, threads: usize) -> io::Result<Vec<TcpListener>> {
    let mut address = address;
    let bind = |_| {
        let listener = ListenOptions::new().reuse_port(true).bind(address)?;
        // With port 0, the first listener chooses.
        address = listener.local_address()?;
        Ok(listener.into_std())
    };
    (0..threads).map(bind).collect()
}

/// Serves all ports on this thread until a signal ends it.
async fn serve(ports: Ports, settings: &Settings, cache: Arc<Cache>) -> Result<()> {
    let app = Rc::new(App::new(settings, cache)?);
    let server = || Server::builder().max_body(BODY_BYTES_MAX);
    let listener = net::TcpListener::from_std;

    let http = server().listen_on([listener(ports.http)?])?;
    let https = server()
        .tls(settings.tls("http/1.1")?)
        .listen_on([listener(ports.https)?])?;
    let http1 = try_join(
        http.serve_until(app::routes(&app), signal::shutdown()),
        https.serve_until(app::routes(&app), signal::shutdown()),
    );
    let plain = listener(ports.http2_plain)?;
    let secure = listener(ports.http2)?;
    let tls = settings.tls("h2")?;
    let http2 = try_join(
        http2::serve_until(plain, None, app::routes(&app), signal::shutdown()),
        http2::serve_until(secure, Some(tls), app::routes(&app), signal::shutdown()),
    );
    try_join(async { Ok(http1.await?) }, http2).await?;
    Ok(())
}

fn main() -> Result<()> {
    let settings = Settings::from_environment()?;
    let count = settings.threads.get();
    let mut groups = Vec::new();
    for (name, address) in settings.addresses() {
        let group = listeners(address, count).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        println!("{name} on {}", group[0].local_addr()?);
        groups.push(group.into_iter());
    }
    let cache = Arc::new(Cache::default());
    let mut next = |group: usize| groups[group].next().expect("a listener for each thread");
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let ports = Ports {
                http: next(0),
                https: next(1),
                http2: next(2),
                http2_plain: next(3),
            };
            let (settings, cache) = (settings.clone(), cache.clone());
            // An error of the runtime stays on its thread, so its text is what leaves.
            thread::spawn(move || {
                block_on(serve(ports, &settings, cache)).map_err(|error| error.to_string())
            })
        })
        .collect();
    for thread in threads {
        let served = thread.join().expect("no thread panics");
        served.map_err(Error::message)?;
    }
    Ok(())
}
