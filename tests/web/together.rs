//! The parts of a site together: a router with files, pages and plain functions, and a log around it.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use waterwheel::http::testing::TestClient;
use waterwheel::http::web::files::Files;
use waterwheel::http::web::middleware::{
    OwnedRequest, REQUEST_ID, access_log, blocking, request_ids,
};
use waterwheel::http::web::response::{Html, Json};
use waterwheel::http::web::routes::Router;
use waterwheel::http::web::templates::{Templates, context};
use waterwheel::http::{Handler, Request, Responded, Result, StatusCode};
use waterwheel::runtime::block_on;

fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("together")
        .join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

fn site() -> Router {
    let files = Files::new(folder("static", &[("site.css", "a {}")]))
        .unwrap()
        .below("/static");
    let pages = folder(
        "pages",
        &[
            ("hello.html", "<p>{{ name }}"),
            ("404.html", "<p>no {{ path }}"),
        ],
    );
    let pages = Rc::new(Templates::new(pages).unwrap());
    let (hello, missing) = (pages.clone(), pages);
    Router::new()
        .any("/static/{*path}", files)
        .get(
            "/hello/{name}",
            async move |_: &Request<'_>, name: String| {
                hello.render("hello.html", context! { name }).map(Html)
            },
        )
        .any(
            "/sum",
            blocking(|request: &OwnedRequest| {
                let sum: u64 = request.body().iter().copied().map(u64::from).sum();
                Json(sum)
            }),
        )
        .get("/panic", async |_: Request<'_>| -> Result<Responded> {
            panic!("on purpose")
        })
        .not_found(async move |request: Request<'_>| {
            let vars = context! { path => request.path() };
            missing
                .respond(request, StatusCode::NOT_FOUND, "404.html", vars)
                .await
        })
}

/// Returns the site with all middleware, and the lines of its log.
fn logged() -> (impl Handler, Rc<RefCell<Vec<String>>>) {
    let lines = Rc::new(RefCell::new(Vec::new()));
    let kept = lines.clone();
    let logged = access_log(site(), move |entry| {
        let status = entry.end.status().map(|status| status.as_u16());
        kept.borrow_mut().push(format!(
            "{} {} {status:?}",
            entry.method.unwrap(),
            entry.target.unwrap()
        ));
    });
    (request_ids(logged), lines)
}

#[test]
fn the_parts_of_a_site_work_together() {
    let (handler, lines) = logged();
    block_on(async {
        let mut client = TestClient::new(handler);
        for (target, status, body) in [
            ("/static/site.css", 200, "a {}"),
            ("/static/../secret", 404, "not found\n"),
            ("/hello/%3Cb%3E", 200, "<p>&lt;b&gt;"),
            ("/elsewhere", 404, "<p>no &#x2f;elsewhere"),
            ("/panic", 500, "internal server error\n"),
        ] {
            let answer = client.get(target).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text().as_str()),
                (status, body),
                "{target}"
            );
            assert_eq!(answer.headers[REQUEST_ID].len(), 32);
        }
        let mut client = TestClient::new(site());
        assert_eq!(client.post("/sum", "\u{1}\u{2}").await.text(), "3");
    });
    let expected = [
        "GET /static/site.css Some(200)",
        "GET /static/../secret Some(404)",
        "GET /hello/%3Cb%3E Some(200)",
        "GET /elsewhere Some(404)",
        "GET /panic Some(500)",
    ];
    assert_eq!(*lines.borrow(), expected);
}
