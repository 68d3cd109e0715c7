//! Answers, rendered into the connection's buffer.

use gungraun::{library_benchmark, library_benchmark_group};
use waterwheel::http::{Request, Responded, Result, StatusCode};

use crate::{counted, wire, world};

const ONE: &[(&str, &str)] = &[("content-type", "text/plain")];

const EIGHT: &[(&str, &str)] = &[
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "public, max-age=3600"),
    ("etag", "\"5f2b9c0e7a41d863\""),
    ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("vary", "accept-encoding"),
    (
        "set-cookie",
        "session=5f2b9c0e7a41d86350cf19e2; HttpOnly; Secure; SameSite=Lax",
    ),
    ("x-content-type-options", "nosniff"),
    (
        "content-security-policy",
        "default-src 'self'; img-src 'self' data:",
    ),
];

/// One request and its answer, counted.
fn answered(answer: impl AsyncFnOnce(Request<'_>) -> Result<Responded>) {
    world::runtime().block_on(async {
        let (mut client, mut connection) = wire::pulled(wire::GET).await;
        client.send(wire::GET).await;
        let request = wire::next(&mut connection).await;
        let responded = counted::future(answer(request)).await;
        drop(responded.expect("the client is there"));
    });
}

#[library_benchmark]
#[bench::one_field(ONE)]
#[bench::eight_fields(EIGHT)]
fn answer(fields: &'static [(&str, &str)]) {
    answered(async |request| {
        request
            .respond(StatusCode::OK, "Hello, World!", fields)
            .await
    });
}

// Four pieces, in chunks.
#[library_benchmark]
fn answer_in_pieces() {
    answered(async |request| {
        let mut answer = request.start(StatusCode::OK, ONE).await?;
        for _ in 0..4 {
            answer.write("Hello, World!").await?;
        }
        answer.finish().await
    });
}

library_benchmark_group!(name = answers, benchmarks = [answer, answer_in_pieces]);
