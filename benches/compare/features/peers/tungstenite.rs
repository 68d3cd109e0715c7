//! tokio-tungstenite on a current-thread tokio: its own example of an echo.

mod arguments;

use futures_util::{StreamExt, TryStreamExt, future};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;

fn main() -> std::io::Result<()> {
    let arguments = arguments::Arguments::read();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_io().build()?.block_on(async {
        let listener = listener::bind(&*arguments.address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let (write, read) = accept_async(stream).await?.split();
                let messages = read
                    .try_filter(|message| future::ready(message.is_text() || message.is_binary()));
                messages.forward(write).await
            });
        }
    })
}
