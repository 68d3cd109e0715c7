//! What a handler finds wrong with a request, and what becomes of it.
#![allow(clippy::unwrap_used, reason = "a test may")]

use waterwheel::http::testing::TestClient;
use waterwheel::http::{ClientError, Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::block_on;

/// Finds fault with all but `/fine`, before or within its answer.
async fn fastidious(request: Request<'_>) -> Result<Responded> {
    let fault = ClientError::new(StatusCode::CONFLICT, "it is taken");
    match request.path() {
        "/fine" => request.respond(StatusCode::OK, "fine", ()).await,
        "/begun" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("half of ").await?;
            Err(fault.into())
        }
        "/sent" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("half of ").await?;
            body.flush().await?;
            Err(fault.into())
        }
        "/answered" => {
            drop(request.respond(StatusCode::OK, "fine", ()).await?);
            Err(fault.into())
        }
        _ => Err(fault.into()),
    }
}

#[test]
fn a_client_is_told_and_the_connection_stays() {
    block_on(async {
        let mut client = TestClient::new(fastidious);
        for _ in 0..2 {
            let told = client.get("/").await;
            assert_eq!(told.status, StatusCode::CONFLICT);
            assert_eq!(told.text(), "it is taken\n");
            assert_eq!(told.headers["content-type"], "text/plain; charset=utf-8");
            assert_eq!(told.headers.get("connection"), None);
            assert_eq!(client.get("/fine").await.text(), "fine");
        }
        let unread = client.post("/", "a body that nobody reads").await;
        assert_eq!(unread.status, StatusCode::CONFLICT);
        let head = client.request(&Method::HEAD, "/", &[], b"").await;
        assert_eq!(
            (head.status, &head.headers["content-length"]),
            (StatusCode::CONFLICT, &"12".parse().unwrap())
        );
        assert_eq!(client.get("/fine").await.text(), "fine");
    });
}

#[test]
fn of_an_answer_that_is_not_out_nothing_goes_out() {
    block_on(async {
        let mut client = TestClient::new(fastidious);
        assert_eq!(client.get("/begun").await.text(), "it is taken\n");
        assert_eq!(client.get("/fine").await.text(), "fine");
    });
}

#[test]
fn an_answer_that_is_half_out_is_cut() {
    block_on(async {
        let mut client = TestClient::new(fastidious);
        client.send("GET /sent HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let all = String::from_utf8(client.read_to_end().await).unwrap();
        assert!(
            all.ends_with("\r\n\r\n8\r\nhalf of \r\n"),
            "no last chunk: {all:?}"
        );
    });
}

#[test]
fn an_answer_that_is_whole_is_the_answer() {
    block_on(async {
        let mut client = TestClient::new(fastidious);
        assert_eq!(client.get("/answered").await.text(), "fine");
    });
}

#[test]
fn it_is_no_failure_of_the_handler() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let mut client = TestClient::of(&server, fastidious);
        assert_eq!(client.get("/").await.status, StatusCode::CONFLICT);
        assert_eq!(server.numbers().handler_failures, 0);
    });
}
