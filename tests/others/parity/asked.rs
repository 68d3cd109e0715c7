//! Tools for the rows about the web parts: requests in memory, and their view from within a handler.

use std::cell::RefCell;
use std::rc::Rc;

use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::{Error, Handler, Request, Result, StatusCode};
use waterwheel::runtime::block_on;

/// Returns the answers to these requests. Each request is a method and a target.
pub(crate) fn ask(handler: impl Handler, requests: &[(&str, &str)]) -> Vec<Answer> {
    block_on(async {
        let mut client = TestClient::new(handler);
        let mut answers = Vec::new();
        for (method, target) in requests {
            let method = method.parse().unwrap();
            answers.push(client.request(&method, target, &[], b"").await);
        }
        answers
    })
}

/// Returns the answer to a GET with these fields.
pub(crate) fn get(handler: impl Handler, target: &str, fields: &[(&str, &str)]) -> Answer {
    let method = "GET".parse().unwrap();
    block_on(async {
        TestClient::new(handler)
            .request(&method, target, fields, b"")
            .await
    })
}

/// Calls `look` with a GET, in its handler.
pub(crate) fn look<T: 'static>(
    (method, target, fields, body): (&str, &str, &[(&str, &str)], &[u8]),
    look: impl AsyncFn(&Request<'_>) -> T + 'static,
) -> T {
    let seen = Rc::new(RefCell::new(None));
    let inside = seen.clone();
    let handler = async move |request: Request<'_>| {
        let value = look(&request).await;
        inside.replace(Some(value));
        request.respond(StatusCode::OK, "", ()).await
    };
    let method = method.parse().unwrap();
    block_on(async {
        TestClient::new(handler)
            .request(&method, target, fields, body)
            .await
    });
    seen.take().unwrap()
}

/// Calls `look` with a POST of that media type, in its handler.
pub(crate) fn look_into<T: 'static>(
    media: &str,
    body: &str,
    inside: impl AsyncFn(&Request<'_>) -> T + 'static,
) -> T {
    look(
        ("POST", "/", &[("content-type", media)], body.as_bytes()),
        inside,
    )
}

/// Returns the status and the text of an error.
#[track_caller]
pub(crate) fn blame<T>(result: Result<T>) -> (u16, String) {
    let error: Error = result.err().expect("an error");
    (error.status().as_u16(), error.to_string())
}
