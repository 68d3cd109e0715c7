//! Requests to a server, and the parts of its answer that are compared.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer, without the fields that are not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    pub fields: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// The fields that are compared. An entity tag counts only as present or absent.
const COMPARED: &[&str] = &[
    "accept-ranges",
    "allow",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "vary",
];

/// Sends a request of the list.
pub(crate) fn ask(address: SocketAddr, request: &str) -> Answer {
    let (line, fields) = request.split_once(" | ").unwrap_or((request, ""));
    let etag = if request.contains("{etag}") {
        let choice = fields
            .split(" | ")
            .find(|field| field.starts_with("Accept-Encoding"));
        let target = line.split(' ').nth(1).unwrap();
        let plain = exchange(
            address,
            &format!("GET {target}"),
            choice.unwrap_or_default(),
        );
        plain.fields["etag"].clone()
    } else {
        String::new()
    };
    exchange(address, line, &fields.replace("{etag}", &etag))
}

fn exchange(address: SocketAddr, line: &str, fields: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut head = format!("{line} HTTP/1.1\r\nHost: mill\r\nConnection: close\r\n");
    if line.starts_with('P') {
        head.push_str("Content-Length: 0\r\n");
    }
    for field in fields.split(" | ").filter(|field| !field.is_empty()) {
        head.extend([field, "\r\n"]);
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    };
    Answer {
        status: status.parse().unwrap(),
        fields: lines.map(field).collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

impl Answer {
    /// Removes the fields that differ by nature.
    fn compared(mut self) -> Self {
        self.fields
            .retain(|name, _| COMPARED.contains(&name.as_str()));
        let is_error = self.status >= 300;
        if is_error {
            // Each server has its own page of text.
            self.body.clear();
            self.fields.remove("content-length");
            self.fields.remove("content-type");
        }
        if self.status != 200 {
            // A client that requests parts knows the type.
            self.fields.remove("accept-ranges");
        }
        if let Some(location) = self.fields.get_mut("location") {
            // One server begins with the host, the other with the path. Both lead to the same place.
            let path = location.split("://").last().unwrap();
            *location = path[path.find('/').unwrap()..].to_owned();
        }
        if let Some(etag) = self.fields.get_mut("etag") {
            "yes".clone_into(etag);
        }
        if let Some(vary) = self.fields.get_mut("vary") {
            *vary = vary.to_lowercase();
        }
        self.without_boundary()
    }

    /// The line between parts differs in each answer.
    fn without_boundary(mut self) -> Self {
        let content_type = self.fields.get("content-type").cloned().unwrap_or_default();
        if let Some((kind, boundary)) = content_type.split_once("; boundary=") {
            let text = String::from_utf8_lossy(&self.body).into_owned();
            let text = text.replace(boundary, "BOUNDARY");
            let text = text.replace("Content-Type: ", "content-type: ");
            self.body = text
                .replace("Content-Range: ", "content-range: ")
                .into_bytes();
            self.fields
                .insert("content-type".to_owned(), kind.to_owned());
            self.fields.remove("content-length");
        }
        self
    }
}

/// Returns the differences in words, of nginx and of this server, or `None`.
pub(crate) fn difference(theirs: Answer, ours: Answer) -> Option<[String; 2]> {
    let (theirs, ours) = (theirs.compared(), ours.compared());
    if theirs == ours {
        return None;
    }
    let other_status = theirs.status != ours.status;
    Some([(&theirs, &ours), (&ours, &theirs)].map(|(one, other)| {
        let mut words = Vec::new();
        if other_status {
            words.push(one.status.to_string());
        }
        // If the status differs, the other differences follow from that.
        let names = if other_status { &[][..] } else { COMPARED };
        for name in names {
            let (value, another) = (one.fields.get(*name), other.fields.get(*name));
            if value != another {
                words.push(format!("{name}: {}", value.map_or("none", String::as_str)));
            }
        }
        if !other_status && one.body != other.body {
            words.push(format!("{} bytes", one.body.len()));
        }
        words.join(", ")
    }))
}
