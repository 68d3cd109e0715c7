//! The bytes of a server, read by the client and by httparse.
//!
//! The first byte is the method and the way of reading. The rest is what the server sends before it closes.

use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::Method;
use waterwheel::http::client::{Client, RequestError, RequestErrorKind};
use waterwheel::http::testing::MemoryStream;
use waterwheel::runtime::{spawn, time, yield_now};

use super::decoder::decode;
use super::head::LIMITS;
use super::play;

/// The most bytes of a server that are read.
const BYTES_MAX: usize = 2048;

/// The sizes of the pieces in which a server sends.
const PACES: [usize; 4] = [usize::MAX, 1, 7, 64];

/// An answer as the client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    /// True if the connection may serve another request.
    is_kept: bool,
}

/// The target.
///
/// # Panics
///
/// When the outcome depends on the pieces, or when a second reading differs.
pub fn answer(input: &[u8]) {
    let Some((settings, bytes)) = input.split_first() else {
        return;
    };
    let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
    let method = match settings % 4 {
        0 => Method::HEAD,
        1 => Method::CONNECT,
        2 => Method::POST,
        _ => Method::GET,
    };
    let whole = exchange(&method, settings / 4, bytes, PACES[0]);
    for pace in &PACES[1..] {
        let mut other = exchange(&method, settings / 4, bytes, *pace);
        if let (Ok(whole), Ok(other)) = (&whole, &mut other) {
            // A byte behind the answer closes the connection only if it has arrived.
            other.is_kept = whole.is_kept;
        }
        assert_eq!(whole, other, "in pieces of {pace}");
    }
    if let Ok(read) = whole {
        compare(&method, bytes, &read);
    }
}

/// Sends a request, and reads its answer.
fn exchange(method: &Method, way: u8, bytes: &[u8], pace: usize) -> Result<Read, RequestErrorKind> {
    let bytes = bytes.to_vec();
    play::run(async move {
        let client = Client::builder()
            .limits(LIMITS)
            .connector(move |_| {
                let (near, far) = MemoryStream::pair();
                spawn(serve(far, bytes.clone(), pace)).detach();
                async { Ok(near) }
            })
            .build();
        let read = read(&client, method, way).await;
        client.close_idle();
        drop(client);
        // The task that watches the pool ends in this time.
        time::sleep(Duration::from_secs(30)).await;
        read.map_err(|error| error.kind())
    })
}

/// Reads a head, and sends the bytes in pieces.
async fn serve(mut far: MemoryStream, bytes: Vec<u8>, pace: usize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if far.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    for piece in bytes.chunks(pace.min(bytes.len().max(1))) {
        if far.write_all(piece).await.is_err() {
            return;
        }
        yield_now().await;
        yield_now().await;
    }
}

async fn read(client: &Client, method: &Method, way: u8) -> Result<Read, RequestError> {
    let request = client.request(method.clone(), "http://x/").target("x:1");
    let mut response = request.send().await?;
    let owned = |(name, value): (&str, &[u8])| (name.to_owned(), value.to_vec());
    let mut read = Read {
        status: response.status().as_u16(),
        fields: response.headers().iter().map(owned).collect(),
        body: Vec::new(),
        trailers: Vec::new(),
        is_kept: false,
    };
    if *method == Method::CONNECT && response.status().is_success() {
        let mut stream = response.upgrade()?;
        drop(stream.read_to_end(&mut read.body).await);
        return Ok(read);
    }
    match way % 3 {
        0 => read.body = response.bytes().await?,
        1 => {
            while let Some(piece) = response.chunk().await? {
                assert!(!piece.is_empty(), "an empty piece is no end");
                read.body.extend_from_slice(&piece);
            }
            if let Some(trailers) = response.trailers() {
                read.trailers = trailers.iter().map(owned).collect();
            }
        }
        _ => {
            let mut buffer = [0; 5];
            loop {
                // The kind of the error is inside.
                let count = response.read(&mut buffer).await.map_err(|error| {
                    let inner = error.into_inner().expect("an error of the client");
                    *inner.downcast::<RequestError>().expect("its type")
                })?;
                if count == 0 {
                    break;
                }
                read.body.extend_from_slice(&buffer[..count]);
            }
        }
    }
    read.is_kept = client.idle_connections() == 1;
    Ok(read)
}

/// Reads the bytes by httparse, and by the rules of RFC 9112, 6.3, written plainly.
fn compare(method: &Method, mut bytes: &[u8], read: &Read) {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut theirs = httparse::Response::new(&mut fields);
        let parsed = theirs
            .parse(bytes)
            .expect("httparse accepts what is accepted here");
        assert!(parsed.is_complete());
        bytes = &bytes[parsed.unwrap()..];
        let status = theirs.code.expect("a complete head has a status");
        if status < 200 {
            continue;
        }
        assert_eq!(status, read.status);
        let theirs = theirs.headers.iter();
        let theirs: Vec<_> = theirs
            .map(|field| (field.name.to_owned(), field.value.to_vec()))
            .collect();
        assert_eq!(theirs, read.fields);
        break;
    }
    let field = |name: &str| {
        let mut fields = read.fields.iter();
        let found = fields.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let is_tunnel = *method == Method::CONNECT && (200..300).contains(&read.status);
    let (body, end) = if is_tunnel {
        (bytes.to_vec(), None)
    } else if *method == Method::HEAD || matches!(read.status, 204 | 304) {
        (Vec::new(), Some(0))
    } else if field("transfer-encoding").is_some() {
        let decoded = decode(bytes, &LIMITS);
        let end = decoded.end.expect("the client has read to the end");
        (decoded.body, Some(end))
    } else if let Some(length) = field("content-length") {
        let length: usize = length.parse().expect("a length is a number");
        (bytes[..length].to_vec(), Some(length))
    } else {
        (bytes.to_vec(), None)
    };
    assert_eq!(body, read.body);
    // Only a connection with no byte behind the answer is used again.
    assert!(
        !read.is_kept || end == Some(bytes.len()),
        "{end:?} of {}",
        bytes.len()
    );
}
