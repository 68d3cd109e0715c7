//! The router: the handler that it selects for each request.

use std::cell::Cell;
use std::rc::Rc;

use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::web::response::{Html, Response};
use waterwheel::http::web::routes::{Params, Router, TrailingSlash};
use waterwheel::http::{self, Handler, Method, Request, Responded, Result, StatusCode};
use waterwheel::runtime::block_on;

/// Sends these requests in their order. Returns the status and the body of each answer.
fn ask(router: impl Handler, requests: &[(&str, &str)]) -> Vec<(u16, String)> {
    let seen = |answer: Answer| (answer.status.as_u16(), answer.text());
    answers(router, requests).into_iter().map(seen).collect()
}

fn answers(router: impl Handler, requests: &[(&str, &str)]) -> Vec<Answer> {
    block_on(async {
        let mut client = TestClient::new(router);
        let mut answers = Vec::new();
        for (method, target) in requests {
            let method = method.parse().unwrap();
            answers.push(client.request(&method, target, &[], b"").await);
        }
        answers
    })
}

#[track_caller]
fn check(router: impl Handler, rows: &[(&str, &str, u16, &str)]) {
    let requests: Vec<_> = rows.iter().map(|row| (row.0, row.1)).collect();
    let found = ask(router, &requests);
    for (row, (status, text)) in rows.iter().zip(found) {
        assert_eq!((status, &*text), (row.2, row.3), "{} {}", row.0, row.1);
    }
}

async fn whole(request: Request<'_>) -> Result<Responded> {
    let body = request.bytes().await?;
    request.respond(StatusCode::OK, body, ()).await
}

async fn path(request: &Request<'_>) -> String {
    request.path().to_owned()
}

async fn method(request: &Request<'_>) -> String {
    request.method().to_string()
}

#[test]
fn handlers_of_all_kinds_can_be_routes() {
    async fn two(request: Request<'_>, a: u8, b: String) -> Result<Responded> {
        request
            .respond(StatusCode::OK, format!("{a} {b}"), ())
            .await
    }
    async fn failing(request: &Request<'_>) -> Result<String> {
        Ok(request.path().parse::<u8>()?.to_string())
    }
    let visits = Rc::new(Cell::new(0));
    let also = visits.clone();
    let alone = Cell::new(0);
    let router = Router::new()
        .get("/whole", whole)
        .get("/path", path)
        .get("/nothing", async || ())
        .get("/status", async || StatusCode::IM_A_TEAPOT)
        .get("/page", async || Html("<p>"))
        .get("/pair", async || (StatusCode::CREATED, "made"))
        .get("/failing", failing)
        .get("/two/{a}/{b}", two)
        .get(
            "/named/{a}/{b}",
            async |_: &Request<'_>, params: Params<'_>| format!("{params:?} {:?}", params.get("c")),
        )
        .get(
            "/taken/{a}",
            async |request: Request<'_>, params: Params<'_>| {
                let a = params
                    .parse::<u8>("a")
                    .map_or_else(String::new, |a| a.to_string());
                request.respond(StatusCode::OK, a, ()).await
            },
        )
        .get("/visit", async move |_: &Request<'_>| {
            visits.set(visits.get() + 1);
            visits.get().to_string()
        })
        .get("/visits", async move |request: Request<'_>| {
            request
                .respond(StatusCode::OK, also.get().to_string(), ())
                .await
        })
        .get("/alone", async move || {
            alone.set(alone.get() + 2);
            alone.get().to_string()
        })
        .get("/shared", http::shared(whole))
        .get(
            "/four/{a}/{b}/{c}/{d}",
            async |_: &Request<'_>, a: u8, b: i8, c: char, d: bool| format!("{a} {b} {c} {d}"),
        );
    check(
        router,
        &[
            ("GET", "/whole", 200, ""),
            ("GET", "/path", 200, "/path"),
            ("GET", "/nothing", 204, ""),
            ("GET", "/status", 418, ""),
            ("GET", "/page", 200, "<p>"),
            ("GET", "/pair", 201, "made"),
            ("GET", "/two/7/x", 200, "7 x"),
            ("GET", "/named/1/2", 200, r#"{"a": "1", "b": "2"} None"#),
            ("GET", "/taken/7", 200, "7"),
            ("GET", "/visit", 200, "1"),
            ("GET", "/visit", 200, "2"),
            ("GET", "/visits", 200, "2"),
            ("GET", "/alone", 200, "2"),
            ("GET", "/alone", 200, "4"),
            ("GET", "/shared", 200, ""),
            ("GET", "/four/1/-2/x/true", 200, "1 -2 x true"),
            ("GET", "/four/1/-2/xx/true", 404, "not found\n"),
            ("GET", "/failing", 500, "internal server error\n"),
        ],
    );
}

#[test]
fn the_more_exact_pattern_wins_and_then_the_older_one() {
    let router = Router::new()
        .get("/{*rest}", async |_: &Request<'_>, rest: String| {
            format!("rest {rest}")
        })
        .get("/a/{x}", async |_: &Request<'_>, x: u32| {
            format!("number {x}")
        })
        .get("/a/{y}", async |_: &Request<'_>, y: String| {
            format!("text {y}")
        })
        .get("/a/{z}", async || "never")
        .get("/a/b", async || "exactly")
        .get("/a/{n}.png", async |_: &Request<'_>, n: u32| {
            format!("picture {n}")
        });
    check(
        router,
        &[
            ("GET", "/a/7", 200, "number 7"),
            ("GET", "/a/seven", 200, "text seven"),
            ("GET", "/a/b", 200, "exactly"),
            ("GET", "/a/7.png", 200, "picture 7"),
            ("GET", "/a/x.png", 404, "not found\n"),
            ("GET", "/a/7/8", 200, "rest a/7/8"),
            ("GET", "/b", 200, "rest b"),
            ("GET", "/", 404, "not found\n"),
        ],
    );
}

#[test]
fn a_path_without_the_method_lists_its_methods() {
    let router = || {
        Router::new()
            .get("/a", method)
            .post("/a", method)
            .put("/b", method)
            .any("/c", method)
            .get("/d", method)
            .route(Method::HEAD, "/d", async || StatusCode::ACCEPTED)
            .route(Method::OPTIONS, "/d", async || "own")
    };
    check(
        router(),
        &[
            ("GET", "/a", 200, "GET"),
            ("POST", "/a", 200, "POST"),
            ("DELETE", "/a", 405, "method not allowed\n"),
            ("BREW", "/c", 200, "BREW"),
            ("HEAD", "/c", 200, ""),
            ("OPTIONS", "/c", 200, "OPTIONS"),
            ("HEAD", "/a", 200, ""),
            ("HEAD", "/d", 202, ""),
            ("OPTIONS", "/d", 200, "own"),
            ("HEAD", "/b", 405, ""),
            ("OPTIONS", "/x", 404, "not found\n"),
        ],
    );
    let asked = [
        ("PATCH", "/a"),
        ("GET", "/b"),
        ("OPTIONS", "/a"),
        ("OPTIONS", "*"),
    ];
    let allow: Vec<_> = answers(router(), &asked)
        .into_iter()
        .map(|answer| (answer.status.as_u16(), answer.headers["allow"].clone()))
        .collect();
    assert_eq!(allow[0], (405, "GET, HEAD, OPTIONS, POST".parse().unwrap()));
    assert_eq!(allow[1], (405, "OPTIONS, PUT".parse().unwrap()));
    assert_eq!(allow[2], (204, "GET, HEAD, OPTIONS, POST".parse().unwrap()));
    assert_eq!(allow[3].0, 204);
}

#[test]
fn head_is_answered_like_get_without_a_body() {
    let router = Router::new().get("/", async || "four");
    let head = &answers(router, &[("HEAD", "/")])[0];
    assert_eq!(head.headers["content-length"], "4", "RFC 9110, 9.3.2");
    assert_eq!(head.headers["content-type"], "text/plain; charset=utf-8");
}

#[test]
fn a_slash_too_many_or_too_few_is_handled_by_the_rule_that_is_set() {
    let router = |rule| {
        Router::new()
            .get("/a", path)
            .get("/b/", path)
            .trailing_slash(rule)
    };
    check(
        router(TrailingSlash::Same),
        &[
            ("GET", "/a/", 200, "/a/"),
            ("GET", "/b", 200, "/b"),
            ("POST", "/b", 405, "method not allowed\n"),
            ("GET", "/a//", 404, "not found\n"),
        ],
    );
    check(
        router(TrailingSlash::Strict),
        &[
            ("GET", "/a/", 404, "not found\n"),
            ("GET", "/b", 404, "not found\n"),
        ],
    );
    let sent = answers(
        router(TrailingSlash::Redirect),
        &[
            ("GET", "/a/?q=1"),
            ("POST", "/b"),
            ("GET", "/%61/"),
            ("GET", "/c/"),
        ],
    );
    let location = |answer: &Answer| {
        let to = answer
            .headers
            .get("location")
            .map(|to| to.to_str().unwrap().to_owned());
        (answer.status.as_u16(), to)
    };
    let seen: Vec<_> = sent.iter().map(location).collect();
    assert_eq!(seen[0], (308, Some("/a?q=1".to_owned())));
    assert_eq!(seen[1], (308, Some("/b/".to_owned())));
    assert_eq!(seen[2], (308, Some("/%61".to_owned())));
    assert_eq!(seen[3], (404, None));
}

#[test]
fn no_redirection_leads_to_another_host() {
    let router = Router::new()
        .get("/{a}/{b}", async || "")
        .get("//evil.example", async || "");
    check(
        router,
        &[
            ("GET", "//evil.example/", 404, "not found\n"),
            ("GET", "//a/b/", 404, "not found\n"),
        ],
    );
}

#[test]
fn parameters_are_decoded_and_an_encoded_slash_does_not_split_a_segment() {
    let router = Router::new()
        .get("/one/{x}", async |_: &Request<'_>, x: String| x)
        .get("/all/{*x}", async |_: &Request<'_>, x: String| x)
        .get("/caf\u{e9} au lait/100%", async || "coffee");
    check(
        router,
        &[
            ("GET", "/one/a%2Fb", 200, "a/b"),
            ("GET", "/one/a%252Fb", 200, "a%2Fb"),
            ("GET", "/one/%E2%82%AC%20+", 200, "\u{20ac} +"),
            ("GET", "/%6fne/x", 200, "x"),
            ("GET", "/one%2Fx", 404, "not found\n"),
            ("GET", "/one/%zz", 400, "malformed escape in the path\n"),
            ("GET", "/one/%ff", 400, "malformed escape in the path\n"),
            ("GET", "/one/x?y=%zz", 200, "x"),
            ("GET", "/all/a/b%20c", 200, "a/b c"),
            ("GET", "/all/..%2F..%2Fetc", 404, "not found\n"),
            ("GET", "/caf%C3%A9%20au%20lait/100%25", 200, "coffee"),
            ("GET", "http://test/one/x", 200, "x"),
        ],
    );
}

#[test]
fn an_absolute_target_without_a_path_is_the_root() {
    let router = Router::new().get("/", async || "root");
    check(
        router,
        &[
            ("GET", "http://test", 200, "root"),
            ("GET", "http://test?q", 200, "root"),
        ],
    );
}

#[test]
fn nested_routers_keep_their_not_found_handlers() {
    let missing = |text: &'static str| async move || (StatusCode::NOT_FOUND, text);
    let posts = Router::new()
        .get("/", async |_: &Request<'_>, params: Params<'_>| {
            format!("posts of {}", params.get("user").unwrap_or_default())
        })
        .get("/{post}", async |_: &Request<'_>, post: u32| {
            format!("post {post}")
        });
    let api = Router::new()
        .get("/", async || "api")
        .get("/users/{id}", async |_: &Request<'_>, id: u32| {
            format!("user {id}")
        })
        .nest("/users/{user}/posts", posts)
        .not_found(missing("no such call"));
    let site = Router::new()
        .get("/", async || "home")
        .nest("/api", api)
        .not_found(missing("no such page"));
    check(
        site,
        &[
            ("GET", "/", 200, "home"),
            ("GET", "/api", 200, "api"),
            ("GET", "/api/users/7", 200, "user 7"),
            ("GET", "/api/users/7/posts", 200, "posts of 7"),
            ("GET", "/api/users/7/posts/8", 200, "post 8"),
            ("GET", "/api/users/x", 404, "no such call"),
            ("GET", "/api/x/y", 404, "no such call"),
            ("GET", "/apis", 404, "no such page"),
            ("GET", "/x", 404, "no such page"),
            ("DELETE", "/api/users/7", 405, "method not allowed\n"),
        ],
    );
}

#[test]
fn a_handler_takes_as_many_parameters_as_its_pattern_has() {
    let error = Router::new()
        .try_route(Method::GET, "/{a}/{b}", async |_: &Request<'_>, _: u8| "")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the route `/{a}/{b}`: its handler takes 1 parameters, the pattern has 2"
    );
    let error = Router::new()
        .get("/{a}", path)
        .try_route(None, "/{*b}", path)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the route `/{*b}`: it conflicts with `/{a}`"
    );
}

#[test]
#[should_panic(expected = "the route `a`: a pattern begins with a slash")]
fn a_panic_about_a_bad_pattern_names_its_place() {
    drop(Router::new().get("a", path));
}

#[test]
fn a_router_lists_its_routes_and_their_handlers_can_be_replaced() {
    let router = Router::new()
        .post("/b", path)
        .get("/a", path)
        .any("/b", path);
    let listed: Vec<_> = router.routes().collect();
    assert_eq!(
        listed,
        [
            (Some(&Method::POST), "/b"),
            (Some(&Method::GET), "/a"),
            (None, "/b")
        ]
    );
    let other = router
        .clone()
        .without(Method::GET, "/a")
        .get("/a", async || "new");
    check(router, &[("GET", "/a", 200, "/a")]);
    check(
        other,
        &[("GET", "/a", 200, "new"), ("GET", "/b", 200, "/b")],
    );
    check(
        Router::new().get("/a", path).without(Method::GET, "/a"),
        &[("GET", "/a", 404, "not found\n")],
    );
}

#[test]
fn a_less_exact_route_answers_after_a_route_is_removed() {
    let router = || {
        Router::new()
            .get("/a", async || "exact")
            .get("/{x}", async |_: &Request<'_>, x: String| x)
            .without(Method::GET, "/a")
            .without(Method::GET, "/never")
    };
    check(router(), &[("GET", "/a", 200, "a")]);
    let again = router().get("/a", async || "again");
    check(again, &[("GET", "/a", 200, "again")]);
    let other_names = router().without(Method::GET, "/{y}");
    check(other_names, &[("GET", "/a", 404, "not found\n")]);
}

#[test]
fn a_router_is_a_handler_behind_a_route_and_by_itself() {
    let inner = Router::new().get("/a/b", async || "inner");
    let router = Router::new().any("/a/{*rest}", http::shared(inner));
    check(
        router,
        &[
            ("GET", "/a/b", 200, "inner"),
            ("GET", "/a/c", 404, "not found\n"),
        ],
    );
}

#[test]
fn a_response_with_a_bad_header_is_a_500() {
    let router = Router::new().get("/", async || {
        Response::text("x").with_header("x-a", "b\r\nc: d")
    });
    check(router, &[("GET", "/", 500, "internal server error\n")]);
}
