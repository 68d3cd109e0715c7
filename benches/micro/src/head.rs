//! Heads: read, parsed and judged, up to the request that a handler is given.

use futures_lite::future::poll_once;
use gungraun::{library_benchmark, library_benchmark_group};
use waterwheel::runtime::yield_now;

use crate::{counted, wire, world};

/// A page's first request, as a browser sends it.
const BROWSER: &str = "GET /articles/2026/11/the-mill?from=front&page=2 HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.org/articles/2026/11/\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=5f2b9c0e7a41d86350cf19e2; theme=dark; consent=1%2C0%2C1; seen=4711\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\r\n";

const UPLOAD: &str = "POST /upload HTTP/1.1\r\nHost: example.org\r\n\
    Content-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n";

/// So many requests come in one piece.
const PIPELINED: usize = 16;

#[library_benchmark]
#[bench::minimal(wire::GET)]
#[bench::browser(BROWSER)]
#[bench::post(UPLOAD)]
fn head(bytes: &str) {
    world::runtime().block_on(async {
        let (mut client, mut connection) = wire::pulled(bytes).await;
        client.send(bytes).await;
        counted::future(wire::next(&mut connection)).await;
    });
}

/// As many fields and more, another host: nothing is told by what it was.
fn another(bytes: &str) -> String {
    bytes.replace("\r\nHost: ", "\r\nX-Other: 1\r\nHost: other.")
}

// Another head than those before: all of it is judged.
#[library_benchmark]
#[bench::minimal(wire::GET)]
#[bench::browser(BROWSER)]
#[bench::post(UPLOAD)]
fn head_unlike_the_last(bytes: &str) {
    world::runtime().block_on(async {
        let (mut client, mut connection) = wire::pulled(&another(bytes)).await;
        client.send(bytes).await;
        counted::future(wire::next(&mut connection)).await;
    });
}

// The same in two pieces, parted within a value.
#[library_benchmark]
#[bench::browser(BROWSER)]
fn head_unlike_the_last_in_two_pieces(bytes: &str) {
    world::runtime().block_on(async {
        let (mut client, mut connection) = wire::pulled(&another(bytes)).await;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        client.send(first).await;
        assert!(
            counted::future(poll_once(wire::next(&mut connection)))
                .await
                .is_none()
        );
        client.send(second).await;
        counted::future(wire::next(&mut connection)).await;
    });
}

// Each byte is read by itself.
#[library_benchmark]
#[bench::minimal(wire::GET)]
#[bench::browser(BROWSER)]
fn head_byte_by_byte(bytes: &str) {
    world::runtime().block_on(async {
        let (mut client, mut connection) = wire::pulled(bytes).await;
        for byte in bytes.as_bytes() {
            client.send([*byte]).await;
            yield_now().await; // else this task has nothing left to spend
        }
        counted::future(wire::next(&mut connection)).await;
    });
}

/// Other fields in each, of other lengths.
fn different(number: usize) -> String {
    let letters = "abcdefghijklmnopqrst";
    let field = |field: usize| {
        let word = &letters[..=(number * 5 + field * 7) % letters.len()];
        let value = word.repeat(1 + (number + field) % 4);
        format!("X-{word}-{number}: {field} {value}\r\n")
    };
    let fields: String = (0..12).map(field).collect();
    format!("GET /{number} HTTP/1.1\r\nHost: {number}.example.org\r\n{fields}\r\n")
}

// 16 in one piece; what is done between two of them is not counted.
#[library_benchmark]
#[bench::minimal(|_| wire::GET.to_owned())]
#[bench::same_fields(|_| BROWSER.to_owned())]
#[bench::different_fields(different)]
fn heads_pipelined(head: fn(usize) -> String) {
    let heads: Vec<String> = (0..PIPELINED).map(head).collect();
    world::runtime().block_on(async {
        let (mut client, mut connection) = wire::pulled(&heads[0]).await;
        client.send(heads.concat()).await;
        for _ in &heads {
            let request = counted::future(wire::next(&mut connection)).await;
            wire::respond(request, b"").await;
        }
    });
}

library_benchmark_group!(
    name = heads,
    benchmarks = [
        head,
        head_unlike_the_last,
        head_unlike_the_last_in_two_pieces,
        head_byte_by_byte,
        heads_pipelined
    ]
);
