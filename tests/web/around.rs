//! Claims about middleware that knows browsers and clients, as the bytes of an answer show them.

use std::time::Duration;

use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::web::middleware::{Cors, Csrf, RateLimit, SecurityHeaders, csrf};
use waterwheel::http::web::response::Response;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{
    ClientError, Handler, Limits, Method, Request, Responded, Result, Server, StatusCode, shared,
};
use waterwheel::runtime::time::{pause, sleep};

use crate::support::runtime::run;
use crate::support::server::TestServer;

async fn hello(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "hello", ()).await
}

/// Sends one request, and returns its answer with the fields in one text: `name: value` in lines.
async fn ask(handler: impl Handler, method: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let method: Method = method.parse().unwrap();
    let answer = TestClient::new(handler)
        .request(&method, "/", fields, b"")
        .await;
    (answer.status.as_u16(), fields_of(&answer))
}

fn fields_of(answer: &Answer) -> String {
    let ours = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "content-length"].contains(&name.as_str()));
    let lines = ours.map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
    lines.collect()
}

const PAGE: (&str, &str) = ("origin", "https://app.example.org");
const OTHER: (&str, &str) = ("origin", "https://evil.example");

fn cors() -> Cors {
    Cors::of(["https://app.example.org", "http://localhost:3000"])
}

#[test]
fn a_page_of_an_allowed_origin_may_read_the_answer_and_no_other() {
    run(async {
        let allowed = "vary: origin\naccess-control-allow-origin: https://app.example.org\n";
        assert_eq!(
            ask(cors().around(hello), "GET", &[PAGE]).await,
            (200, allowed.to_owned())
        );
        let plain = (200, "vary: origin\n".to_owned());
        for fields in [
            &[][..],
            &[OTHER],
            &[("origin", "null")],
            &[("origin", "https://app.example.org.evil.example")],
            &[("origin", "http://app.example.org")],
            &[("origin", "https://app.example.org:444")],
            &[PAGE, OTHER],
        ] {
            assert_eq!(
                ask(cors().around(hello), "GET", fields).await,
                plain,
                "{fields:?}"
            );
        }
        let any = (200, "access-control-allow-origin: *\n".to_owned());
        assert_eq!(ask(Cors::any().around(hello), "GET", &[OTHER]).await, any);
        let shown = cors()
            .credentials()
            .expose(["link", "x-total"])
            .around(hello);
        let all = format!(
            "{allowed}access-control-allow-credentials: true\naccess-control-expose-headers: link, x-total\n"
        );
        assert_eq!(ask(shown, "PUT", &[PAGE]).await, (200, all));
    });
}

#[test]
fn an_answer_for_any_origin_is_the_same_without_an_origin() {
    // Fetch standard, 3.2.5: an answer without the field may be in a cache when a page asks for it.
    run(async {
        let any = || Cors::any().expose(["link"]).around(hello);
        let fields = "access-control-allow-origin: *\naccess-control-expose-headers: link\n";
        for asked in [&[][..], &[OTHER], &[("origin", "null")], &[PAGE, OTHER]] {
            assert_eq!(ask(any(), "GET", asked).await, (200, fields.to_owned()));
        }
    });
}

#[test]
fn a_proxy_may_split_the_field_of_a_preflight() {
    run(async {
        let rules = || cors().headers(["content-type", "x-mill"]).around(hello);
        let asked = |names| ("access-control-request-headers", names);
        let method = ("access-control-request-method", "POST");
        let split = [PAGE, method, asked("content-type"), asked("x-mill")];
        let (_, fields) = ask(rules(), "OPTIONS", &split).await;
        let both = "access-control-allow-headers: content-type, x-mill\n";
        assert!(fields.contains(both), "{fields}");
        let split = [PAGE, method, asked("content-type"), asked("x-other")];
        let (_, fields) = ask(rules(), "OPTIONS", &split).await;
        assert!(!fields.contains("access-control-allow"), "{fields}");
    });
}

#[test]
fn a_page_of_the_internet_reaches_a_private_network_only_if_that_is_allowed() {
    run(async {
        let method = ("access-control-request-method", "GET");
        let private = ("access-control-request-private-network", "true");
        let open = || cors().private_network();
        let allowed = "access-control-allow-private-network: true\n";
        for (rules, fields, is_allowed) in [
            (open(), &[PAGE, method, private][..], true),
            (open(), &[PAGE, method], false),
            (open(), &[OTHER, method, private], false),
            (cors(), &[PAGE, method, private], false),
        ] {
            let (_, seen) = ask(rules.around(hello), "OPTIONS", fields).await;
            assert_eq!(seen.contains(allowed), is_allowed, "{fields:?}: {seen}");
            let varies = seen.contains("access-control-request-private-network");
            assert!(varies, "{seen}");
        }
    });
}

#[test]
fn a_text_that_no_browser_sends_as_an_origin_is_refused_when_the_rules_are_made() {
    for origin in [
        "",
        "null",
        "*",
        "app.example.org",
        "//app.example.org",
        "https://",
        "https://app.example.org/",
        "https://app.example.org:443", // a browser leaves the port of the scheme out
        "http://app.example.org:80",
        "https://app.example.org:",
        "https://app.example.org:0",
        "https://app.example.org:08443",
        "https://app.example.org:65536",
        "https://app.example.org:port",
        "https://*.example.org", // `Cors::matching` does this
        "https://App.example.org",
        "https://b\u{fc}cher.example", // xn--bcher-kva
        "https://user@app.example.org",
        "https://app.example.org?",
        "https://app.example.org\\",
        "https://[::1",
        "https://[::1]x",
        "https://::1",
        "1ttps://app.example.org",
    ] {
        let refused = std::panic::catch_unwind(|| drop(Cors::of([origin])));
        assert!(refused.is_err(), "{origin:?}");
        let refused = std::panic::catch_unwind(|| drop(Csrf::new().trust([origin])));
        assert!(refused.is_err(), "{origin:?}");
    }
    for origin in [
        "https://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org:80",
        "http://localhost:443",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "https://xn--bcher-kva.example",
        "https://app_1.example.org",
        "chrome-extension://abcdefghijklmnop",
    ] {
        drop(Cors::of([origin]));
        drop(Csrf::new().trust([origin]));
    }
}

#[test]
#[should_panic(expected = "any_header")]
fn a_star_among_the_names_of_fields_is_refused() {
    drop(Cors::any().headers(["*"]));
}

#[test]
#[should_panic(expected = "with credentials")]
fn a_star_among_the_exposed_fields_is_refused_with_credentials() {
    // Fetch standard, 3.2.3: it is a name then.
    drop(cors().expose(["*"]).credentials().around(hello));
}

#[test]
fn answers_that_are_late_cached_or_of_another_layer_have_the_fields_of_cors() {
    run(async {
        pause();
        let limits = Limits::default().with(|limits| {
            limits.handler_duration_max = Some(Duration::from_secs(1));
            limits.body_bytes_max = 4;
        });
        let server = Server::builder().limits(limits).without_listener();
        let page = async |request: Request<'_>| match request.path() {
            "/slow" => std::future::pending().await,
            "/body" => {
                request.bytes().await?;
                request.respond(StatusCode::OK, "", ()).await
            }
            "/private" => Response::unauthorized("mill").send(request).await,
            _ => Response::text("hello").with_etag("1").send(request).await,
        };
        let site = shared(cors().around(page));
        for (method, path, more, status) in [
            (Method::GET, "/", ("if-none-match", "\"1\""), 304),
            (Method::HEAD, "/", ("x-a", "1"), 200),
            (Method::GET, "/private", ("x-a", "1"), 401),
            (Method::GET, "/slow", ("x-a", "1"), 503),
        ] {
            let mut client = TestClient::of(&server, site.clone());
            let answer = client.request(&method, path, &[PAGE, more], b"").await;
            assert_eq!(answer.status.as_u16(), status, "{path}");
            let fields = fields_of(&answer);
            let expected = "vary: origin\naccess-control-allow-origin: https://app.example.org\n";
            assert!(fields.contains(expected), "{status} {path}: {fields}");
        }
        // A length that is too large is refused before there is a handler, and this one while it is read.
        let mut client = TestClient::of(&server, site);
        let head = format!("POST /body HTTP/1.1\r\nhost: x\r\norigin: {}\r\n", PAGE.1);
        client
            .send(head + "transfer-encoding: chunked\r\n\r\n8\r\ntoo much\r\n0\r\n\r\n")
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status.as_u16(), 413);
        assert_eq!(answer.headers["access-control-allow-origin"], PAGE.1);
    });
}

#[test]
fn errors_have_the_fields_of_cors_too() {
    run(async {
        let router = cors().around(Router::new().get("/there", async || "here"));
        let (status, fields) = ask(router, "GET", &[PAGE]).await;
        assert_eq!(status, 404);
        assert!(
            fields.contains("access-control-allow-origin: https://app.example.org"),
            "{fields}"
        );
        let router = cors().around(Router::new().get("/", async || "here"));
        let (status, fields) = ask(router, "PUT", &[PAGE]).await;
        assert_eq!(status, 405);
        assert!(fields.contains("allow: "), "{fields}");
        assert!(
            fields.contains("access-control-allow-origin: https://app.example.org"),
            "{fields}"
        );
        let limited = cors().around(
            RateLimit::new(1, Duration::from_secs(60))
                .by(|_| Some(()))
                .around(async |_: Request<'_>| -> Result<Responded> { panic!("on purpose") }),
        );
        let limited = shared(limited);
        for status in [500, 429] {
            let mut client = TestClient::new(limited.clone());
            let answer = client.request(&Method::GET, "/", &[PAGE], b"").await;
            assert_eq!(answer.status.as_u16(), status);
            assert_eq!(answer.headers["access-control-allow-origin"], PAGE.1);
        }
        let broken = cors()
            .around(async |_: Request<'_>| -> Result<Responded> { Err(std::fmt::Error.into()) });
        let (status, fields) = ask(broken, "GET", &[PAGE]).await;
        assert_eq!(status, 500);
        assert!(
            fields.contains("access-control-allow-origin: https://app.example.org"),
            "{fields}"
        );
    });
}

#[test]
fn a_preflight_is_answered_and_allows_what_all_of_its_fields_allow() {
    let vary = "vary: origin, access-control-request-method, access-control-request-headers, \
        access-control-request-private-network\n";
    run(async {
        let rules = || {
            cors()
                .methods([Method::GET, Method::PUT])
                .headers(["content-type", "X-Mill"])
                .max_age(Duration::from_secs(600))
                .around(async |_: Request<'_>| unreachable!("the handler sees no preflight"))
        };
        let method = |name| ("access-control-request-method", name);
        let headers = |names| ("access-control-request-headers", names);
        let allowed = "access-control-allow-origin: https://app.example.org\naccess-control-allow-methods: GET, PUT\n";
        let (status, fields) = ask(rules(), "OPTIONS", &[PAGE, method("PUT")]).await;
        assert_eq!(
            (status, fields),
            (204, format!("{vary}{allowed}access-control-max-age: 600\n"))
        );
        let asked = headers("x-mill,Content-Type");
        let (status, fields) = ask(rules(), "OPTIONS", &[PAGE, method("PUT"), asked]).await;
        let names = "access-control-allow-headers: x-mill,Content-Type\n";
        assert_eq!(
            (status, fields),
            (
                204,
                format!("{vary}{allowed}{names}access-control-max-age: 600\n")
            )
        );
        for fields in [
            &[OTHER, method("PUT")][..],
            &[PAGE, method("DELETE")],
            &[PAGE, method("put")], // methods have a case
            &[PAGE, method("PUT"), headers("x-mill, x-other")],
            &[method("PUT")],
        ] {
            assert_eq!(
                ask(rules(), "OPTIONS", fields).await,
                (204, vary.to_owned()),
                "{fields:?}"
            );
        }
        // A plain OPTIONS is the handler's.
        assert_eq!(ask(cors().around(hello), "OPTIONS", &[PAGE]).await.0, 200);
        let mirrored = Cors::any().any_header().around(hello);
        let (_, fields) = ask(
            mirrored,
            "OPTIONS",
            &[OTHER, method("GET"), headers("authorization")],
        )
        .await;
        assert!(
            fields.contains("access-control-allow-headers: authorization\n"),
            "{fields}"
        );
        assert!(
            fields.contains("access-control-allow-origin: *\n"),
            "{fields}"
        );
    });
}

#[test]
#[should_panic(expected = "credentials for any origin")]
fn credentials_for_any_origin_are_refused() {
    drop(Cors::any().credentials());
}

#[test]
#[should_panic(expected = "\"https://app.example.org/\" is no origin")]
fn an_origin_with_a_path_is_refused() {
    drop(Cors::of(["https://app.example.org/"]));
}

#[test]
fn requests_that_another_site_causes_are_refused() {
    let site = |value| ("sec-fetch-site", value);
    run(async {
        // The Host of the client is `test`.
        for (method, fields, status) in [
            ("GET", &[site("cross-site"), OTHER][..], 200),
            ("HEAD", &[site("cross-site")], 200),
            ("OPTIONS", &[site("cross-site")], 200),
            ("POST", &[site("same-origin")], 200),
            ("POST", &[site("none")], 200),
            ("POST", &[site("same-site")], 403),
            ("POST", &[site("cross-site")], 403),
            ("POST", &[site("")], 403),
            ("POST", &[site("same-origin"), site("cross-site")], 403),
            ("POST", &[], 200),
            ("POST", &[("origin", "http://test")], 200),
            ("POST", &[("origin", "https://test")], 200),
            ("POST", &[("origin", "https://test:444")], 403),
            ("POST", &[OTHER], 403),
            ("POST", &[("origin", "null")], 403),
            ("POST", &[("origin", "")], 403),
            ("POST", &[("origin", "http://test"), OTHER], 403),
            ("PUT", &[site("cross-site")], 403),
            ("DELETE", &[OTHER], 403),
            ("BREW", &[OTHER], 403),
            (
                "POST",
                &[site("cross-site"), ("origin", "https://app.example.org")],
                403,
            ),
        ] {
            assert_eq!(
                ask(csrf(hello), method, fields).await.0,
                status,
                "{method} {fields:?}"
            );
        }
        // A proxy may add the port of the scheme to Host, or write it in capitals.
        for (host, origin, status) in [
            ("test:443", "https://test", 200),
            ("test:80", "http://test", 200),
            ("TEST", "https://test", 200),
            ("test:80", "https://test", 403),
            ("test:443", "http://test", 403),
            ("test:444", "https://test", 403),
            ("test", "https://test:444", 403),
            ("test:8443", "https://test:8443", 200),
            ("[::1]:443", "https://[::1]", 200),
            ("[::1]", "https://[::1", 403),
            ("test", "https://test.", 403),
            ("test", "https://atest", 403),
            ("test", "test", 403),
        ] {
            let mut client = TestClient::new(csrf(hello));
            let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\n");
            client.send(head + "content-length: 0\r\n\r\n").await;
            let seen = client.answer().await.status.as_u16();
            assert_eq!(seen, status, "{host} {origin}");
        }
        let rules = || Csrf::new().trust(["https://app.example.org"]).around(hello);
        assert_eq!(
            ask(rules(), "POST", &[site("cross-site"), PAGE]).await.0,
            200
        );
        assert_eq!(
            ask(rules(), "POST", &[site("cross-site"), OTHER]).await.0,
            403
        );
        let hooks = || {
            Csrf::new()
                .except(|request| request.headers().contains("x-signature"))
                .around(hello)
        };
        assert_eq!(
            ask(hooks(), "POST", &[OTHER, ("x-signature", "7")]).await.0,
            200
        );
        assert_eq!(ask(hooks(), "POST", &[OTHER]).await.0, 403);
    });
}

#[test]
fn a_page_of_http_changes_nothing_behind_tls() {
    // An attacker in the network can write such a page. Browsers of before 2023 send no Sec-Fetch-Site.
    for (is_tls, scheme, status) in [
        (true, "http", 403),
        (true, "https", 200),
        (false, "http", 200),
        (false, "https", 200), // a proxy in front has TLS
    ] {
        let server = if is_tls {
            TestServer::over_tls(Server::builder(), || csrf(hello))
        } else {
            TestServer::start_plain(Server::builder(), || csrf(hello))
        };
        let head = format!(
            "POST / HTTP/1.1\r\nhost: mill.example\r\norigin: {scheme}://mill.example\r\n\
             content-length: 0\r\nconnection: close\r\n\r\n"
        );
        let answer = server.exchange(&[head.as_bytes()]);
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{is_tls} {scheme}: {answer}");
    }
}

#[test]
fn a_page_of_another_site_opens_no_websocket() {
    // The handshake is a GET, and a browser sends it with cookies to any site.
    let handshake = [("upgrade", "websocket"), ("connection", "upgrade")];
    let with = |more: &[(&'static str, &'static str)]| [&handshake[..], more].concat();
    run(async {
        for (fields, status) in [
            (with(&[("sec-fetch-site", "cross-site")]), 403),
            (with(&[("sec-fetch-site", "same-site")]), 403),
            (with(&[("sec-fetch-site", "same-origin")]), 200),
            (with(&[OTHER]), 403),
            (with(&[("origin", "http://test")]), 200),
            (with(&[]), 200),
            (
                vec![("upgrade", "WebSocket"), ("connection", "Upgrade"), OTHER],
                403,
            ),
            (
                vec![("upgrade", "h2c"), ("connection", "upgrade"), OTHER],
                200,
            ),
        ] {
            let (seen, _) = ask(csrf(hello), "GET", &fields).await;
            assert_eq!(seen, status, "{fields:?}");
        }
        let trusting = Csrf::new().trust(["https://app.example.org"]).around(hello);
        let page = with(&[PAGE, ("sec-fetch-site", "cross-site")]);
        assert_eq!(ask(trusting, "GET", &page).await.0, 200);
    });
}

#[test]
fn the_pages_that_cors_and_csrf_both_name_may_change_something() {
    run(async {
        let site = || {
            let site = Csrf::new().trust([PAGE.1]).around(hello);
            cors().methods([Method::PUT]).around(site)
        };
        let asked = ("access-control-request-method", "PUT");
        let cross = ("sec-fetch-site", "cross-site");
        let (status, fields) = ask(site(), "OPTIONS", &[PAGE, cross, asked]).await;
        assert_eq!(status, 204);
        assert!(
            fields.contains("access-control-allow-methods: PUT"),
            "{fields}"
        );
        assert_eq!(ask(site(), "PUT", &[PAGE, cross]).await.0, 200);
        // Only Cors allows this one. The page can read the refusal.
        let other = ("origin", "http://localhost:3000");
        let (status, fields) = ask(site(), "PUT", &[other, cross]).await;
        assert_eq!(status, 403);
        assert!(
            fields.contains("access-control-allow-origin: http://localhost:3000"),
            "{fields}"
        );
    });
}

#[test]
fn careful_fields_are_on_each_answer_and_a_handler_replaces_them() {
    run(async {
        let defaults = "x-content-type-options: nosniff\nreferrer-policy: strict-origin-when-cross-origin\n\
            x-frame-options: SAMEORIGIN\ncross-origin-opener-policy: same-origin\ncross-origin-resource-policy: same-origin\n";
        let careful = SecurityHeaders::new;
        assert_eq!(
            ask(careful().around(hello), "GET", &[]).await,
            (200, defaults.to_owned())
        );
        let refused = async |_: Request<'_>| -> Result<Responded> {
            Err(ClientError::new(StatusCode::NOT_FOUND, "no such mill").into())
        };
        let (status, fields) = ask(careful().around(refused), "GET", &[]).await;
        assert_eq!(status, 404);
        assert!(fields.starts_with(defaults), "{fields}");
        let own = careful()
            .without("X-Frame-Options")
            .set("referrer-policy", "no-referrer")
            .set("content-security-policy", "default-src 'self'")
            .hsts(Duration::from_secs(60));
        let (_, fields) = ask(own.around(hello), "GET", &[]).await;
        assert!(
            !fields.contains("x-frame") && fields.matches("referrer-policy").count() == 1,
            "{fields}"
        );
        assert!(
            fields.contains("referrer-policy: no-referrer\n"),
            "{fields}"
        );
        assert!(
            fields.contains("strict-transport-security: max-age=60\n"),
            "{fields}"
        );
        let replacing = async |request: Request<'_>| {
            request.replace_header("X-FRAME-OPTIONS", "DENY")?;
            request.replace_header("x-new", "1")?;
            request.respond(StatusCode::OK, "", ()).await
        };
        let (_, fields) = ask(careful().around(replacing), "GET", &[]).await;
        assert_eq!(
            fields.to_lowercase().matches("x-frame-options").count(),
            1,
            "{fields}"
        );
        assert!(
            fields.to_lowercase().contains("x-frame-options: deny\n")
                && fields.contains("x-new: 1"),
            "{fields}"
        );
        assert!(
            fields.contains("x-content-type-options: nosniff\n"),
            "{fields}"
        );
    });
}

#[test]
fn a_field_of_the_handlers_answer_takes_the_place_of_a_careful_one() {
    // Two values of X-Frame-Options are undefined (RFC 7034, 2.3.2), two of Access-Control-Allow-Origin allow no page.
    run(async {
        let own = async |request: Request<'_>| {
            let fields = [
                ("X-Frame-Options", "DENY"),
                ("access-control-allow-origin", "*"),
                ("vary", "accept"),
            ];
            request.respond(StatusCode::OK, "", fields).await
        };
        let site = cors().around(SecurityHeaders::new().around(own));
        let (_, fields) = ask(site, "GET", &[PAGE]).await;
        assert!(!fields.contains("SAMEORIGIN"), "{fields}");
        for (name, count) in [
            ("x-frame-options", 1),
            ("access-control-allow-origin", 1),
            ("vary", 2),
            ("nosniff", 1),
        ] {
            let seen = fields.to_lowercase().matches(name).count();
            assert_eq!(seen, count, "{name}: {fields}");
        }
        // The inner one of two, too.
        let inner = SecurityHeaders::new()
            .set("x-frame-options", "DENY")
            .around(hello);
        let (_, fields) = ask(SecurityHeaders::new().around(inner), "GET", &[]).await;
        assert_eq!(fields.matches("x-frame-options").count(), 1, "{fields}");
        assert!(fields.contains("x-frame-options: DENY"), "{fields}");
    });
}

/// The answers to as many requests with this key.
async fn statuses(client: &mut TestClient, key: &str, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        let answer = client
            .request(&Method::GET, "/", &[("x-key", key)], b"")
            .await;
        statuses.push(answer.status.as_u16());
    }
    statuses
}

fn limit(count: u32, seconds: u64) -> RateLimit<String> {
    RateLimit::new(count, Duration::from_secs(seconds))
        .by(|request| request.headers().get("x-key").map(str::to_owned))
}

#[test]
fn each_client_has_an_allowance_that_comes_back_evenly() {
    run(async {
        pause();
        let mut client = TestClient::new(limit(3, 30).around(hello));
        assert_eq!(
            statuses(&mut client, "a", 5).await,
            [200, 200, 200, 429, 429]
        );
        assert_eq!(statuses(&mut client, "b", 1).await, [200]);
        sleep(Duration::from_millis(9_900)).await;
        assert_eq!(statuses(&mut client, "a", 1).await, [429]);
        sleep(Duration::from_millis(200)).await;
        assert_eq!(statuses(&mut client, "a", 2).await, [200, 429]);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(statuses(&mut client, "a", 4).await, [200, 200, 200, 429]);
        // Refused requests cost nothing, so a client that keeps asking is let in again.
        for _ in 0..100 {
            sleep(Duration::from_millis(100)).await;
            drop(
                client
                    .request(&Method::GET, "/", &[("x-key", "a")], b"")
                    .await,
            );
        }
        sleep(Duration::from_secs(10)).await;
        assert_eq!(statuses(&mut client, "a", 1).await, [200]);
        let unknown = client.get("/").await;
        assert_eq!(unknown.status, StatusCode::OK);
    });
}

#[test]
fn a_refused_client_learns_when_to_come_back() {
    run(async {
        pause();
        let mut client = TestClient::new(limit(2, 60).report().around(hello));
        let mut ask = async || {
            client
                .request(&Method::GET, "/", &[("x-key", "a")], b"")
                .await
        };
        let first = fields_of(&ask().await);
        assert_eq!(
            first,
            "ratelimit-policy: \"default\";q=2;w=60\nratelimit: \"default\";r=1;t=30\n"
        );
        ask().await;
        sleep(Duration::from_millis(500)).await;
        let refused = ask().await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        let waits: Vec<_> = refused.headers.get_all("retry-after").iter().collect();
        assert_eq!(waits, ["30"]);
        assert_eq!(refused.headers["ratelimit"], "\"default\";r=0;t=60");
        sleep(Duration::from_secs(30)).await;
        assert_eq!(ask().await.status, StatusCode::OK);
    });
}

#[test]
fn extreme_rates_and_times_limit_without_a_panic() {
    run(async {
        pause();
        for (count, per, statuses) in [
            (1, Duration::MAX, [200, 429, 429]),
            (1, Duration::from_nanos(1), [200, 429, 429]),
            (2, Duration::MAX, [200, 200, 429]),
            (u32::MAX, Duration::from_nanos(1), [200, 200, 200]),
            (u32::MAX, Duration::MAX, [200, 200, 200]),
            (u32::MAX, Duration::from_secs(1), [200, 200, 200]),
        ] {
            let limit = RateLimit::new(count, per).by(|_| Some(())).report();
            let mut client = TestClient::new(limit.around(hello));
            for status in statuses {
                let answer = client.get("/").await;
                assert_eq!(answer.status.as_u16(), status, "{count} in {per:?}");
                let wait = answer.headers.get("retry-after");
                let wait = wait.map(|wait| wait.to_str().unwrap().parse::<u64>().unwrap());
                assert_eq!(wait.is_some(), status == 429);
                assert!(wait.is_none_or(|wait| wait >= 1), "{wait:?}");
            }
        }
    });
}

#[test]
fn the_keys_in_memory_are_limited_and_the_latest_are_kept() {
    run(async {
        pause();
        let mut client = TestClient::new(limit(1, 3600).keys_max(10).around(hello));
        assert_eq!(statuses(&mut client, "a", 2).await, [200, 429]);
        for key in 0..4 {
            assert_eq!(statuses(&mut client, &key.to_string(), 1).await, [200]);
        }
        assert_eq!(statuses(&mut client, "a", 1).await, [429]);
        for key in 100..120 {
            assert_eq!(statuses(&mut client, &key.to_string(), 1).await, [200]);
        }
        assert_eq!(statuses(&mut client, "a", 1).await, [200], "forgotten");
        assert_eq!(statuses(&mut client, "119", 1).await, [429]);
    });
}

#[test]
fn a_client_of_ipv6_is_its_network() {
    run(async {
        pause();
        let limit = RateLimit::new(1, Duration::from_secs(60)).around(hello);
        let by_header = async move |request: Request<'_>| {
            let address = request
                .headers()
                .get("x-address")
                .and_then(|text| text.parse().ok());
            request.set_client_address(address.unwrap());
            limit.call(request).await
        };
        let server = Server::builder().without_listener();
        let mut client = TestClient::of(&server, by_header);
        for (address, status) in [
            ("192.0.2.1", 200),
            ("192.0.2.2", 200),
            ("192.0.2.1", 429),
            ("::ffff:192.0.2.1", 429),
            ("2001:db8::1", 200),
            ("2001:db8::ffff:2", 429),
            ("2001:db8:0:1::1", 200),
        ] {
            let answer = client
                .request(&Method::GET, "/", &[("x-address", address)], b"")
                .await;
            assert_eq!(answer.status.as_u16(), status, "{address}");
        }
    });
}

#[test]
fn a_client_in_memory_has_the_address_that_it_is_given() {
    run(async {
        let server = Server::builder().without_listener();
        let show = async |request: Request<'_>| {
            let address = request.peer_address().map(|address| address.to_string());
            let text = address.unwrap_or_else(|| "none".to_owned());
            request.respond(StatusCode::OK, text, ()).await
        };
        let address = "[2001:db8::7]:1000".parse().unwrap();
        let mut client = TestClient::from_peer(&server, address, show);
        assert_eq!(client.get("/").await.text(), "[2001:db8::7]:1000");
        assert_eq!(TestClient::of(&server, show).get("/").await.text(), "none");
    });
}
