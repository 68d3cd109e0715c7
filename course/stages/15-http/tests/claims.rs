//! The claims of stage 15.

use std::io::{Read, Write};
use std::net::{self, Shutdown};
use std::thread;
use std::time::{Duration, Instant};

use claims::in_time;
use my_stage_15::http::{Limits, Refusal, Request, Response, parse_head, serve_one};
use my_stage_15::{TcpListener, block_on, sleep};

fn parse(text: &str) -> Result<Option<(Request, usize)>, Refusal> {
    parse_head(text.as_bytes(), &Limits::default())
}

#[test]
fn todo_1_to_3_a_head_is_parsed() {
    in_time(|| {
        let text =
            "GET /a?b=1 HTTP/1.1\r\nHost: example.org\r\nX-Empty:\r\nAccept: \t a/b \r\n\r\nbody";
        let (request, length) = parse(text).unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("GET", "/a?b=1")
        );
        let fields: Vec<_> = request
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            fields,
            [("host", "example.org"), ("x-empty", ""), ("accept", "a/b")]
        );
        assert_eq!(&text[length..], "body");
    });
}

#[test]
fn todo_1_each_beginning_of_a_head_is_incomplete_and_not_wrong() {
    in_time(|| {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for length in 0..text.len() {
            assert_eq!(parse(&text[..length]), Ok(None), "{length} bytes");
        }
        assert!(parse(text).unwrap().is_some());
    });
}

#[test]
fn todo_1_a_head_that_is_too_long_is_refused_before_its_end() {
    in_time(|| {
        let limits = Limits {
            head_bytes_max: 100,
            ..Limits::default()
        };
        let long = format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(200));
        let refused = parse_head(long.as_bytes(), &limits);
        assert_eq!(refused, Err(Refusal::HeadTooLarge));
        let whole = format!("{long}\r\n\r\n");
        assert_eq!(
            parse_head(whole.as_bytes(), &limits),
            Err(Refusal::HeadTooLarge)
        );
    });
}

/// Beside each wrong head stands the reason in RFC 9112.
#[test]
fn todo_2_and_3_a_head_that_the_standard_forbids_is_refused() {
    in_time(|| {
        let rows = [
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed), // 3: two spaces
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Refusal::Malformed), // 3: a space at the end
            ("GET /\r\nHost: a\r\n\r\n", Refusal::Malformed),           // 3: no version
            ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed),  // 3.1: not a token
            (" / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed),     // 3.1: an empty method
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed),  // 3.2: no path
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Refusal::Version),    // 2.3: another version
            ("GET / http/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed),  // 2.3: letters count
            ("GET / HTTP/1.1\r\n\r\n", Refusal::Malformed),             // 3.2: no Host
            (
                "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                Refusal::Malformed,
            ), // 3.2: two Hosts
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Refusal::Malformed), // 5.1: a space before the colon
            (
                "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
                Refusal::Malformed,
            ), // 5.2: a folded line
            (
                "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
                Refusal::Malformed,
            ), // 5: no colon
            (
                "GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n",
                Refusal::Malformed,
            ), // 2.2: a bare LF
            ("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", Refusal::Malformed), // 5.5: a control character
        ];
        for (text, refusal) in rows {
            assert_eq!(parse(text), Err(refusal), "{text:?}");
        }
    });
}

/// Serves one connection with a handler that echoes, while a client thread runs. Returns the client's value.
fn serve<T: Send + 'static>(
    limits: Limits,
    client: impl FnOnce(net::TcpStream) -> T + Send + 'static,
) -> T {
    let handler = async |request: Request| {
        sleep(Duration::from_millis(5)).await;
        let body = String::from_utf8(request.body).unwrap();
        Response {
            status: 200,
            body: format!("{} {} {body}", request.method, request.target),
        }
    };
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let client = thread::spawn(move || client(net::TcpStream::connect(address).unwrap()));
        let stream = listener.accept().await.unwrap();
        // An error means that the client is gone.
        _ = serve_one(stream, &limits, handler).await;
        client.join().unwrap()
    })
}

/// Sends a request, and returns the whole answer.
fn ask(limits: Limits, request: &'static str) -> String {
    serve(limits, move |mut stream| {
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
}

#[test]
fn todo_1_to_5_a_request_is_answered() {
    in_time(|| {
        let answer = ask(Limits::default(), "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 \r\n"), "{answer}");
        assert!(answer.contains("\r\ncontent-length: 7\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nGET /a "), "{answer}");
    });
}

#[test]
fn todo_1_to_5_a_body_that_arrives_byte_by_byte_is_whole() {
    in_time(|| {
        let answer = serve(Limits::default(), |mut stream| {
            stream.set_nodelay(true).unwrap();
            let request = b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
            for byte in request {
                stream.write_all(&[*byte]).unwrap();
            }
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        assert!(answer.ends_with("\r\n\r\nPOST /b hello"), "{answer}");
    });
}

#[test]
fn todo_4_a_refusal_has_its_status() {
    in_time(|| {
        let limits = Limits {
            body_bytes_max: 10,
            ..Limits::default()
        };
        let rows = [
            ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505"),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
                "413",
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n1",
                "400",
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1",
                "400",
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                "501",
            ),
        ];
        for (request, status) in rows {
            let answer = ask(limits, request);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{request:?}: {answer}"
            );
        }
    });
}

/// One byte now and then keeps a connection open forever, if each byte starts the time again.
#[test]
fn todo_4_a_client_that_is_too_slow_is_refused() {
    in_time(|| {
        let limits = Limits {
            request_duration_max: Duration::from_millis(50),
            ..Limits::default()
        };
        let begin = Instant::now();
        let answer = serve(limits, move |mut stream| {
            let mut writer = stream.try_clone().unwrap();
            let dripping = thread::spawn(move || {
                // Ends with the connection.
                while writer.write_all(b"G").is_ok() && begin.elapsed() < Duration::from_secs(5) {
                    thread::sleep(Duration::from_millis(5));
                }
            });
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            drop(stream);
            dripping.join().unwrap();
            answer
        });
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    });
}

/// The client still sends when it is refused. Without the drain, a reset would erase the answer.
#[test]
fn todo_5_an_answer_arrives_whole_although_the_client_still_sends() {
    in_time(|| {
        let answer = serve(Limits::default(), |mut stream| {
            stream
                .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
                .unwrap();
            stream.write_all(&[b'x'; 200_000]).unwrap();
            thread::sleep(Duration::from_millis(50));
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    });
}
