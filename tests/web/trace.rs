//! Spans of requests: `traceparent`, the ends, and that no other request is inside.

use std::cell::RefCell;
use std::future::Ready;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use waterwheel::http::testing::TestClient;
use waterwheel::http::web::middleware::time_limit;
use waterwheel::http::web::trace::{TraceContext, traces};
use waterwheel::http::{ClientError, Request, Responded, Result, StatusCode, shared};
use waterwheel::runtime::time::{pause, sleep};
use waterwheel::runtime::{block_on, join};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines of the subscriber: events, and the ends of spans.
fn traced(work: impl Future<Output = ()>) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        .finish();
    tracing::subscriber::with_default(subscriber, || block_on(work));
    String::from_utf8(std::mem::take(&mut lines.0.lock().unwrap())).unwrap()
}

async fn app(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/error" => Err(ClientError::new(StatusCode::CONFLICT, "not now"))?,
        "/fault" => Err(io::Error::other("no grain"))?,
        "/panic" => panic!("on purpose"),
        "/abort" => return Ok(request.abort()),
        "/slow" => {
            tracing::info!("slow begins");
            sleep(Duration::from_secs(5)).await;
            tracing::info!("slow ends");
        }
        "/fast" => {
            sleep(Duration::from_secs(2)).await;
            tracing::info!("fast");
        }
        _ => {}
    }
    request.respond(StatusCode::OK, "", ()).await
}

#[test]
fn each_end_of_a_request_is_in_its_span() {
    let rows = [
        ("/", "http.response.status_code=200", ""),
        ("/error", "http.response.status_code=409", ""),
        (
            "/fault",
            "http.response.status_code=500",
            "error.type=\"500\"",
        ),
        (
            "/panic",
            "http.response.status_code=500",
            "error.type=\"panic\"",
        ),
        ("/abort", "", "error.type=\"aborted\""),
        ("/slow", "", "error.type=\"dropped\""),
    ];
    for (path, status, error) in rows {
        let seen = traced(async {
            pause();
            // The limit is around the span, so the span's handler is dropped.
            let mut client = TestClient::new(time_limit(Duration::from_secs(1), traces(app)));
            client
                .send(format!(
                    "GET {path}?secret=1 HTTP/1.1\r\nhost: mill\r\nconnection: close\r\n\r\n"
                ))
                .await;
            client.read_to_end().await;
        });
        let closed: Vec<_> = seen.lines().filter(|line| line.contains("close")).collect();
        let [line] = closed[..] else {
            panic!("{path}: {seen}");
        };
        let path_field = format!("http.request.method=GET url.path=\"{path}\"");
        for part in [&path_field, status, error, "server.address=\"mill\""] {
            assert!(line.contains(part), "{path}: no {part} in {line}");
        }
        assert!(!line.contains("secret"), "{line}");
        assert!(!error.is_empty() || !line.contains("error.type"), "{line}");
    }
}

#[test]
fn the_call_of_a_handler_is_in_the_span_and_not_only_its_future() {
    /// A handler that fails before it has made its future.
    fn falls(_: Request<'_>) -> Ready<Result<Responded>> {
        tracing::info!("called");
        panic!("on purpose")
    }
    let seen = traced(async {
        TestClient::new(traces(falls)).get("/mill").await;
    });
    let line = |text: &str| seen.lines().find(|line| line.contains(text)).unwrap();
    assert!(line("called").contains("url.path=\"/mill\""), "{seen}");
    assert!(line("close").contains("error.type=\"panic\""), "{seen}");
}

#[test]
fn an_event_is_in_the_span_of_its_own_request() {
    let seen = traced(async {
        pause();
        let handler = shared(traces(app));
        let (mut one, mut other) = (TestClient::new(handler.clone()), TestClient::new(handler));
        join(join(one.get("/slow"), other.get("/fast")), async {
            sleep(Duration::from_secs(1)).await;
            tracing::info!("outside");
        })
        .await;
    });
    let line = |text: &str| seen.lines().find(|line| line.ends_with(text)).unwrap();
    assert!(line("slow begins").contains("url.path=\"/slow\""), "{seen}");
    assert!(line("slow ends").contains("url.path=\"/slow\""), "{seen}");
    assert!(line(": fast").contains("url.path=\"/fast\""), "{seen}");
    assert!(
        !line(": fast").contains("/slow") && !line("outside").contains("url.path"),
        "{seen}"
    );
}

#[test]
fn a_traceparent_is_read_strictly() {
    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let good: &[(&str, bool)] = &[
        (GOOD, true),
        (
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            false,
        ),
        (
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
            true,
        ),
        (
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            true,
        ),
    ];
    for (field, is_sampled) in good {
        let context = context_for(&format!(
            "traceparent: {field}\r\ntracestate: a=1\r\ntracestate: b=2\r\n"
        ));
        assert_eq!(
            context.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            "{field}"
        );
        assert_eq!(context.parent_id, Some(0xb7ad_6b71_6920_3331));
        assert_eq!(
            (context.is_sampled, context.state.as_deref()),
            (*is_sampled, Some("a=1,b=2"))
        );
        let flag = if *is_sampled { "01" } else { "00" };
        let sent = format!(
            "00-0af7651916cd43dd8448eb211c80319c-{:016x}-{flag}",
            context.span_id
        );
        assert_eq!(context.to_string(), sent);
    }
    let bad = [
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", // lower case only
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-1-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01, x",
    ];
    for field in bad.map(|field| format!("traceparent: {field}\r\n")) {
        let context = context_for(&format!("{field}tracestate: a=1\r\n"));
        assert_eq!(
            (context.parent_id, &context.state),
            (None, &None),
            "{field}"
        );
        assert!(context.trace_id != 0 && context.span_id != 0);
    }
    let twice = context_for(&format!("traceparent: {GOOD}\r\n").repeat(2));
    assert_eq!(twice.parent_id, None);
    let long = context_for(&format!(
        "traceparent: {GOOD}\r\ntracestate: {}\r\n",
        "a".repeat(513)
    ));
    assert_eq!((long.parent_id.is_some(), long.state), (true, None));
}

/// Returns the context of a request with these fields.
fn context_for(fields: &str) -> TraceContext {
    let seen = std::rc::Rc::new(RefCell::new(None));
    let kept = seen.clone();
    let handler = traces(async move |request: Request<'_>| {
        *kept.borrow_mut() = request.extensions().get::<TraceContext>();
        request.respond(StatusCode::OK, "", ()).await
    });
    block_on(async {
        let mut client = TestClient::new(handler);
        client
            .send(format!("GET / HTTP/1.1\r\nhost: x\r\n{fields}\r\n"))
            .await;
        client.answer().await;
    });
    let context = seen.take().unwrap();
    (*context).clone()
}
