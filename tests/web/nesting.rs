//! Handlers below a prefix, middleware around routers, and values that middleware hands to handlers.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::AsyncWriteExt;
use waterwheel::http::testing::{Answer, MemoryStream, TestClient};
use waterwheel::http::web::files::Files;
use waterwheel::http::web::middleware::{REQUEST_ID, request_ids, time_limit};
use waterwheel::http::web::routes::{Router, nested_path};
use waterwheel::http::{Handler, Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{block_on, spawn, time::sleep, turn};

fn get(handler: impl Handler, paths: &[&str]) -> Vec<Answer> {
    block_on(async {
        let mut client = TestClient::new(handler);
        let mut answers = Vec::new();
        for path in paths {
            answers.push(client.get(path).await);
        }
        answers
    })
}

/// Compares status and text of each answer.
#[track_caller]
fn check(handler: impl Handler, rows: &[(&str, u16, &str)]) {
    let paths: Vec<_> = rows.iter().map(|row| row.0).collect();
    for (row, answer) in rows.iter().zip(get(handler, &paths)) {
        assert_eq!(
            (answer.status.as_u16(), &*answer.text()),
            (row.1, row.2),
            "{}",
            row.0
        );
    }
}

async fn rest(request: Request<'_>) -> Result<Responded> {
    let text = format!("{} of {}", nested_path(&request), request.path());
    request.respond(StatusCode::OK, text, ()).await
}

fn mills() -> Router {
    Router::new()
        .get("/", async || "all")
        .get("/{name}", async |_: &Request<'_>, name: String| name)
}

#[test]
fn any_handler_gets_the_paths_below_its_prefix() {
    let router = Router::new()
        .get("/", async || "home")
        .get("/old/new", async || "new")
        .nest("/old", rest)
        .nest("/a/{b}", rest);
    check(
        router,
        &[
            ("/", 200, "home"),
            ("/old", 200, " of /old"),
            ("/old/", 200, "/ of /old/"),
            ("/old/x/y?z", 200, "/x/y of /old/x/y"),
            ("/%6fld/a%2Fb", 200, "/a%2Fb of /%6fld/a%2Fb"),
            ("/old/new", 200, "new"),
            ("/older", 404, "not found\n"),
            ("/a/7/x", 200, "/x of /a/7/x"),
        ],
    );
    check(
        Router::new().nest("/", rest),
        &[("/", 200, "/ of /"), ("/x", 200, "/x of /x")],
    );
}

#[test]
fn middleware_can_wrap_a_whole_router_below_a_prefix() {
    let inner = Router::new().nest("/mills", request_ids(mills()));
    let site = Router::new()
        .get("/", async || "home")
        .nest("/api", inner)
        .nest(
            "/deep",
            request_ids(Router::new().nest("/er", request_ids(mills()))),
        );
    let site = time_limit(std::time::Duration::from_secs(5), site);
    let paths = [
        "/",
        "/api/mills",
        "/api/mills/caf%C3%A9",
        "/api/mills/a%2Fb",
        "/deep/er/rye",
        "/deep/er",
        "/deep/none",
        "/api/mills/a/b",
    ];
    let answers = get(site, &paths);
    let texts: Vec<_> = answers.iter().map(Answer::text).collect();
    let missing = "not found\n";
    assert_eq!(
        texts,
        ["home", "all", "café", "a/b", "rye", "all", missing, missing]
    );
    let has_id: Vec<_> = answers
        .iter()
        .map(|answer| answer.headers.contains_key(REQUEST_ID))
        .collect();
    assert_eq!(has_id, [false, true, true, true, true, true, true, true]);
}

#[test]
fn files_can_be_nested() {
    let router = Router::new().nest("/static", Files::new("http").unwrap());
    let answers = get(router, &["/static/Cargo.toml", "/static", "/static/none"]);
    assert!(answers[0].text().contains("waterwheel-http"));
    assert_eq!(answers[1].headers["location"], "/static/");
    assert_eq!(answers[2].status, StatusCode::NOT_FOUND);
}

/// Not `Send`, and not `Clone`.
struct User {
    name: String,
    visits: Rc<Cell<u32>>,
}

fn authenticated(handler: impl Handler) -> impl Handler {
    let visits = Rc::new(Cell::new(0));
    async move |request: Request<'_>| {
        if let Some(name) = request.query() {
            visits.set(visits.get() + 1);
            request.extensions().insert(User {
                name: name.to_owned(),
                visits: visits.clone(),
            });
        }
        handler.call(request).await
    }
}

#[test]
fn a_value_of_middleware_reaches_the_handler_and_ends_with_its_request() {
    async fn greet(request: &Request<'_>) -> String {
        match request.extensions().get::<User>() {
            Some(user) => format!("{} {}", user.name, user.visits.get()),
            None => "stranger".to_owned(),
        }
    }
    let router = Router::new().get("/{*path}", greet).get("/", greet);
    check(
        authenticated(Router::new().nest("/site", authenticated(router))),
        &[
            ("/site", 200, "stranger"),
            ("/site?anna", 200, "anna 1"),
            ("/site/a", 200, "stranger"),
            ("/site/b?ben", 200, "ben 2"),
        ],
    );
}

#[test]
fn a_value_is_dropped_with_its_request_also_if_the_connection_ends() {
    let held = Rc::new(());
    let watched = held.clone();
    block_on(async {
        let handler = async move |request: Request<'_>| {
            request.extensions().insert(held.clone());
            match request.path() {
                "/fails" => Err(std::fmt::Error.into()),
                "/panics" => panic!("on purpose"),
                "/aborts" => Ok(request.abort()),
                _ => request.respond(StatusCode::OK, "x", ()).await,
            }
        };
        let handler = waterwheel::http::shared(handler);
        for path in ["/", "/fails", "/panics"] {
            TestClient::new(handler.clone()).get(path).await;
        }
        let mut client = TestClient::new(handler.clone());
        client.send("GET /aborts HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client.closed().await;
        assert_eq!(Rc::strong_count(&watched), 2);
    });
}

/// A router that answers its own 404s.
fn with_own_404(text: &'static str) -> Router {
    mills().not_found(async move || (StatusCode::NOT_FOUND, text))
}

#[test]
fn a_prefix_with_a_parameter_in_a_segment_has_the_404s_of_its_own_paths_only() {
    let router = Router::new()
        .nest("/mill-{n}.v2", with_own_404("mill"))
        .nest("/{{a}}", with_own_404("braces"))
        .nest("/100%", with_own_404("percent"))
        .not_found(async || (StatusCode::NOT_FOUND, "site"));
    check(
        router,
        &[
            ("/mill-7.v2/rye", 200, "rye"),
            ("/mill-7.v2/a/b", 404, "mill"),
            ("/mill-.v2/a/b", 404, "site"),
            ("/mill-7.v3/a/b", 404, "site"),
            ("/bakery/a/b", 404, "site"),
            ("/%7Ba%7D/a/b", 404, "braces"),
            ("/100%25/a/b", 404, "percent"),
        ],
    );
}

#[test]
fn a_handler_for_missing_paths_sees_the_path_below_the_prefix_of_its_router() {
    let inner = || Router::new().get("/", async || "all").not_found(rest);
    let router = Router::new()
        .nest("/flat", inner())
        .nest("/wrapped", request_ids(inner()))
        .nest("/outer", Router::new().nest("/inner", inner()))
        .nest("/{a}/b", inner())
        .not_found(rest);
    check(
        router,
        &[
            ("/flat/x/y", 200, "/x/y of /flat/x/y"),
            ("/wrapped/x/y", 200, "/x/y of /wrapped/x/y"),
            ("/outer/inner/x", 200, "/x of /outer/inner/x"),
            ("/7/b/x", 200, "/x of /7/b/x"),
            ("/none", 200, "/none of /none"),
        ],
    );
    let files = || {
        Router::new()
            .get("/api", async || "api")
            .not_found(Files::new("http").unwrap())
    };
    let site = Router::new()
        .nest("/flat", files())
        .nest("/wrapped", request_ids(files()));
    for answer in get(site, &["/flat/Cargo.toml", "/wrapped/Cargo.toml"]) {
        assert!(answer.text().contains("waterwheel-http"));
    }
}

/// Inserts a value, and fails if there is one of an earlier request.
fn insert(request: &Request<'_>, value: &Rc<()>) {
    assert!(
        request.extensions().insert(value.clone()).is_none(),
        "a value has leaked"
    );
}

#[test]
fn a_value_ends_with_its_request_if_requests_are_pulled() {
    let value = Rc::new(());
    block_on(async {
        let (mut near, far) = MemoryStream::pair();
        let server = Server::builder().without_listener();
        let requests = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3);
        near.write_all(requests.as_bytes()).await.unwrap();
        near.close().await.unwrap();
        let mut connection = server.connection(far, None);
        let mut answered = 0;
        while let Ok(Some(request)) = connection.next().await {
            insert(&request, &value);
            assert_eq!(Rc::strong_count(&value), 2);
            drop(request.respond(StatusCode::OK, "x", ()).await.unwrap());
            answered += 1;
        }
        assert_eq!(answered, 3);
        assert_eq!(Rc::strong_count(&value), 1);
    });
}

#[test]
fn a_value_ends_with_its_request_if_the_connection_is_upgraded_or_the_handler_is_dropped() {
    let value = Rc::new(());
    let held = value.clone();
    let handler = async move |request: Request<'_>| {
        insert(&request, &held);
        if request.path() == "/slow" {
            std::future::pending::<()>().await;
        }
        let (responded, upgrade) = request.upgrade("mill", ()).await?;
        spawn(async move {
            let _stream = upgrade.await;
            sleep(Duration::from_secs(3600)).await;
        })
        .detach();
        Ok(responded)
    };
    block_on(async {
        let limits = Limits::default()
            .with(|limits| limits.handler_duration_max = Some(Duration::from_millis(50)));
        let server = Server::builder().limits(limits).without_listener();
        let handler = waterwheel::http::shared(handler);
        let mut upgraded = TestClient::of(&server, handler.clone());
        let offer = "Host: x\r\nConnection: upgrade\r\nUpgrade: mill\r\n\r\n";
        upgraded.send(format!("GET / HTTP/1.1\r\n{offer}")).await;
        assert_eq!(
            upgraded.answer().await.status,
            StatusCode::SWITCHING_PROTOCOLS
        );
        turn().await;
        assert_eq!(Rc::strong_count(&value), 2);
        let answer = TestClient::of(&server, handler.clone()).get("/slow").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        turn().await;
        assert_eq!(Rc::strong_count(&value), 2);
    });
}

#[test]
fn a_router_of_missing_paths_alone_can_be_nested_at_the_root_beside_another() {
    let files = Router::new().not_found(Files::new("http").unwrap());
    let api = Router::new().get("/sacks", async || "all");
    let site = Router::new().nest("/", files).nest("/api", api);
    let answers = get(site, &["/Cargo.toml", "/api/sacks", "/api/none"]);
    assert!(answers[0].text().contains("waterwheel-http"));
    assert_eq!(answers[1].text(), "all");
    assert_eq!(answers[2].status, StatusCode::NOT_FOUND);
}

#[test]
fn a_longer_path_than_that_of_an_exact_route_finds_the_wildcard() {
    let router = Router::new()
        .get("/path/mill", async || "mill")
        .get("/{name}", async || "name")
        .get("/path/{*rest}", async || "wildcard");
    check(
        router,
        &[
            ("/path/mill", 200, "mill"),
            ("/path/mill/", 200, "wildcard"),
            ("/path/mil", 200, "wildcard"),
            ("/path/mills", 200, "wildcard"),
            ("/path", 200, "name"),
        ],
    );
}
