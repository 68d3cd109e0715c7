//! Forms with files in them: `multipart/form-data` (RFC 7578), read as it comes.
//!
//! ```
//! use std::fs::File;
//! use waterwheel_http::web::multipart::Form;
//! use waterwheel_http::{Request, Responded, Result, StatusCode};
//!
//! async fn upload(request: Request<'_>) -> Result<Responded> {
//!     let mut form = Form::of(&request)?;
//!     while let Some(field) = form.next().await? {
//!         match field.safe_file_name() {
//!             Some(name) => {
//!                 let file = File::create(std::env::temp_dir().join(name))?;
//!                 field.to_file(file, 1 << 30).await?;
//!             }
//!             None => println!("{}: {}", field.name().to_owned(), field.text(1024).await?),
//!         }
//!     }
//!     request.respond(StatusCode::OK, "thank you\n", ()).await
//! }
//! ```
//!
//! The whole form is a request's body like any other: the server's
//! [limit](crate::Limits::body_bytes_max) holds for it, 8 MiB unless it is told otherwise.
//!
//! # How it works
//!
//! multer takes the parts apart. It wants a stream that may go to other threads, which a body may
//! not; so it reads from a `Slot` that holds one piece, and whenever it waits, the next piece is
//! fetched from the body and put there.
//!
//! # Invariants
//!
//! - Always: what is wrong with a form is told to its sender, as a [`ClientError`].
//! - Never: more in memory than a piece, the head of a part, and what a limit allows.

use std::fmt;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::StatusCode;
use waterwheel_runtime::spawn_blocking;

use crate::body::Body;
use crate::error::{ClientError, Result};
use crate::request::Request;

/// The most parts a form may have.
pub const FIELDS_MAX: usize = 1000;

/// The most that may stand between the data of two parts: a boundary and a head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// RFC 2046, 5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// How much of a file is gathered before it is written.
const SAVED_BYTES: usize = 128 * 1024;

/// A form, to be read part by part.
pub struct Form<'c> {
    source: Source<'c>,
    parts: multer::Multipart<'static>,
    /// The part that is being read.
    part: Option<multer::Field<'static>>,
    fields: usize,
}

impl<'c> Form<'c> {
    /// Begins to read a request's body as a form.
    ///
    /// # Errors
    ///
    /// A [`ClientError`]: 415 if it is none, 400 if it has no proper boundary.
    pub fn of(request: &Request<'c>) -> Result<Self> {
        let content_type = request.headers().get("content-type").unwrap_or_default();
        let boundary = multer::parse_boundary(content_type).map_err(|error| malformed(&error))?;
        if !(1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) {
            return Err(bad("the boundary has 1 to 70 bytes"))?;
        }
        let slot = Arc::new(Mutex::new(Slot::Empty));
        Ok(Self {
            parts: multer::Multipart::new(Inlet(slot.clone()), boundary),
            source: Source {
                body: request.body(),
                slot,
                fed: 0,
            },
            part: None,
            fields: 0,
        })
    }

    /// The next part; `None` at the end. What was not read of the one before is read past.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the form is malformed, or has more than [`FIELDS_MAX`] parts; and as
    /// [`Request::bytes`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn next(&mut self) -> Result<Option<Field<'_, 'c>>> {
        while self.chunk().await?.is_some() {}
        self.part = None;
        self.source.fed = 0;
        let parts = &mut self.parts;
        let next = self
            .source
            .drive(Some(HEAD_BYTES_MAX), |cx| parts.poll_next_field(cx));
        let Some(part) = next.await? else {
            return Ok(None);
        };
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(bad("too many parts in the form"))?;
        }
        if part.name().is_none() {
            return Err(bad("a part of the form has no name"))?; // RFC 7578, 4.2
        }
        self.part = Some(part);
        Ok(Some(Field { form: self }))
    }

    /// The next piece of the part that is being read.
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let Some(part) = &mut self.part else {
            return Ok(None);
        };
        let next = |cx: &mut Context<'_>| Pin::new(&mut *part).poll_next(cx).map(Option::transpose);
        self.source.drive(None, next).await
    }
}

/// One part of a form.
pub struct Field<'f, 'c> {
    form: &'f mut Form<'c>,
}

impl Field<'_, '_> {
    /// The name of the input it was entered in.
    pub fn name(&self) -> &str {
        let part = self.form.part.as_ref();
        part.and_then(multer::Field::name).unwrap_or_default()
    }

    /// What the sender calls its file; `None` if it is none. It may be anything: never use it as a
    /// path.
    pub fn file_name(&self) -> Option<&str> {
        self.form.part.as_ref()?.file_name()
    }

    /// The file's name, made safe: the last part of a path, no control characters, no leading dots,
    /// at most 255 bytes. `None` if nothing is left.
    pub fn safe_file_name(&self) -> Option<String> {
        safe(self.file_name()?)
    }

    /// What the sender takes it for.
    pub fn content_type(&self) -> Option<&str> {
        let part = self.form.part.as_ref()?;
        part.content_type().map(AsRef::as_ref)
    }

    /// The next piece of its data; `None` at the end.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the form is malformed; and as [`Request::bytes`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.form.chunk().await
    }

    /// All of its data, in memory.
    ///
    /// # Errors
    ///
    /// 413 if it is longer than `bytes_max`; and as [`chunk`](Self::chunk).
    pub async fn bytes(mut self, bytes_max: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > bytes_max - all.len() {
                return Err(self.too_long())?;
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// All of its data, as text.
    ///
    /// # Errors
    ///
    /// 400 if it is not UTF-8; and as [`bytes`](Self::bytes).
    pub async fn text(self, bytes_max: usize) -> Result<String> {
        let name = self.name().to_owned();
        let bytes = self.bytes(bytes_max).await?;
        Ok(String::from_utf8(bytes).map_err(|_| bad(format!("{name:?} is not UTF-8")))?)
    }

    /// Writes its data into a file, from where that stands; says how many bytes that were. The file
    /// is written on another thread.
    ///
    /// # Errors
    ///
    /// 413 if it is longer than `bytes_max`; as [`chunk`](Self::chunk); and what `write(2)` says.
    /// What had come until then is in the file.
    pub async fn to_file(mut self, file: File, bytes_max: u64) -> Result<u64> {
        let (mut file, mut gathered, mut total) = (file, Vec::new(), 0);
        loop {
            let chunk = self.chunk().await?;
            let is_over = chunk.is_none();
            let chunk = chunk.unwrap_or_default();
            total += chunk.len() as u64;
            if total > bytes_max {
                return Err(self.too_long())?;
            }
            gathered.extend_from_slice(&chunk);
            if is_over || gathered.len() >= SAVED_BYTES {
                (file, gathered) = write(file, gathered).await?;
            }
            if is_over {
                return Ok(total);
            }
        }
    }

    fn too_long(&self) -> ClientError {
        let text = format!("{:?} is too long", self.name());
        ClientError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }
}

/// Writes on a thread of the pool; gives file and buffer back.
async fn write(mut file: File, mut bytes: Vec<u8>) -> Result<(File, Vec<u8>)> {
    let written = spawn_blocking(move || {
        file.write_all(&bytes)?;
        bytes.clear();
        io::Result::Ok((file, bytes))
    });
    Ok(written.await??)
}

fn safe(name: &str) -> Option<String> {
    const NAME_BYTES_MAX: usize = 255;
    let last = name.rsplit(['/', '\\']).next()?;
    let kept = last.chars().filter(|character| !character.is_control());
    let mut safe = String::new();
    for character in kept.skip_while(|character| matches!(character, '.' | ' ')) {
        if safe.len() + character.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        safe.push(character);
    }
    (!safe.is_empty()).then_some(safe)
}

/// The body, piece by piece, for a parser that cannot hold it.
struct Source<'c> {
    body: Body<'c>,
    slot: Arc<Mutex<Slot>>,
    /// Bytes since the last part began or ended.
    fed: usize,
}

impl Source<'_> {
    /// Polls the parser, and feeds it as long as it waits.
    async fn drive<T>(
        &mut self,
        bytes_max: Option<usize>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<multer::Result<T>>,
    ) -> Result<T> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(parsed) = poll(cx) {
                    return Poll::Ready(parsed.map_err(|error| malformed(&error).into()));
                }
                ready!(self.poll_feed(cx, bytes_max))?;
            }
        })
        .await
    }

    fn poll_feed(&mut self, cx: &mut Context<'_>, bytes_max: Option<usize>) -> Poll<Result<()>> {
        if matches!(*lock(&self.slot), Slot::End) {
            return Poll::Ready(Err(bad("the form has no end").into()));
        }
        if bytes_max.is_some_and(|max| self.fed > max) {
            return Poll::Ready(Err(bad("the head of a part is too long").into()));
        }
        let piece = ready!(Pin::new(&mut self.body).poll_next(cx)).transpose()?;
        self.fed += piece.as_ref().map_or(0, Bytes::len);
        *lock(&self.slot) = piece.map_or(Slot::End, Slot::Piece);
        Poll::Ready(Ok(()))
    }
}

/// Room for one piece of the body.
enum Slot {
    Empty,
    Piece(Bytes),
    /// There will be no more.
    End,
}

fn lock(slot: &Mutex<Slot>) -> std::sync::MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The parser's end of the slot. It wakes nobody: whoever polls the parser fills it.
struct Inlet(Arc<Mutex<Slot>>);

impl Stream for Inlet {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut slot = lock(&self.0);
        match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::Empty => Poll::Pending,
            Slot::Piece(piece) => Poll::Ready(Some(Ok(piece))),
            Slot::End => {
                *slot = Slot::End;
                Poll::Ready(None)
            }
        }
    }
}

fn bad(text: impl Into<std::borrow::Cow<'static, str>>) -> ClientError {
    ClientError::new(StatusCode::BAD_REQUEST, text)
}

/// What the parser says, in words for whoever sent it.
fn malformed(error: &multer::Error) -> ClientError {
    use multer::Error as Multer;
    match error {
        Multer::NoMultipart | Multer::DecodeContentType(_) => {
            let text = "a form is multipart/form-data";
            ClientError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
        }
        Multer::NoBoundary => bad("the form has no boundary"),
        Multer::IncompleteStream | Multer::IncompleteFieldData { .. } => bad("the form has no end"),
        _ => bad("the head of a part is malformed"),
    }
}

impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form")
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Field<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field")
            .field("name", &self.name())
            .field("file_name", &self.file_name())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use http::Method;
    use waterwheel_runtime::{block_on, yield_now};

    use super::*;
    use crate::responded::Responded;
    use crate::testing::{Answer, TestClient};

    const TYPE: (&str, &str) = ("content-type", "multipart/form-data; boundary=\"x y\"");

    /// Says each part back in a line.
    async fn list(request: Request<'_>) -> Result<Responded> {
        let mut form = Form::of(&request)?;
        let mut lines = String::new();
        while let Some(field) = form.next().await? {
            let head = (field.name().to_owned(), field.safe_file_name());
            match head {
                (name, _) if name == "skip" => lines.push_str("skipped"),
                (_, Some(name)) => {
                    let mut file = tempfile()?;
                    let length = field.to_file(file.try_clone()?, 100_000).await?;
                    let mut text = String::new();
                    file.rewind()?;
                    file.read_to_string(&mut text)?;
                    assert_eq!(text.len() as u64, length);
                    lines.extend([&name, " ", &length.to_string()]);
                }
                (name, None) => lines.extend([&name, "=", &field.text(10).await?]),
            }
            lines.push('\n');
        }
        request.respond(StatusCode::OK, lines, ()).await
    }

    fn tempfile() -> io::Result<File> {
        let path =
            std::env::temp_dir().join(format!("waterwheel-form-{:?}", std::thread::current().id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        std::fs::remove_file(path)?;
        Ok(file)
    }

    fn post(headers: &[(&str, &str)], body: &[u8]) -> Answer {
        block_on(async {
            TestClient::new(list)
                .request(&Method::POST, "/", headers, body)
                .await
        })
    }

    /// A form of these parts: head and data of each.
    fn form(parts: &[(&str, &str)]) -> String {
        let part = |(head, data): &(&str, &str)| {
            format!("--x y\r\ncontent-disposition: form-data; {head}\r\n\r\n{data}\r\n")
        };
        parts
            .iter()
            .map(part)
            .chain(["--x y--\r\n".to_owned()])
            .collect()
    }

    #[track_caller]
    fn check(body: &str, status: u16, text: &str) {
        let answer = post(&[TYPE], body.as_bytes());
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (status, text),
            "{body:.200}"
        );
    }

    #[test]
    fn parts_are_text_or_files() {
        check(&form(&[]), 200, "");
        check(
            &form(&[("name=\"a\"", "1"), ("name=\"b\"", "")]),
            200,
            "a=1\nb=\n",
        );
        let file = "name=\"f\"; filename=\"../x/.report.txt\"\r\ncontent-type: text/plain";
        check(
            &form(&[(file, "four"), ("name=\"a\"", "1")]),
            200,
            "report.txt 4\na=1\n",
        );
        // What looks like a boundary and is none.
        check(
            &form(&[("name=\"a\"", "\r\n--x \r\n")]),
            200,
            "a=\r\n--x \r\n\n",
        );
        // RFC 2046, 5.1.1: what is around it is ignored.
        check(
            &format!("before\r\n{}behind", form(&[("name=\"a\"", "1")])),
            200,
            "a=1\n",
        );
    }

    #[test]
    fn a_part_that_is_not_read_is_read_past() {
        let long = "z".repeat(100_000);
        check(
            &form(&[("name=\"skip\"", &long), ("name=\"a\"", "1")]),
            200,
            "skipped\na=1\n",
        );
    }

    #[test]
    fn a_form_may_come_in_any_pieces() {
        let long = "z".repeat(3000);
        let body = form(&[("name=\"a\"", "1"), ("name=\"f\"; filename=\"f\"", &long)]);
        for size in [1, 7, 1000] {
            let answer = block_on(async {
                let mut client = TestClient::new(list);
                client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=\"x y\"\r\n\r\n").await;
                for piece in body.as_bytes().chunks(size) {
                    let size = format!("{:x}\r\n", piece.len());
                    client
                        .send([size.as_bytes(), piece, b"\r\n"].concat())
                        .await;
                    yield_now().await;
                }
                client.send("0\r\n\r\n").await;
                client.answer().await
            });
            assert_eq!(answer.text(), "a=1\nf 3000\n", "{size}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_form_is_told_to_its_sender() {
        let whole = form(&[("name=\"a\"", "1")]);
        let none = "the form has no end\n";
        for cut in [0, 3, 5, 7, 30, 50, whole.len() - 9, whole.len() - 4] {
            check(&whole[..cut], 400, none);
        }
        check(&form(&[("", "1")]), 400, "a part of the form has no name\n");
        check(
            "--x y\r\nno colon\r\n\r\n1\r\n--x y--",
            400,
            "the head of a part is malformed\n",
        );
        check(
            &form(&[("name=\"a\"", "elevenbytes")]),
            413,
            "\"a\" is too long\n",
        );
        let long = "z".repeat(100_001);
        check(
            &form(&[("name=\"f\"; filename=\"f\"", &long)]),
            413,
            "\"f\" is too long\n",
        );
        let bytes = [
            b"--x y\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\xff",
            &b"\r\n--x y--"[..],
        ]
        .concat();
        assert_eq!(post(&[TYPE], &bytes).text(), "\"a\" is not UTF-8\n");
        for (content_type, status) in [
            ("text/plain", 415),
            ("nonsense", 415),
            ("multipart/mixed; boundary=x", 415),
            ("multipart/form-data", 400),
            ("multipart/form-data; boundary=\"\"", 415),
        ] {
            let answer = post(&[("content-type", content_type)], b"");
            assert_eq!(answer.status.as_u16(), status, "{content_type}");
        }
    }

    #[test]
    fn heads_and_parts_have_a_limit() {
        let long = format!("name=\"a\"; x=\"{}\"", "y".repeat(100_000));
        check(
            &form(&[(&long, "1")]),
            400,
            "the head of a part is too long\n",
        );
        check(
            &"y".repeat(100_000),
            400,
            "the head of a part is too long\n",
        );
        check(
            &form(&vec![("name=\"skip\"", ""); FIELDS_MAX + 1]),
            400,
            "too many parts in the form\n",
        );
        check(
            &form(&vec![("name=\"skip\"", ""); FIELDS_MAX]),
            200,
            &"skipped\n".repeat(FIELDS_MAX),
        );
    }

    #[test]
    fn a_file_name_is_made_safe() {
        for (name, expected) in [
            ("a.txt", Some("a.txt")),
            ("C:\\fakepath\\a b.txt", Some("a b.txt")),
            ("/etc/passwd", Some("passwd")),
            ("../../x", Some("x")),
            ("..", None),
            (". .", None),
            ("", None),
            ("a/", None),
            ("a\0\nb", Some("ab")),
            ("é", Some("é")),
        ] {
            assert_eq!(safe(name).as_deref(), expected, "{name}");
        }
        assert_eq!(safe(&"é".repeat(200)).map(|name| name.len()), Some(254));
    }
}
