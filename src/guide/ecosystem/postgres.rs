use std::net::SocketAddr;

use tokio_postgres::{Config, NoTls};
use waterwheel::http::Result;
use waterwheel::runtime::{net::TcpStream, spawn, tokio_io::ToTokio};

/// tokio-postgres over a socket of this runtime. `ToTokio` (the feature `tokio-io`) stands between them.
pub async fn mills(address: SocketAddr) -> Result<Vec<String>> {
    let stream = ToTokio::new(TcpStream::connect(address).await?);
    let mut config = Config::new();
    let (client, connection) = config
        .user("miller")
        .dbname("mill")
        .connect_raw(stream, NoTls)
        .await?;
    spawn(connection).detach();
    let rows = client.query("select name from mills", &[]).await?;
    Ok(rows.iter().map(|row| row.get("name")).collect())
}

/// sqlx with its feature `runtime-smol`, which brings a thread of its own for sockets and timers.
pub async fn mills_by_sqlx(url: &str) -> Result<Vec<String>> {
    let pool = sqlx::PgPool::connect(url).await?;
    Ok(sqlx::query_scalar("select name from mills")
        .fetch_all(&pool)
        .await?)
}
