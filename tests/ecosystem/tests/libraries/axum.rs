//! Claims about an axum `Router` as a service of hyper, over our sockets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;
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
use crate::support::start_example;

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

fn curl(arguments: &[&str], url: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "10"]);
    let output = command.args(arguments).arg(url).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn one_port_serves_a_router_over_both_versions_with_tls_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
                .split(' '),
        )
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let (mut plain, _plain_output, address) = start_example("axum_on_waterwheel", &["127.0.0.1:0"]);
    let url = format!("http://{address}/mills/rye");
    for (arguments, version) in [
        (&[][..], "HTTP/1.1"),
        (&["--http2-prior-knowledge"], "HTTP/2.0"),
    ] {
        let expected = format!("the mill grinds rye, {version}\n");
        assert_eq!(curl(arguments, &url), expected);
    }
    let (mut secure, _secure_output, address) =
        start_example("axum_on_waterwheel", &["127.0.0.1:0", &certificate, &key]);
    let url = format!("https://{address}/mills/rye");
    for (arguments, version) in [(["--http1.1"], "HTTP/1.1"), (["--http2"], "HTTP/2.0")] {
        let arguments = [&arguments[..], &["--insecure"]].concat();
        let expected = format!("the mill grinds rye, {version}\n");
        assert_eq!(curl(&arguments, &url), expected);
    }
    for example in [&mut plain, &mut secure] {
        let id = rustix::process::Pid::from_child(&example.0);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        assert!(example.0.wait().unwrap().success());
    }
}
