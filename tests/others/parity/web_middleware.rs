//! Middleware around handlers, pages, and the Book's pool (R-50, R-53, M-11, M-12, B-05, B-06, B-08).

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use waterwheel::http::testing::TestClient;
use waterwheel::http::web::middleware::{
    End, OwnedRequest, REQUEST_ID, access_log, at_most, blocking, request_ids, time_limit,
};
use waterwheel::http::web::session::{ClientSession, MemoryStore, Sessions};
use waterwheel::http::web::templates::{Reload, Templates, Value, context};
use waterwheel::http::{ClientError, Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::time::{pause, sleep};
use waterwheel::runtime::{ThreadPool, block_on, join, spawn};

fn templates(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("parity")
        .join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

/// Answers, fails, panics or waits, depending on the path.
async fn any_end(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/error" => Err(ClientError::new(StatusCode::CONFLICT, "not\nnow"))?,
        "/panic" => panic!("on purpose"),
        "/abort" => Ok(request.abort()),
        "/slow" => {
            sleep(Duration::from_secs(60)).await;
            request.respond(StatusCode::OK, "", ()).await
        }
        "/stream" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("seven").await?;
            body.write("!!").await?;
            body.finish().await
        }
        _ => request.respond(StatusCode::OK, "four", ()).await,
    }
}

#[test]
fn r_50_a_session_has_its_cookie_once_and_a_long_random_id() {
    let handler = async |request: Request<'_>| {
        let session = ClientSession::of(&request)?;
        let visits: u32 = session.get("visits")?.unwrap_or(0) + 1;
        session.insert("visits", visits)?;
        request
            .respond(StatusCode::OK, visits.to_string(), ())
            .await
    };
    block_on(async {
        let sessions = Sessions::in_store(MemoryStore::new(10)).name("SID");
        let sessions = sessions.timeout(Duration::from_secs(3600));
        let mut client = TestClient::new(sessions.around(handler));
        let first = client.get("/").await;
        let field = first.headers["set-cookie"].to_str().unwrap();
        let id = field.strip_prefix("SID=").unwrap();
        let id = id.strip_suffix("; HttpOnly; SameSite=Lax; Path=/").unwrap();
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let fields = [("cookie", format!("SID={id}"))];
        let fields = fields
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let second = client.request(&Method::GET, "/", &fields, b"").await;
        assert_eq!(
            (second.text().as_str(), second.headers.get("set-cookie")),
            ("2", None)
        );
        let stranger = client.get("/").await;
        assert_eq!(stranger.text(), "1");
        assert!(
            !stranger.headers["set-cookie"]
                .to_str()
                .unwrap()
                .contains(id)
        );
    });
}

#[test]
fn r_53_each_request_is_one_line_of_the_log() {
    let lines = Rc::new(RefCell::new(Vec::new()));
    let kept = lines.clone();
    block_on(async move {
        pause();
        let limited = time_limit(Duration::from_secs(2), any_end);
        let logged = access_log(limited, move |entry| {
            assert!(entry.id.as_ref().is_some_and(|id| id.len() == 32));
            let seconds = entry.duration.as_secs();
            kept.borrow_mut()
                .push((entry.target.unwrap().to_owned(), entry.end.clone(), seconds));
            assert_eq!(entry.combined().to_string().lines().count(), 1);
            assert_eq!(entry.json().to_string().lines().count(), 1);
        });
        let handler = waterwheel::http::shared(request_ids(logged));
        let server = Server::builder().without_listener();
        for (target, status) in [
            ("/", 200),
            ("/error", 409),
            ("/panic", 500),
            ("/slow", 503),
            ("/stream", 200),
        ] {
            let answer = TestClient::of(&server, handler.clone()).get(target).await;
            assert_eq!(answer.status.as_u16(), status, "{target}");
            assert_eq!(answer.headers[REQUEST_ID].len(), 32, "{target}");
        }
        let mut client = TestClient::of(&server, handler.clone());
        client.send("GET /abort HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client.closed().await;
        // The line is logged when the handler is dropped. The server has a shorter limit here.
        let limits = waterwheel::http::Limits::DEFAULT
            .with(|limits| limits.handler_duration_max = Some(Duration::from_secs(1)));
        let hasty = Server::builder().limits(limits).without_listener();
        let answer = TestClient::of(&hasty, handler).get("/slow").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    });
    let failed = |status, text: &str| End::Failed(status, text.to_owned());
    let expected = [
        ("/", End::Answered(StatusCode::OK, 4), 0),
        ("/error", failed(StatusCode::CONFLICT, "not\nnow"), 0),
        ("/panic", End::Panicked, 0),
        (
            "/slow",
            failed(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long"),
            2,
        ),
        ("/stream", End::Answered(StatusCode::OK, 7), 0),
        ("/abort", End::Aborted, 0),
        ("/slow", End::Dropped, 1),
    ];
    let lines = lines.take();
    assert_eq!(lines.len(), expected.len());
    for ((target, end, seconds), expected) in lines.into_iter().zip(expected) {
        assert_eq!((target.as_str(), end, seconds), expected);
    }
}

#[test]
fn m_11_a_page_has_a_status_headers_and_escaped_variables() {
    let folder = templates(
        "pages",
        &[
            (
                "index.html",
                "<p>[{{ name }}] {{ count }}/{{ most }} {{ share }}</p>",
            ),
            ("wants.html", "{{ missing }}"),
        ],
    );
    let pages = Templates::new(folder).unwrap();
    let handler = async move |request: Request<'_>| {
        let vars = context! { name => "<script>", count => -3, most => 7_usize, share => 0.5_f32 };
        let page = &request.path()[1..];
        pages
            .respond(request, StatusCode::NOT_FOUND, page, vars)
            .await
    };
    block_on(async {
        let mut client = TestClient::new(handler);
        let answer = client.get("/index.html").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(
            answer.headers["content-length"],
            answer.body.len().to_string()
        );
        assert_eq!(answer.text(), "<p>[&lt;script&gt;] -3/7 0.5</p>");
        // A missing variable is an error, and is logged.
        assert_eq!(
            client.get("/wants.html").await.status,
            StatusCode::INTERNAL_SERVER_ERROR
        );
    });
}

#[test]
fn m_12_variables_are_typed_and_a_file_that_is_missing_or_not_text_is_an_error() {
    let vars = context! { i => -1_i32, u => 1_usize, f => 1.5_f32, s => String::from("x") };
    let expected = [
        ("i", Value::from(-1)),
        ("u", Value::from(1)),
        ("f", Value::from(1.5)),
        ("s", Value::from("x")),
    ];
    for (name, value) in expected {
        assert_eq!(vars.get_attr(name).unwrap(), value);
    }
    let folder = templates("loader", &[("page.html", "{{ i }}{{ u }}{{ f }}{{ s }}")]);
    let pages = Templates::new(&folder).unwrap().reload(Reload::OnChange);
    assert_eq!(pages.render("page.html", vars.clone()).unwrap(), "-111.5x");
    assert!(
        pages
            .render("missing.html", vars.clone())
            .unwrap_err()
            .is_not_found()
    );
    fs::write(folder.join("bytes.html"), b"\xff\xfe").unwrap();
    assert!(Templates::new(&folder).is_err());
    assert!(pages.render("page.html", vars).is_err());
    assert!(Templates::new(folder.join("none")).is_err());
}

#[test]
fn b_05_a_pool_runs_jobs_on_so_many_threads_and_zero_threads_panic() {
    let pool = ThreadPool::new(4);
    let (done, seen) = mpsc::channel();
    let together = Arc::new(Barrier::new(4));
    for _ in 0..4 {
        let (done, together) = (done.clone(), together.clone());
        pool.execute(move || {
            together.wait(); // all four, each on a thread of its own
            let name = std::thread::current().name().unwrap().to_owned();
            done.send(name).unwrap();
        });
    }
    let mut names: Vec<_> = seen.iter().take(4).collect();
    names.sort();
    let expected = [0, 1, 2, 3].map(|number| format!("ww-pool-{number}"));
    assert_eq!(names, expected);
    assert!(std::panic::catch_unwind(|| ThreadPool::new(0)).is_err());
    assert!(ThreadPool::build(0).is_err());
}

#[test]
fn b_06_a_fifth_job_waits_for_four_threads_and_a_thousand_requests_do_not_wait() {
    // In the Book's pool, the fifth job waits.
    let pool = ThreadPool::new(4);
    let (started, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(5)));
    for _ in 0..4 {
        let (started, go) = (started.clone(), go.clone());
        pool.execute(move || {
            started.fetch_add(1, Ordering::SeqCst);
            go.wait();
        });
    }
    let fifth = pool.spawn({
        let started = started.clone();
        move || started.load(Ordering::SeqCst)
    });
    go.wait();
    assert_eq!(
        block_on(fifth).unwrap(),
        4,
        "the fifth began after the four"
    );
    // Here, a wait holds no thread. A thousand waits of an hour take an hour together, by the paused clock.
    block_on(async {
        pause();
        let start = waterwheel::runtime::time::Instant::now();
        let handler = waterwheel::http::shared(async |request: Request<'_>| {
            sleep(Duration::from_secs(3600)).await;
            request.respond(StatusCode::OK, "", ()).await
        });
        let server = Rc::new(Server::builder().without_listener());
        let ask = || {
            let (server, handler) = (server.clone(), handler.clone());
            spawn(async move { TestClient::of(&server, handler).get("/sleep").await.status })
        };
        let tasks: Vec<_> = (0..1000).map(|_| ask()).collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), StatusCode::OK);
        }
        assert_eq!(start.elapsed().as_secs(), 3600);
    });
    // A limit can be set: two at once, and the third is refused with 503.
    block_on(async {
        pause();
        let few = waterwheel::http::shared(at_most(2, any_end));
        let server = Server::builder().without_listener();
        let client = || TestClient::of(&server, few.clone());
        let (mut one, mut two, mut three) = (client(), client(), client());
        let slow = join(one.get("/slow"), two.get("/slow"));
        let refused = async {
            sleep(Duration::from_secs(1)).await;
            three.get("/").await
        };
        let ((one, two), three) = join(slow, refused).await;
        assert_eq!(
            [one.status, two.status, three.status].map(|status| status.as_u16()),
            [200, 200, 503]
        );
        assert_eq!(client().get("/").await.status, StatusCode::OK);
    });
}

#[test]
fn b_08_the_pool_is_documented_tested_and_used_and_does_not_unwrap() {
    let source = include_str!("../../../runtime/src/thread_pool.rs");
    let (code, tests) = source.split_once("#[cfg(test)]").unwrap();
    assert!(code.starts_with("//! ") && code.contains("# Panics") && code.contains("# Errors"));
    let statements = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut statements =
        statements.filter(|line| line.contains("unwrap()") || line.contains("expect("));
    assert_eq!(statements.next(), None);
    assert!(code.contains("pub fn build(threads: usize) -> io::Result<Self>"));
    assert!(tests.matches("\n    fn ").count() >= 6);
    // The Book's further ideas: a thread for each request that blocks, an async wait without a thread, and
    // plain functions as handlers. A panic costs a request and no worker.
    let handler = blocking(|request: &OwnedRequest| match request.path() {
        "/panic" => panic!("on purpose"),
        "/error" => Err(ClientError::new(StatusCode::CONFLICT, "no")),
        path => Ok(format!(
            "{} {path} {:?} {}",
            request.method(),
            request.query(),
            request.body().len()
        )),
    });
    block_on(async {
        let handler = waterwheel::http::shared(handler);
        let server = Server::builder().without_listener();
        let client = || TestClient::of(&server, handler.clone());
        assert_eq!(
            client().post("/a?b", "four").await.text(),
            "POST /a Some(\"b\") 4"
        );
        assert_eq!(
            client().get("/panic").await.status,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        let error = client().get("/error").await;
        assert_eq!(
            (error.status, error.text().as_str()),
            (StatusCode::CONFLICT, "no\n")
        );
        assert_eq!(client().get("/a").await.text(), "GET /a None 0");
    });
}
