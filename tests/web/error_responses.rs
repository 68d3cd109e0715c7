//! Error answers with the look of the application, in literal bytes.

use std::cell::RefCell;
use std::rc::Rc;

use crate::support::server::{TestServer, without_dates};
use serde::{Deserialize, Serialize};
use waterwheel::http::testing::TestClient;
use waterwheel::http::web::files::Files;
use waterwheel::http::web::input;
use waterwheel::http::web::middleware::at_most;
use waterwheel::http::web::response::{Html, Json, Response, ResponseBody};
use waterwheel::http::web::routes::Router;
use waterwheel::http::{
    Builder, ClientError, Error, ErrorAnswer, Handler, Limits, Method, Refusal, Request, Responded,
    Result, Server, StatusCode,
};
use waterwheel::runtime::block_on;

#[derive(Serialize)]
struct Problem {
    status: u16,
    detail: String,
}

fn problem(error: &ErrorAnswer<'_>) -> Json<Problem> {
    Json(Problem {
        status: error.status.as_u16(),
        detail: error.text.to_owned(),
    })
}

#[derive(Deserialize)]
struct Sack {
    grains: u32,
}

async fn sack(request: Request<'_>) -> Result<Responded> {
    let sack: Sack = input::json(&request).await?;
    request
        .respond(StatusCode::OK, sack.grains.to_string(), ())
        .await
}

async fn fails(_: &Request<'_>) -> Result<()> {
    Err(Error::message("the store burns"))
}

async fn panics(_: &Request<'_>) {
    panic!("on purpose");
}

async fn upgrades(request: Request<'_>) -> Result<Responded> {
    Ok(request.upgrade("chat", ()).await?.0)
}

fn api() -> Router {
    Router::new()
        .get("/", async || "home")
        .post("/sacks", sack)
        .get("/fails", fails)
        .get("/panics", panics)
        .get("/chat", upgrades)
        .get("/busy", async || {
            Result::<()>::Err(Refusal::TooManyAtOnce.into())
        })
        .get("/own", async || (StatusCode::NOT_FOUND, "mine"))
        .nest("/files", Files::new(".").unwrap())
}

fn json_builder() -> Builder {
    let limits = Limits::default().with(|limits| limits.body_bytes_max = 32);
    Server::builder().limits(limits).error_responses(problem)
}

/// Compares the bytes of a server's answer, without dates.
#[track_caller]
fn check(request: &str, expected: &str) {
    let server = TestServer::start(json_builder(), api);
    let answer = server.exchange(&[request.as_bytes()]);
    assert_eq!(without_dates(&answer), expected, "{request}");
}

/// Compares one answer before the client closes. `fields` follow Content-Type.
#[track_caller]
fn check_json(request: &str, status: &str, fields: &str, connection: &str, detail: &str) {
    let body = format!("{{\"status\":{},\"detail\":\"{detail}\"}}", &status[..3]);
    let length = body.len();
    let body = if request.starts_with("HEAD") {
        ""
    } else {
        &body
    };
    let expected = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{fields}content-length: {length}\r\n{connection}\r\n{body}"
    );
    check(request, &expected);
}

const HOST: &str = "Host: x\r\n\r\n";
const CLOSE: &str = "connection: close\r\n";

#[test]
fn every_error_answer_is_json_and_keeps_its_meaning() {
    let methods = "allow: GET, HEAD, OPTIONS\r\n";
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\n{HOST}");
    check_json(&get("/none"), "404 Not Found", "", "", "not found");
    let head = format!("HEAD /none HTTP/1.1\r\n{HOST}");
    check_json(&head, "404 Not Found", "", "", "not found"); // RFC 9110, 9.3.2
    let delete = format!("DELETE / HTTP/1.1\r\n{HOST}");
    let text = "method not allowed";
    check_json(&delete, "405 Method Not Allowed", methods, "", text); // RFC 9110, 15.5.6
    let escape = "malformed escape in the path";
    check_json(&get("/%zz"), "400 Bad Request", "", "", escape);
    let internal = "internal server error";
    check_json(
        &get("/fails"),
        "500 Internal Server Error",
        "",
        CLOSE,
        internal,
    );
    check_json(
        &get("/panics"),
        "500 Internal Server Error",
        "",
        CLOSE,
        internal,
    );
    let busy = "too many requests at once";
    let again = "retry-after: 1\r\n"; // RFC 9110, 10.2.3
    check_json(&get("/busy"), "503 Service Unavailable", again, CLOSE, busy);
    let chat = "upgrade: chat\r\n"; // RFC 9110, 15.5.22
    let upgrade = "connection: upgrade\r\n";
    check_json(
        &get("/chat"),
        "426 Upgrade Required",
        chat,
        upgrade,
        "upgrade to chat",
    );
    check_json(&get("/files/none"), "404 Not Found", "", "", "not found");
    let post = format!("POST /files/Cargo.toml HTTP/1.1\r\n{HOST}");
    let allow = "allow: GET, HEAD\r\n";
    check_json(&post, "405 Method Not Allowed", allow, "", text);
}

#[test]
fn faults_of_a_body_are_json() {
    let post = |kind: &str, body: &str| {
        let length = body.len();
        format!(
            "POST /sacks HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let json = "application/json";
    let expected = "expected content-type application/json";
    check_json(
        &post("text/plain", "{}"),
        "415 Unsupported Media Type",
        "",
        "",
        expected,
    );
    let missing = "missing field `grains`";
    check_json(
        &post(json, "{}"),
        "422 Unprocessable Content",
        "",
        "",
        missing,
    );
    let malformed = "malformed JSON at line 1, column 1";
    check_json(&post(json, "?"), "400 Bad Request", "", "", malformed);
    let large = post(json, &" ".repeat(33));
    check_json(
        &large,
        "413 Content Too Large",
        "",
        CLOSE,
        "content too large",
    );
}

#[test]
fn a_refusal_is_json_once_the_request_line_is_known() {
    let text = "Host missing";
    check_json(
        "GET /a HTTP/1.1\r\n\r\n",
        "400 Bad Request",
        "",
        CLOSE,
        text,
    );
    check_json(
        "HEAD /a HTTP/1.1\r\n\r\n",
        "400 Bad Request",
        "",
        CLOSE,
        text,
    );
    let coding = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    check_json(
        coding,
        "501 Not Implemented",
        "",
        CLOSE,
        "unknown transfer coding",
    );
    check(
        "G(T / HTTP/1.1\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 17\r\n\
         connection: close\r\n\r\nmalformed method\n",
    );
}

#[test]
fn a_response_of_a_handler_is_not_changed() {
    check(
        &format!("GET /own HTTP/1.1\r\n{HOST}"),
        "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 4\r\n\r\nmine",
    );
}

/// Sends GET requests to a handler, and returns status, type and text of each answer.
fn ask(builder: Builder, handler: impl Handler, paths: &[&str]) -> Vec<(u16, String, String)> {
    block_on(async {
        let server = builder.without_listener();
        let handler = waterwheel::http::shared(handler);
        let mut answers = Vec::new();
        for path in paths {
            let answer = TestClient::of(&server, handler.clone()).get(path).await;
            let kind = answer.headers["content-type"].to_str().unwrap().to_owned();
            answers.push((answer.status.as_u16(), kind, answer.text()));
        }
        answers
    })
}

#[test]
fn the_innermost_router_decides_and_the_server_is_last() {
    let page = |word: &'static str| {
        move |error: &ErrorAnswer<'_>| Html(format!("{word} {}", error.status))
    };
    let mills = Router::new()
        .get("/", async || "mills")
        .get("/fails", fails)
        .error_responses(page("mills"));
    let site = Router::new()
        .get("/", async || "home")
        .get("/fails", fails)
        .nest("/mills", mills.clone())
        .nest("/wrapped", at_most(1, mills.clone()))
        .error_responses(page("site"));
    let outer = Router::new()
        .nest("/site", site)
        .nest("/bare", at_most(1, api()));
    let answers = ask(
        json_builder(),
        outer,
        &[
            "/none",
            "/site/none",
            "/site/fails",
            "/site/mills/none",
            "/site/mills/fails",
            "/site/wrapped/none",
            "/site/wrapped/fails",
            "/bare/none",
        ],
    );
    let texts: Vec<_> = answers.iter().map(|(_, _, text)| text.as_str()).collect();
    let failure = "500 Internal Server Error";
    assert_eq!(
        texts,
        [
            "{\"status\":404,\"detail\":\"not found\"}",
            "site 404 Not Found",
            &format!("site {failure}"),
            "mills 404 Not Found",
            &format!("mills {failure}"),
            "mills 404 Not Found",
            &format!("mills {failure}"),
            "{\"status\":404,\"detail\":\"not found\"}",
        ]
    );
}

#[test]
fn a_hook_sees_the_error_and_the_request() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = seen.clone();
    let router = Router::new()
        .get("/fails", fails)
        .get("/blames", async || {
            Result::<()>::Err(ClientError::new(StatusCode::CONFLICT, "taken").into())
        })
        .error_responses(move |error| {
            let accepts = error.headers.and_then(|headers| headers.get("accept"));
            noted.borrow_mut().push(format!(
                "{} {} {} {:?} {:?} {:?}",
                error.method, error.target, error.text, error.refusal, error.error, accepts
            ));
            StatusCode::OK // not used
        });
    block_on(async {
        let mut client = TestClient::new(router);
        let fields = [("accept", "text/html")];
        let answer = client
            .request(&Method::GET, "/blames?a", &fields, b"")
            .await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (StatusCode::CONFLICT, 0)
        );
        client.get("/fails").await;
    });
    assert_eq!(
        *seen.borrow(),
        [
            "GET /blames?a taken None Some(taken) Some(\"text/html\")",
            "GET /fails internal server error None Some(the store burns) None",
        ]
    );
}

#[test]
fn a_hook_that_fails_leaves_the_line_of_text() {
    fn stream(_: &ErrorAnswer<'_>) -> Response {
        Response::new(StatusCode::OK, ResponseBody::blocking(std::io::empty()))
    }
    fn forbidden(_: &ErrorAnswer<'_>) -> Response {
        Response::text("x").with_header("transfer-encoding", "chunked")
    }
    fn fails(_: &ErrorAnswer<'_>) -> Result<&'static str> {
        Err(Error::message("no page"))
    }
    fn panics(_: &ErrorAnswer<'_>) -> &'static str {
        panic!("on purpose")
    }
    let builders = [
        Server::builder().error_responses(stream),
        Server::builder().error_responses(forbidden),
        Server::builder().error_responses(fails),
        Server::builder().error_responses(panics),
    ];
    for builder in builders {
        let answers = ask(builder, api(), &["/none", "/fails"]);
        let plain = "text/plain; charset=utf-8".to_owned();
        let expected = [(404, "not found\n"), (500, "internal server error\n")];
        let expected = expected.map(|(status, text)| (status, plain.clone(), text.to_owned()));
        assert_eq!(answers, expected);
    }
}

#[test]
fn a_field_of_the_hook_replaces_that_of_the_answer() {
    let late = |_: &ErrorAnswer<'_>| Response::text("later").with_header("retry-after", "60");
    let server = Server::builder().error_responses(late);
    let server = TestServer::start(server, api);
    let answer = server.exchange(&[format!("GET /busy HTTP/1.1\r\n{HOST}").as_bytes()]);
    assert_eq!(
        without_dates(&answer),
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 60\r\n\
         content-length: 5\r\nconnection: close\r\n\r\nlater"
    );
}

#[test]
fn a_hook_changes_neither_the_length_nor_the_fate_of_the_connection() {
    let fields = [
        ("content-length", "1"),
        ("content-length", "99"),
        ("connection", "close"),
    ];
    for (name, value) in fields {
        for method in ["GET", "HEAD"] {
            let builder = Server::builder()
                .error_responses(move |_| Response::text("page").with_header(name, value));
            let server = TestServer::start(builder, api);
            let requests = format!("{method} /none HTTP/1.1\r\n{HOST}GET / HTTP/1.1\r\n{HOST}");
            let answers = server.exchange(&[requests.as_bytes()]);
            let body = if method == "HEAD" { "" } else { "page" };
            let kind = "content-type: text/plain; charset=utf-8\r\ncontent-length: 4\r\n\r\n";
            assert_eq!(
                without_dates(&answers),
                format!("HTTP/1.1 404 Not Found\r\n{kind}{body}HTTP/1.1 200 OK\r\n{kind}home"),
                "{method} {name}: {value}"
            );
        }
    }
}

#[test]
fn the_connection_field_of_an_error_stays_if_the_hook_sets_one() {
    let builder = Server::builder()
        .error_responses(|_| Response::text("page").with_header("connection", "upgrade"));
    let blames = || {
        Router::new().get("/", async || {
            let error = ClientError::new(StatusCode::CONFLICT, "taken");
            Result::<()>::Err(error.with_header("connection", "close").into())
        })
    };
    let server = TestServer::start(builder, blames);
    let answer = server.exchange(&[format!("GET / HTTP/1.1\r\n{HOST}").as_bytes()]);
    assert_eq!(
        without_dates(&answer),
        "HTTP/1.1 409 Conflict\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 4\r\n\
         connection: close\r\n\r\npage"
    );
}

#[test]
fn the_hook_of_a_route_that_declines_does_not_answer_for_the_next_route() {
    let page = |word: &'static str| move |_: &ErrorAnswer<'_>| Html(word);
    let numbers = Router::new()
        .get("/{n}", async |_: &Request<'_>, n: u32| n.to_string())
        .error_responses(page("inner"));
    let names = async |_: &Request<'_>, _: String| Result::<()>::Err(Error::message("no store"));
    let router = || Router::new().nest("/a", numbers.clone());
    let with_hook = router()
        .get("/a/{name}", names)
        .error_responses(page("outer"));
    let without_hook = router().get("/a/{name}", names);
    let text = |router: Router| ask(json_builder(), router, &["/a/rye"]).remove(0).2;
    assert_eq!(text(with_hook), "outer");
    assert_eq!(
        text(without_hook),
        "{\"status\":500,\"detail\":\"internal server error\"}"
    );
}

#[test]
fn the_hook_of_a_router_ends_with_its_request() {
    let router = || {
        let inner = Router::new().error_responses(|_| Html("router"));
        Router::new().nest("/inner", inner).get("/fails", async || {
            Result::<()>::Err(ClientError::new(StatusCode::CONFLICT, "taken").into())
        })
    };
    let server = TestServer::start(Server::builder(), router);
    let requests = format!(
        "GET /inner/none HTTP/1.1\r\n{HOST}GET /fails HTTP/1.1\r\n{HOST}GET /inner/none HTTP/1.1\r\n{HOST}\
         GET /inner/none HTTP/1.1\r\n\r\n"
    );
    let answers = server.exchange(&[requests.as_bytes()]);
    let bodies: Vec<_> = answers.split("HTTP/1.1 ").skip(1).collect();
    let ends = ["router", "taken\n", "router", "Host missing\n"];
    assert_eq!(bodies.len(), ends.len(), "{answers}");
    for (body, end) in bodies.iter().zip(ends) {
        assert!(body.ends_with(&format!("\r\n\r\n{end}")), "{answers}");
    }
}

#[test]
fn a_hook_makes_a_page_of_any_length_also_for_head_and_its_connection_goes_on() {
    let long = |_: &ErrorAnswer<'_>| "x".repeat(300_000);
    let server = TestServer::start(Server::builder().error_responses(long), api);
    let requests = format!(
        "GET /none HTTP/1.1\r\n{HOST}HEAD /none HTTP/1.1\r\n{HOST}GET / HTTP/1.1\r\n{HOST}"
    );
    let answers = without_dates(&server.exchange(&[requests.as_bytes()]));
    let head = "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 300000\r\n\r\n";
    let (first, others) = answers.split_at(head.len() + 300_000);
    assert!(first.starts_with(head) && first.ends_with('x'));
    assert!(
        others.starts_with(&format!("{head}HTTP/1.1 200 OK\r\n")),
        "{others}"
    );
}
