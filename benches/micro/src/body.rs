//! Bodies, read whole; they have come together with their heads.

use gungraun::{library_benchmark, library_benchmark_group};

use crate::{counted, wire, world};

const BODY_BYTES: usize = 4096;

/// The head, and behind it the body in chunks.
fn chunked(chunk_bytes: usize) -> String {
    let chunk = format!("{chunk_bytes:x}\r\n{}\r\n", "x".repeat(chunk_bytes));
    let chunks = chunk.repeat(BODY_BYTES / chunk_bytes);
    format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

fn with_length() -> String {
    let body = "x".repeat(BODY_BYTES);
    format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES}\r\n\r\n{body}")
}

#[library_benchmark]
#[bench::with_length(with_length())]
#[bench::one_chunk(chunked(BODY_BYTES))]
#[bench::chunks_of_16(chunked(16))]
fn body(bytes: String) {
    world::runtime().block_on(async {
        let (mut client, mut connection) = wire::pulled(wire::GET).await;
        client.send(bytes).await;
        let request = wire::next(&mut connection).await;
        let body = counted::future(request.bytes()).await;
        assert_eq!(body.expect("it is whole").len(), BODY_BYTES);
    });
}

library_benchmark_group!(name = bodies, benchmarks = [body]);
