use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::block_on;

/// A library calls `tokio::net`, `tokio::time` and `tokio::spawn`. A tokio runtime on a thread of its own
/// drives its sockets and timers. The futures run here.
pub fn entered() -> io::Result<String> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let _inside = tokio.enter();
    block_on(talk())
}

/// The same for one future. async-compat starts the tokio runtime at the first use.
pub fn wrapped() -> io::Result<String> {
    block_on(async_compat::Compat::new(talk()))
}

async fn talk() -> io::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"water").await
    });
    let read = async {
        let mut text = String::new();
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.read_to_string(&mut text).await?;
        Ok(text)
    };
    tokio::time::timeout(Duration::from_secs(5), read).await?
}
