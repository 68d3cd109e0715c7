//! JSON, compressed for each request: the CPU time of a request on 64 connections that stay open, and the bytes of the
//! compressed body.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use flate2::read::GzDecoder;

use crate::Figures;
use crate::server::{Folder, Server};

/// The heads of the columns.
pub(crate) const COLUMNS: [(&str, usize); 4] = [
    ("µs per request, 1.1 KB", 1),
    ("compressed bytes", 0),
    ("µs per request, 18 KB", 1),
    ("compressed bytes", 0),
];

const CONNECTIONS: usize = 64;

/// The requests of a turn for the small and the large body.
const REQUESTS: [usize; 2] = [20_000, 4000];

/// Returns the bodies by name: lists of twelve and of two hundred orders.
pub(crate) fn bodies() -> [(&'static str, String); 2] {
    [("small", orders(12)), ("large", orders(200))]
}

fn orders(count: u32) -> String {
    const CITIES: [&str; 8] = [
        "Lisboa", "Kraków", "Osaka", "Lima", "Accra", "Pune", "Turku", "Quito",
    ];
    let mut seed = 1_u32;
    // A linear congruential generator (Numerical Recipes), so that each run has the same bytes.
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % below
    };
    let mut order = |id| {
        let city = CITIES[random(8) as usize];
        format!(
            r#"{{"id":{},"customer":"{:04x}-{:04x}","city":"{city}","total":{}.{:02},"items":{},"paid":{}}}"#,
            10_000 + id,
            random(65_536),
            random(65_536),
            random(900),
            random(100),
            1 + random(9),
            random(2) == 1
        )
    };
    format!(
        "[{}]",
        (0..count).map(&mut order).collect::<Vec<_>>().join(",\n")
    )
}

/// A connection, and the bytes of one answer.
struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    fn new(server: &Server) -> io::Result<Self> {
        let stream = server.connect()?;
        let answer = Vec::new();
        Ok(Self { stream, answer })
    }

    /// Reads until the answer is whole. Returns its head and its body with the framing.
    fn receive(&mut self) -> io::Result<(&str, &[u8])> {
        self.answer.clear();
        let mut bytes = [0; 16 * 1024];
        loop {
            let count = self.stream.read(&mut bytes)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.answer.extend(&bytes[..count]);
            let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let (head, body) = self.answer.split_at(end + 4);
            let is_whole = match content_length(head) {
                Some(length) => body.len() == length,
                None => body.ends_with(b"\r\n0\r\n\r\n"),
            };
            if is_whole {
                let (head, body) = self.answer.split_at(end + 4);
                return Ok((str::from_utf8(head).map_err(io::Error::other)?, body));
            }
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = str::from_utf8(head).ok()?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length?.1.trim().parse().ok()
}

/// Removes the framing of a body in chunks.
fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let line = body.iter().position(|byte| *byte == b'\r')?;
        let count = usize::from_str_radix(str::from_utf8(&body[..line]).ok()?, 16).ok()?;
        if count == 0 {
            return Some(data);
        }
        data.extend(body.get(line + 2..line + 2 + count)?);
        body = body.get(line + 4 + count..)?;
    }
}

/// Makes one request and checks the answer. Returns the bytes of the compressed body.
fn check(server: &Server, request: &[u8], text: &str) -> io::Result<usize> {
    let mut client = Client::new(server)?;
    client.stream.write_all(request)?;
    let (head, body) = client.receive()?;
    let body = match content_length(head.as_bytes()) {
        Some(_) => body.to_vec(),
        None => unchunked(body).ok_or(io::ErrorKind::InvalidData)?,
    };
    let mut decoded = String::new();
    GzDecoder::new(&*body).read_to_string(&mut decoded)?;
    if !head.starts_with("HTTP/1.1 200") || decoded != text {
        return Err(io::Error::other("a wrong answer"));
    }
    Ok(body.len())
}

/// Measures the figures of one turn.
#[expect(clippy::cast_precision_loss, reason = "some kilobytes")]
pub(crate) fn turn(server: &Server, _: &Folder, shorter: usize) -> io::Result<Figures> {
    let new_one = |_| Client::new(server);
    let mut clients = (0..CONNECTIONS)
        .map(new_one)
        .collect::<io::Result<Vec<_>>>()?;
    let mut figures = Vec::new();
    for ((path, text), requests) in bodies().into_iter().zip(REQUESTS) {
        let request =
            format!("GET /{path} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\n\r\n");
        let request = request.as_bytes();
        let bytes = check(server, request, &text)?;
        let mut ask = |requests: usize| {
            let batches = requests.div_ceil(CONNECTIONS);
            server.micros(batches * CONNECTIONS, || {
                for _ in 0..batches {
                    for client in &mut clients {
                        client.stream.write_all(request)?;
                    }
                    for client in &mut clients {
                        client.receive()?;
                    }
                }
                Ok(())
            })
        };
        ask(requests / 10)?; // warm
        figures.extend([ask(requests / shorter)?, bytes as f64]);
    }
    Ok(figures)
}
