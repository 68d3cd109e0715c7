//! Claims about an axum `Router` as a service of hyper, over our sockets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_lite::{AsyncReadExt, AsyncWriteExt, stream};
use http_body_util::BodyExt;
use hyper::client::conn::http1 as client1;
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{LocalSpawner, race, spawn};

use crate::service::{connect, post as request, read};
use crate::support::runtime::run;

/// A handler of axum is `Send`. So are the futures of our sockets and timers.
async fn ask_another(State(other): State<SocketAddr>) -> String {
    sleep(Duration::from_millis(1)).await;
    let mut stream = TcpStream::connect(other).await.unwrap();
    stream.write_all(b"rye").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn pieces() -> Body {
    let piece = |number: u32| async move {
        sleep(Duration::from_millis(1)).await;
        (number < 5).then(|| (Ok::<_, Infallible>(format!("{number};")), number + 1))
    };
    Body::from_stream(stream::unfold(0, piece))
}

fn router(other: SocketAddr) -> Router {
    Router::new()
        .route("/mills/{name}", get(async |Path(name): Path<String>| name))
        .route("/length", post(async |body: Bytes| Json(body.len())))
        .route("/other", post(ask_another))
        .route("/pieces", post(pieces))
        .with_state(other)
}

async fn serve(listener: TcpListener, router: Router) {
    let builder = auto::Builder::new(LocalSpawner);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(stream, service).into_owned();
        spawn(connection).detach();
    }
}

#[test]
fn a_router_answers_over_hyper_and_its_handlers_use_our_sockets_and_timers() {
    run(async {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let router = router(other.local_address().unwrap());
        spawn(async move {
            let (mut stream, _) = other.accept().await?;
            let mut word = [0; 3];
            stream.read_exact(&mut word).await?;
            stream.write_all(&[word, word].concat()).await
        })
        .detach();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = connect(&listener).await;
        let ask = async {
            let (mut sender, connection) = client1::handshake(stream).await.unwrap();
            spawn(connection).detach();
            for (path, length, answer) in [
                ("/length", 1 << 20, "1048576"),
                ("/other", 0, "ryerye"),
                ("/pieces", 0, "0;1;2;3;4;"),
            ] {
                let response = sender.send_request(request(path, length)).await.unwrap();
                assert_eq!(response.status(), 200);
                assert_eq!(read(response.into_body()).await, answer);
            }
            let response = sender.send_request(request("/mills/north", 0)).await;
            assert_eq!(response.unwrap().status(), 405); // it is a POST
        };
        race(ask, serve(listener, router)).await;
    });
}

#[test]
fn a_streamed_answer_arrives_piece_by_piece() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let router = router(listener.local_address().unwrap());
        let stream = connect(&listener).await;
        let ask = async {
            let (mut sender, connection) = client1::handshake(stream).await.unwrap();
            spawn(connection).detach();
            let response = sender.send_request(request("/pieces", 0)).await.unwrap();
            let mut body = response.into_body();
            let first = body.frame().await.unwrap().unwrap();
            assert_eq!(first.into_data().unwrap(), "0;");
            drop((body, sender));
        };
        race(ask, serve(listener, router)).await;
    });
}
