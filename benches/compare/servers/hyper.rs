//! hyper, HTTP/1 only, on a current-thread tokio.

mod contract;
mod over_hyper;

use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

fn main() -> std::io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = listener::bind_deferred(contract::address())?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (socket, _) = listener.accept().await?;
            spawn_local(over_hyper::connection(TokioIo::new(socket)));
        }
    })
}
