//! Each snippet runs. Those of PostgreSQL run in `libraries/postgres.rs`, which starts a server.

use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use waterwheel::http::testing::{MemoryStream, TestClient};
use waterwheel::http::{Request, Server, StatusCode};
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::{block_on, race, time::timeout};
use waterwheel_ecosystem as snippets;

const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn channels_lead_from_threads_and_tasks_to_a_task() {
    assert_eq!(snippets::channels::sum(), 3);
    assert_eq!(snippets::channels::flume(), 3);
}

#[test]
fn a_semaphore_and_a_lock_of_async_lock_hold() {
    let mut finished = snippets::locks::two_at_a_time();
    finished.sort_unstable();
    assert_eq!(finished, [0, 1, 2, 3]);
}

#[test]
fn the_channels_of_tokio_and_select_run_here() {
    assert_eq!(snippets::tokio_sync::question(), Some(42));
}

#[test]
fn a_library_that_needs_tokio_runs_beside_a_tokio_runtime() {
    assert_eq!(snippets::tokio_runtime::entered().unwrap(), "water");
    assert_eq!(snippets::tokio_runtime::wrapped().unwrap(), "water");
}

#[test]
fn an_axum_router_is_a_handler() {
    use axum::extract::Path;
    use axum::routing::{get, post};

    let router = axum::Router::new()
        .route(
            "/mills/{name}",
            get(async |Path(name): Path<String>| format!("mill {name}")),
        )
        .route("/length", post(async |text: String| text.len().to_string()))
        .route("/none", get(async || StatusCode::NO_CONTENT));
    block_on(async {
        let mut client = TestClient::new(snippets::axum::handler(router));
        assert_eq!(client.get("/mills/north").await.text(), "mill north");
        assert_eq!(client.post("/length", "four").await.text(), "4");
        assert_eq!(client.get("/none").await.status, StatusCode::NO_CONTENT);
        assert_eq!(client.get("/nowhere").await.status, StatusCode::NOT_FOUND);
    });
}

#[test]
fn hyper_serves_over_our_sockets() {
    let text = block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let ask = async {
            let mut stream = TcpStream::connect(address).await?;
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            Ok(text)
        };
        let serve = async {
            snippets::hyper::serve(listener)
                .await
                .map(|()| String::new())
        };
        timeout(DEADLINE, race(ask, serve)).await.unwrap().unwrap()
    });
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("visit 1"),
        "{text}"
    );
}

#[test]
fn sqlite_runs_on_a_thread_of_its_own() {
    let database = rusqlite::Connection::open_in_memory().unwrap();
    let handler = snippets::rusqlite::handler(database).unwrap();
    block_on(async {
        let mut client = TestClient::new(handler);
        assert_eq!(client.get("/mill").await.text(), "1");
        assert_eq!(client.get("/mill").await.text(), "2");
    });
}

#[test]
fn a_handler_asks_another_service() {
    let hello = || async |request: Request<'_>| request.respond(StatusCode::OK, "rain", ()).await;
    let other = Server::builder().stoppable("127.0.0.1:0", hello).unwrap();
    let target = format!("/?http://{}/", other.local_address());
    block_on(async {
        let mut client = TestClient::new(snippets::client::weather);
        assert_eq!(client.get(&target).await.text(), "rain");
    });
    other.stopper().stop();
}

#[test]
fn a_websocket_echoes() {
    use async_tungstenite::tungstenite::Message;

    block_on(async {
        let server = Server::builder().without_listener();
        let (near, far) = MemoryStream::pair();
        let serve = server
            .connection(far, None)
            .serve(snippets::websocket::echo);
        waterwheel::runtime::spawn(serve).detach();
        let talk = async_tungstenite::client_async("ws://mill/", near);
        let (mut socket, _) = timeout(DEADLINE, talk).await.unwrap().unwrap();
        socket.send(Message::text("water")).await.unwrap();
        let echoed = timeout(DEADLINE, socket.next()).await.unwrap();
        assert_eq!(echoed.unwrap().unwrap(), Message::text("water"));
    });
}

#[test]
fn the_log_is_installed() {
    snippets::logs::install();
}
