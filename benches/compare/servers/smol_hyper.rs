//! hyper, HTTP/1 only, on smol's executor and reactor.

mod contract;
mod over_hyper;

use smol::{Async, LocalExecutor};
use smol_hyper::rt::FuturesIo;
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = Async::<TcpListener>::new(listener::bind_deferred(contract::address())?)?;
        loop {
            let (socket, _) = listener.accept().await?;
            let connection = over_hyper::connection(FuturesIo::new(socket));
            executor.spawn(connection).detach();
        }
    }))
}
