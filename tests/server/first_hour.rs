//! The traps of a user's first hour: the error of each mistake names the mistake and its remedy.

use std::cell::Cell;
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use crate::support::server::{TestServer, without_dates};
use anyhow::Context as _;
use waterwheel::http::testing::TestClient;
use waterwheel::http::web::middleware::at_most;
use waterwheel::http::web::routes::{RouteError, Router};
use waterwheel::http::{self, ClientError, Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::net::TcpListener;
use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{block_on, spawn};

#[test]
fn an_address_without_a_port_is_named_with_the_form_that_has_one() {
    let form = "an address has the form host:port, such as localhost:8080 or 127.0.0.1:8080";
    let no_port = format!("the address has no port; {form}");
    let no_number = format!("the port of the address is not a number up to 65535; {form}");
    for (address, expected) in [
        ("localhost", &no_port),
        ("", &no_port),
        ("localhost:http", &no_number),
        ("127.0.0.1:80800", &no_number),
        ("http://localhost", &no_number),
    ] {
        let error = Server::bind(address).unwrap_err();
        assert_eq!(error.to_string(), *expected, "{address:?}");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let error = TcpListener::bind(address).unwrap_err();
        assert_eq!(error.to_string(), *expected, "{address:?}");
    }
    // The forms of Go and nginx. No lookup asks the network: the names are not valid.
    for address in [":8080", "*:8080"] {
        let error = Server::bind(address).unwrap_err().to_string();
        let begin = "cannot find the host of the address: ";
        let end = format!("; {form}; 0.0.0.0:8080 and [::]:8080 mean all addresses");
        assert!(error.starts_with(begin) && error.ends_with(&end), "{error}");
    }
    let taken = Server::bind("127.0.0.1:0").unwrap();
    let address = taken.local_address();
    let error = Server::bind(address).unwrap_err();
    let begin = format!("cannot listen on {address}: Address already in use");
    assert!(error.to_string().starts_with(&begin), "{error}");
}

/// Returns the text of the panic.
fn panic_text(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    payload.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn a_panic_outside_a_runtime_names_our_type_and_asks_for_the_other_runtime() {
    let end = "outside a Waterwheel runtime: do it within `waterwheel::runtime::block_on` or `Runtime::block_on`. Or is \
               tokio's runtime meant? Its tasks do not run here, and ours do not run there";
    let spawned = panic_text(|| drop(spawn(async {})));
    assert_eq!(spawned, format!("a task was spawned {end}"));
    let accepted = panic_text(|| {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let mut accept = pin!(server.accept());
        let mut cx = TaskContext::from_waker(Waker::noop());
        assert!(accept.as_mut().poll(&mut cx).is_pending());
    });
    let named = "a waterwheel::runtime::net::TcpListener was polled";
    assert_eq!(accepted, format!("{named} {end}"));
}

fn duplicate(router: Router, method: impl Into<Option<Method>>, pattern: &str) -> RouteError {
    let added = router.try_route(method, pattern, async |_: &Request<'_>| "second");
    added.unwrap_err()
}

#[test]
fn a_route_that_would_get_no_request_is_an_error_with_both_places() {
    let place = |line: u32, column: u32| format!("tests/server/first_hour.rs:{line}:{column}");
    let line = line!();
    let error = Router::new()
        .get("/a/{x}", async || "first")
        .try_route(Method::GET, "/a/{y}", async || "second")
        .unwrap_err();
    let (first, second) = (place(line + 2, 10), place(line + 3, 10));
    assert_eq!(
        error.to_string(),
        format!(
            "the route `/a/{{y}}`: GET is answered already by `/a/{{x}}`, added at {first}; this one, added at \
             {second}, would get no request"
        )
    );
    let text = panic_text(|| {
        let outer = Router::new().any("/b/c", async || "first");
        let inner = Router::new().post("/c", async || "second");
        drop(outer.nest("/b", inner));
    });
    assert!(
        text.starts_with("the route `/b/c`: POST is answered already by `/b/c`, added at tests/"),
        "{text}"
    );
}

#[test]
fn routes_that_share_a_pattern_and_get_requests_are_no_duplicates() {
    let one = |_: &Request<'_>, n: u32| std::future::ready(n.to_string());
    let number = async move |request: &Request<'_>, n: u32| one(request, n).await;
    let name = async |_: &Request<'_>, name: String| name;
    let router = Router::new()
        .get("/{n}", number)
        .get("/{name}", name)
        .post("/{n}", name)
        .route(Method::HEAD, "/{n}", name)
        .any("/{n}", async || "any");
    assert_eq!(router.routes().count(), 5);
    // The same types of parameters, a method after all methods, and the same method.
    let text = duplicate(router.clone(), Method::POST, "/{x}").to_string();
    assert!(
        text.contains("POST is answered already by `/{n}`"),
        "{text}"
    );
    let text = duplicate(router.clone(), None, "/{x}").to_string();
    assert!(text.contains("each method is answered already"), "{text}");
    let again = router.clone().try_route(Method::GET, "/{m}", number);
    assert!(again.unwrap_err().to_string().contains("`/{n}`"));
    let replaced = router.without(None, "/{n}");
    assert!(replaced.try_route(None, "/{m}", async || "new").is_ok());
}

#[derive(Debug)]
struct NoFlour;

impl std::fmt::Display for NoFlour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no flour")
    }
}

impl StdError for NoFlour {}

fn bake(kind: &str) -> anyhow::Result<&'static str> {
    match kind {
        "bread" => Ok("bread"),
        "stone" => {
            let error = ClientError::new(StatusCode::CONFLICT, "a stone is no flour");
            Err(error).context("while baking")
        }
        _ => Err(NoFlour).context("while baking"),
    }
}

#[test]
fn errors_of_anyhow_pass_with_a_question_mark() {
    let last = Rc::new(Cell::new(None));
    let seen = last.clone();
    let handler = async move |request: Request<'_>| -> Result<Responded> {
        let answer = bake(request.query().unwrap_or_default());
        if let Err(error) = &answer {
            seen.set(Some(error.to_string()));
        }
        request.respond(StatusCode::OK, answer?, ()).await
    };
    block_on(async {
        let mut client = TestClient::new(handler);
        assert_eq!(client.get("/?bread").await.text(), "bread");
        // A client error beneath a context keeps its status and its text.
        let answer = client.get("/?stone").await;
        let seen = (answer.status, answer.text());
        assert_eq!(
            seen,
            (StatusCode::CONFLICT, "a stone is no flour\n".to_owned())
        );
        let answer = client.get("/?cake").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    });
    assert_eq!(last.take().as_deref(), Some("while baking"));
    let error = http::Error::from(bake("cake").unwrap_err());
    assert_eq!(format!("{error:?}"), "while baking: no flour");
    let boxed: Box<dyn StdError> = "as a text".into();
    assert_eq!(http::Error::from(boxed).to_string(), "as a text");
    assert_eq!(http::Error::from("as a text").to_string(), "as a text");
}

#[test]
fn a_request_above_the_limit_of_a_handler_receives_the_reason() {
    let make = || {
        at_most(1, async |request: Request<'_>| {
            sleep(Duration::from_millis(400)).await;
            request.respond(StatusCode::OK, "hello", ()).await
        })
    };
    let server = TestServer::start(Server::builder(), make);
    let mut first = server.client();
    first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    let answer = server.exchange(&[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert_eq!(
        without_dates(&answer),
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 26\r\n\
         retry-after: 1\r\nconnection: close\r\n\r\ntoo many requests at once\n"
    );
    assert!(first.read_until("hello").starts_with("HTTP/1.1 200 "));
}
