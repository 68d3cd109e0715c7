use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::{
    Error, Message, handshake::derive_accept_key, protocol::Role,
};
use futures_lite::StreamExt;
use waterwheel::http::{ClientError, Request, Responded, Result, StatusCode, Upgrade};
use waterwheel::runtime::spawn;

/// Answers each message with itself.
pub async fn echo(request: Request<'_>) -> Result<Responded> {
    let key = request.headers().get_bytes("sec-websocket-key");
    let missing = || ClientError::new(StatusCode::BAD_REQUEST, "no Sec-WebSocket-Key");
    let accept = derive_accept_key(key.ok_or_else(missing)?);
    let fields = [("sec-websocket-accept", accept)];
    let (responded, upgrade) = request.upgrade("websocket", fields).await?;
    spawn(talk(upgrade)).detach();
    Ok(responded)
}

async fn talk(upgrade: Upgrade) -> Result<(), Error> {
    let mut socket = WebSocketStream::from_raw_socket(upgrade.await?, Role::Server, None).await;
    while let Some(message) = socket.next().await {
        if let message @ (Message::Text(_) | Message::Binary(_)) = message? {
            socket.send(message).await?;
        }
    }
    Ok(())
}
