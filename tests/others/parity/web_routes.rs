//! Routes, by the routers of rouille, mini-async-http and `micro_http_async`, and the server of the Rust Book.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Lines};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use crate::support::process::again;
use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::web::input;
use waterwheel::http::web::response::{IntoResponse, Json, Response};
use waterwheel::http::web::routes::{Params, Router, TrailingSlash};
use waterwheel::http::{
    ClientError, Error, Method, Request, Responded, Result, Server, StatusCode,
};
use waterwheel::runtime::block_on;

use super::asked::{ask, get};
use super::served::{answered, check, get as get_line, read_answer};
use crate::support::server::{Client, DEADLINE, TestServer};
use crate::support::system::cpu_ticks;

#[path = "../../../examples/book.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod book;
#[path = "../../../examples/routes.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod routes;
#[path = "../../../examples/site.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod site;
#[path = "../../../examples/state.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod state;

/// Sends these requests, and compares status and body.
#[track_caller]
fn check_answers(router: Router, rows: &[(&str, &str, u16, &str)]) {
    let requests: Vec<_> = rows.iter().map(|row| (row.0, row.1)).collect();
    let answers = ask(router, &requests);
    for (row, answer) in rows.iter().zip(answers) {
        let seen = (answer.status.as_u16(), answer.text());
        assert_eq!(seen, (row.2, row.3.to_owned()), "{} {}", row.0, row.1);
    }
}

/// The tests of rouille for its `router!`.
fn rouilles_routes() {
    let zero = async || "0";
    let basic = Router::new()
        .get("/hello", zero)
        .get("/{val}", async |_: &Request<'_>, _: u32| "0")
        .get("/", async || "1")
        .get("/a/b", zero)
        .get("/a_b", zero)
        .get("/a-b", async || "dash")
        .get("/3", zero)
        .get("/5", async || "five")
        .get("/3/2/1", zero)
        .get("/robots.txt", async || "robots");
    check_answers(
        basic,
        &[
            ("GET", "/", 200, "1"),
            ("GET", "/a-b", 200, "dash"),
            ("GET", "/5", 200, "five"),
            ("GET", "/robots.txt", 200, "robots"),
            ("GET", "/none", 404, "not found\n"),
        ],
    );
    let typed = Router::new()
        .get("/hello/{id}", async |_: &Request<'_>, id: u32| {
            format!("u32 {id}")
        })
        .get("/hello/{id}", async |_: &Request<'_>, id: f32| {
            format!("f32 {id}")
        })
        .get("/hello/{name}", async |_: &Request<'_>, name: String| name)
        .get(
            "/math/{a}/plus/{b}",
            async |_: &Request<'_>, _: u32, _: u32| "7",
        )
        .get(
            "/math/{a}/plus/{b}",
            async |_: &Request<'_>, a: f32, b: u8| (a + f32::from(b)).to_string(),
        )
        .get(
            "/word/{a}/{b}/{c}/{d}",
            async |_: &Request<'_>, a: String, b: String, c: String, d: String| a + &b + &c + &d,
        )
        .get("/val/{val}/test", async |_: &Request<'_>, val: String| val);
    check_answers(
        typed,
        &[
            ("GET", "/hello/5", 200, "u32 5"),
            ("GET", "/hello/5.1", 200, "f32 5.1"),
            ("GET", "/hello/wow", 200, "wow"),
            ("GET", "/math/3.2/plus/4", 200, "7.2"),
            ("GET", "/word/one/two/three/four", 200, "onetwothreefour"),
            ("GET", "/val/%3Fa/test", 200, "?a"),
            ("GET", "/hello/hello%2F5", 200, "hello/5"),
        ],
    );
}

/// The purpose of `try_or_400!`, `try_or_404!`, `assert_or_400!` and `accept!`, with `?`.
fn rouilles_shortcuts() {
    let bad = |text: &'static str| ClientError::new(StatusCode::BAD_REQUEST, text);
    let missing = || ClientError::new(StatusCode::NOT_FOUND, "no such thing");
    let router = Router::new()
        .get(
            "/try/{n}",
            async move |_: &Request<'_>, text: String| -> Result<String> {
                let n: u8 = text.parse().map_err(|_| bad("n is a number"))?;
                let word = ["zero", "one"].get(usize::from(n)).ok_or_else(missing)?;
                Ok((*word).to_owned())
            },
        )
        .get(
            "/accept",
            async |request: &Request<'_>| -> Result<Response> {
                match input::negotiate(request, &["text/plain", "application/json"])? {
                    "application/json" => Json(5).into_response(),
                    _ => "5".into_response(),
                }
            },
        );
    check_answers(
        router.clone(),
        &[
            ("GET", "/try/1", 200, "one"),
            ("GET", "/try/x", 400, "n is a number\n"),
            ("GET", "/try/7", 404, "no such thing\n"),
            ("GET", "/accept", 200, "5"), // no field: the first
        ],
    );
    let accept = |field: &str| {
        let answer = get(router.clone(), "/accept", &[("accept", field)]);
        let media = answer.headers["content-type"].to_str().unwrap().to_owned();
        (answer.status.as_u16(), media)
    };
    let json = (200, "application/json".to_owned());
    let text = "text/plain; charset=utf-8".to_owned();
    assert_eq!(accept("text/plain, */*"), (200, text.clone()));
    assert_eq!(accept("text/plain;q=0.1, */*"), json);
    assert_eq!(accept("application/*"), json);
    assert_eq!(accept("*/*"), (200, text.clone()));
    assert_eq!(accept("image/gif"), (406, text));
}

#[test]
fn r_46_routes_are_functions_of_typed_parameters() {
    rouilles_routes();
    rouilles_shortcuts();
    // find_route!: several routers become one. A path that none of them has is a 404.
    let one = Router::new().get("/one", async || "1");
    let two = Router::new().get("/two", async || "2");
    check_answers(
        Router::new().nest("/", one).nest("/", two),
        &[
            ("GET", "/one", 200, "1"),
            ("GET", "/two", 200, "2"),
            ("GET", "/three", 404, "not found\n"),
        ],
    );
    let router = routes::routes();
    let answers = ask(
        router,
        &[
            ("GET", "/"),
            ("GET", "/7"),
            ("GET", "/miller"),
            ("GET", "/a/b"),
        ],
    );
    assert_eq!(
        (answers[0].status.as_u16(), &answers[0].headers["location"]),
        (302, &"/hello/world".parse().unwrap())
    );
    assert_eq!(
        (answers[1].status.as_u16(), answers[2].text()),
        (400, "hello, miller".to_owned())
    );
    assert_eq!(answers[3].status, 404);
}

async fn show(request: Request<'_>) -> Result<Responded> {
    let body = request.bytes().await?;
    let text = format!("{} {} {}", request.method(), request.target(), body.len());
    request.respond(StatusCode::OK, text, ()).await
}

#[test]
fn a_03_a_router_is_a_handler() {
    let server = TestServer::start(Server::builder(), || {
        Router::new()
            .get("/one", async || "GET one")
            .post("/one", show)
            .any("/two", show)
    });
    let typed = |body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    check(
        &server,
        &[
            (&get_line("/one"), &typed("GET one")),
            (
                "POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nTEST",
                &answered("POST /one 4"),
            ),
            (
                &get_line("/two").repeat(2),
                &answered("GET /two 0").repeat(2),
            ),
        ],
    );
    let missing = server.exchange(&[get_line("/three").as_bytes()]);
    assert!(
        missing.starts_with("HTTP/1.1 404 Not Found\r\n"),
        "{missing}"
    );
    // The counter of its README.
    let answers = ask(state::mill(), &[("GET", "/"), ("GET", "/"), ("GET", "/")]);
    let seen: String = answers.iter().map(Answer::text).collect();
    assert_eq!(seen, "counter: 0\ncounter: 1\ncounter: 2\n");
}

#[test]
fn a_22_the_first_route_wins_and_a_missing_one_is_404() {
    let text = |text: &'static str| async move || text;
    let router = Router::new()
        .get("/same", text("first"))
        .any("/same", text("second"))
        .get("/before", text("exact"))
        .get("/{x}", text("parameter"))
        .any("/{y}", text("second"))
        .get("/exact", text("exact"))
        .post("/exact", text("posted"));
    let copy = router
        .clone()
        .not_found(async || (StatusCode::NOT_FOUND, "own"));
    check_answers(
        router,
        &[
            ("GET", "/same", 200, "first"),
            ("GET", "/before", 200, "exact"),
            ("GET", "/exact", 200, "exact"), // whichever was added first
            ("POST", "/exact", 200, "posted"),
            ("GET", "/other", 200, "parameter"),
            ("GET", "/a/b", 404, "not found\n"),
            ("PUT", "/exact", 405, "method not allowed\n"),
            ("PUT", "/same", 200, "second"),
        ],
    );
    // A route that would get no request is a mistake, not a choice.
    let hidden = copy
        .clone()
        .try_route(Method::GET, "/same", text("hidden"))
        .unwrap_err();
    assert!(hidden.to_string().contains("GET is answered already"));
    check_answers(
        copy,
        &[("GET", "/a/b", 404, "own"), ("GET", "/same", 200, "first")],
    );
    check_answers(Router::default(), &[("GET", "/", 404, "not found\n")]);
    let body = &ask(Router::default(), &[("GET", "/")])[0].body;
    assert!(!body.is_empty(), "the original has no text");
}

#[test]
fn a_23_a_pattern_is_checked_and_its_text_is_literal() {
    let bad = |pattern| {
        let added = Router::new().try_route(Method::GET, pattern, async || "");
        added.err().map(|error| error.to_string())
    };
    assert_eq!(
        bad("a").unwrap(),
        "the route `a`: a pattern begins with a slash"
    );
    for pattern in [
        "", "/a?b", "/{a", "/a}", "/{}", "/{a}/{a}", "/{*a}/b", "/{a}{b}",
    ] {
        assert!(bad(pattern).is_some(), "{pattern}");
    }
    let router = Router::new()
        .any("/a.c", async |request: &Request<'_>| {
            request.method().to_string()
        })
        .get("/x+y/(z)/[w]", async || "literal")
        .get(
            "/{one}/and/{two}",
            async |_: &Request<'_>, params: Params<'_>| {
                let pairs = params
                    .iter()
                    .map(|(name, value)| format!("{name}={value};"));
                pairs.collect::<String>()
            },
        );
    check_answers(
        router,
        &[
            ("GET", "/a.c", 200, "GET"),
            ("BREW", "/a.c", 200, "BREW"),
            ("GET", "/abc", 404, "not found\n"),
            ("GET", "/x+y/(z)/[w]", 200, "literal"),
            ("GET", "/xxy/z/w", 404, "not found\n"),
            ("GET", "/myParam/and/a%20b", 200, "one=myParam;two=a b;"),
        ],
    );
}

#[test]
fn a_24_the_root_matches_and_a_query_is_no_part_of_a_path() {
    let path = async |request: &Request<'_>| request.path().to_owned();
    let router = Router::new().get("/", path).get("/a", path);
    check_answers(
        router.clone().trailing_slash(TrailingSlash::Same),
        &[
            ("GET", "/", 200, "/"),
            ("GET", "/?x=1", 200, "/"),
            ("GET", "/a?x=1", 200, "/a"),
            ("GET", "/a/?x=1", 200, "/a/"),
        ],
    );
    let sent = &ask(router, &[("GET", "/a/?x=1")])[0];
    assert_eq!(
        (sent.status.as_u16(), &sent.headers["location"]),
        (308, &"/a?x=1".parse().unwrap())
    );
}

#[test]
fn a_25_three_calls_make_three_routes() {
    let router = Router::new()
        .get("/a", async || "1")
        .post("/b", async || "2")
        .any("/c", async || "3");
    assert_eq!(router.routes().count(), 3);
    let bad = std::panic::catch_unwind(|| drop(Router::new().get("bad", async || "")));
    assert!(bad.is_err(), "a bad pattern panics");
}

#[test]
fn m_01_a_port_that_is_taken_is_an_error_and_routes_come_later() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    block_on(async {
        let error = Server::bind(taken.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        let server = Server::bind("127.0.0.1:0").unwrap();
        let router = Router::new().get("/", async || "later");
        assert_eq!(
            TestClient::of(&server, router).get("/").await.text(),
            "later"
        );
    });
}

#[test]
fn m_03_requests_may_be_large_and_binary_and_many() {
    let server = TestServer::start(Server::builder(), || {
        Router::new().post("/", async |request: &Request<'_>| request.bytes().await)
    });
    let mut client = server.client();
    let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for _ in 0..2 {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\nContent-Length: {}\r\n\r\n",
            "x".repeat(5000),
            body.len()
        );
        client.send([head.as_bytes(), &body].concat());
        let head = client.read_until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let mut back = vec![0; body.len()];
        std::io::Read::read_exact(&mut client.stream, &mut back).unwrap();
        assert!(
            back == body,
            "NUL bytes and all, on a connection that stays"
        );
    }
}

#[test]
fn m_05_the_method_is_the_first_word_of_the_first_line() {
    let method = async |request: &Request<'_>| request.method().to_string();
    let router = Router::new().any("/", method);
    let misleading = [("x-post", "POST / HTTP/1.1"), ("user-agent", "DELETE")];
    assert_eq!(get(router.clone(), "/", &misleading).text(), "GET");
    for known in [
        "GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW",
    ] {
        assert_eq!(ask(router.clone(), &[(known, "/")])[0].text(), known);
    }
    let answers = ask(router, &[("HEAD", "/")]);
    assert_eq!(
        (answers[0].status.as_u16(), answers[0].body.len()),
        (200, 0)
    );
}

#[test]
fn m_06_a_route_can_be_replaced() {
    let router = Router::new()
        .get("/", async || "old")
        .get("/b", async || "b");
    let router = router.without(Method::GET, "/").get("/", async || "new");
    check_answers(router, &[("GET", "/", 200, "new"), ("GET", "/b", 200, "b")]);
}

#[test]
fn m_07_a_plain_async_fn_is_a_handler() {
    async fn borrows(request: &Request<'_>) -> Result<String, std::num::ParseIntError> {
        Ok((request.path()[1..].parse::<u32>()? + 1).to_string())
    }
    let total = Cell::new(0);
    let router = Router::new()
        .get("/{n}", borrows)
        .put("/", show)
        .post("/", async move || {
            total.set(total.get() + 1);
            total.get().to_string()
        });
    check_answers(
        router,
        &[
            ("GET", "/41", 200, "42"),
            ("PUT", "/", 200, "PUT / 0"),
            ("POST", "/", 200, "1"),
            ("POST", "/", 200, "2"),
        ],
    );
}

#[test]
fn m_08_a_missing_path_is_404_by_default() {
    check_answers(
        Router::new(),
        &[
            ("GET", "/x", 404, "not found\n"),
            ("POST", "/", 404, "not found\n"),
        ],
    );
    // The example of the original, on this server.
    let answers = ask(
        site::site().unwrap(),
        &[
            ("GET", "/"),
            ("GET", "/?name=%3Cmiller%3E"),
            ("GET", "/json"),
            ("GET", "/nothing"),
            ("GET", "/static/site.css"),
            ("GET", "/static/wheel.png"),
            ("GET", "/static/../pages/home.html"),
        ],
    );
    assert!(answers[0].text().contains("Good morning, stranger."));
    assert!(
        answers[1].text().contains("Good morning, &lt;miller&gt;."),
        "escaped"
    );
    assert_eq!(answers[2].headers["content-type"], "application/json");
    assert_eq!(answers[3].status, 404);
    assert!(
        answers[3]
            .text()
            .contains("There is no <code>&#x2f;nothing</code> at this mill.")
    );
    for (answer, content_type, file) in [
        (
            &answers[4],
            "text/css; charset=utf-8",
            &include_bytes!("../../../examples/site/static/site.css")[..],
        ),
        (
            &answers[5],
            "image/png",
            include_bytes!("../../../examples/site/static/wheel.png"),
        ),
    ] {
        assert_eq!(answer.headers["content-type"], content_type);
        assert!(answer.body == file, "{content_type}");
    }
    assert_eq!(answers[6].status, 404);
    let form = |body: &str| {
        let method = "POST".parse().unwrap();
        let fields = [("content-type", "application/x-www-form-urlencoded")];
        block_on(async {
            TestClient::new(site::site().unwrap())
                .request(&method, "/order", &fields, body.as_bytes())
                .await
        })
    };
    let ordered = form("flour=r%26ye&sacks=2");
    assert_eq!(ordered.status, 201);
    assert!(ordered.text().contains("2 sacks of r&amp;ye"));
    let wrong = form("flour=rye&sacks=many");
    assert_eq!(
        (wrong.status.as_u16(), &*wrong.text()),
        (422, "sacks: invalid digit found in string\n")
    );
}

#[test]
fn m_09_an_error_is_a_500_and_the_next_one_is_served() {
    let router = || {
        Router::new()
            .get("/err", async || Err::<(), _>(Error::message("tired")))
            .get("/panic", async || -> () { panic!("on purpose") })
            .get("/", async || "fine")
    };
    for path in ["/err", "/panic"] {
        let answer = &ask(router(), &[("GET", path)])[0];
        assert_eq!(
            (answer.status.as_u16(), &*answer.text()),
            (500, "internal server error\n")
        );
    }
    let server = TestServer::start(Server::builder(), router);
    server.exchange(&[get_line("/panic").as_bytes()]);
    assert!(
        server
            .exchange(&[get_line("/").as_bytes()])
            .ends_with("\r\n\r\nfine")
    );
}

#[test]
fn m_17_it_builds_on_stable() {
    let sources = [
        include_str!("../../../http/src/lib.rs"),
        include_str!("../../../runtime/src/lib.rs"),
        include_str!("../../../src/lib.rs"),
    ];
    assert!(sources.iter().all(|source| !source.contains("#![feature")));
    assert!(include_str!("../../../Cargo.toml").contains("rust-version = \"1."));
}

/// Runs the example of a [`Process`]. Returns at once unless the process was started for that.
#[test]
fn child() {
    let Some(example) = std::env::var_os("PARITY_EXAMPLE") else {
        return;
    };
    block_on(async {
        if example == "book" {
            return book::serve("127.0.0.1:0").await.unwrap();
        }
        let server = Server::bind("127.0.0.1:0").unwrap();
        println!("listening on http://{}", server.local_address());
        server.serve(site::site().unwrap()).await.unwrap();
    });
}

/// An example in a process of its own. It is killed when it is dropped.
struct Process {
    child: Child,
    address: String,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(example: &str) -> Self {
        let mut child = again("parity::web_routes::child")
            .env("PARITY_EXAMPLE", example)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = lines.by_ref().map(std::result::Result::unwrap);
        let line = told.find(|line| line.contains("http://"));
        let address = line.unwrap().rsplit("http://").next().unwrap().to_owned();
        Self {
            child,
            address,
            lines,
        }
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client { stream }
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Returns the size without the code, because the code of an unoptimized test is larger than any server.
    fn resident_kib(&self) -> u64 {
        let status = self.read("status");
        let line = status.split("RssAnon:").nth(1).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn m_18_an_idle_site_uses_no_cpu_and_little_memory() {
    let site = Process::start("site");
    let mut kept: Vec<_> = (0..20).map(|_| site.client()).collect();
    for client in &mut kept {
        client.send(get_line("/?name=miller"));
        assert!(read_answer(client).1.contains("Good morning, miller."));
    }
    // The task of a burst lives for one second after the last request, and then sleeps.
    std::thread::sleep(Duration::from_millis(1500));
    let before = cpu_ticks(site.child.id());
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(cpu_ticks(site.child.id()) - before, 0);
    let resident = site.resident_kib();
    assert!(resident < 10 << 10, "{resident} KiB");
}

#[test]
fn b_01_the_book_listens_and_prints_each_connection() {
    let mut book = Process::start("book");
    let mut clients = [book.client(), book.client()];
    for client in &mut clients {
        let told = book.lines.next().unwrap().unwrap();
        let own = client.stream.local_addr().unwrap();
        assert_eq!(told, format!("Connection established! Some({own})"));
    }
    // The example also prints the lines of each request.
    clients[0].send(get_line("/"));
    assert!(read_answer(&mut clients[0]).1.contains("<h1>Hello!</h1>"));
    let told = book.lines.next().unwrap().unwrap();
    assert!(told.starts_with("Request: "), "{told}");
    assert!(include_str!("../../../examples/book.rs").contains("127.0.0.1:7878"));
}

#[test]
fn b_02_a_request_prints_its_lines() {
    let router = Router::new().get("/", async |request: &Request<'_>| format!("{request:?}"));
    let shown = get(router, "/", &[("user-agent", "curl")]).text();
    for part in [
        "GET",
        "\"/\"",
        "HTTP/1.1",
        "\"host\": \"test\"",
        "\"user-agent\": \"curl\"",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(include_str!("../../../examples/book.rs").contains("{request:#?}"));
}

#[test]
fn b_03_the_book_has_one_page_and_a_404_page() {
    let answers = ask(
        book::book(Duration::ZERO),
        &[("GET", "/"), ("GET", "/sleep"), ("GET", "/something-else")],
    );
    let hello = include_str!("../../../examples/book/hello.html");
    let missing = include_str!("../../../examples/book/404.html");
    for (answer, (status, page)) in answers
        .iter()
        .zip([(200, hello), (200, hello), (404, missing)])
    {
        assert_eq!((answer.status.as_u16(), &*answer.text()), (status, page));
        assert_eq!(answer.headers["content-length"], page.len().to_string());
    }
}

/// Checks that `/` does not wait for `/sleep`, on one thread.
#[test]
fn b_04_no_request_waits_for_a_sleeping_one() {
    let server = TestServer::start(Server::builder(), || book::book(Duration::from_secs(2)));
    let mut sleepers: Vec<_> = (0..5).map(|_| server.client()).collect();
    let start = Instant::now();
    for sleeper in &mut sleepers {
        sleeper.send(get_line("/sleep"));
    }
    let mut quick = server.client();
    quick.send(get_line("/"));
    assert!(read_answer(&mut quick).0.starts_with("HTTP/1.1 200 OK\r\n"));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    for sleeper in &mut sleepers {
        assert!(read_answer(sleeper).0.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let took = start.elapsed();
    assert!(
        took < Duration::from_secs(4),
        "all five slept at once: {took:?}"
    );
}
