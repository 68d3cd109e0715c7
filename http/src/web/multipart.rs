//! Forms with files: `multipart/form-data` (RFC 7578), read in a stream.
//!
//! ```
//! use std::fs::File;
//! use waterwheel::http::web::multipart::MultipartForm;
//! use waterwheel::http::{Request, Responded, Result, StatusCode};
//!
//! async fn upload(request: Request<'_>) -> Result<Responded> {
//!     let mut form = MultipartForm::of(&request)?;
//!     while let Some(field) = form.next().await? {
//!         if field.file_name().is_none() {
//!             println!("{}: {}", field.name().to_owned(), field.text(1024).await?);
//!         } else if let Some(name) = field.safe_file_name() {
//!             let file = File::create(std::env::temp_dir().join(name))?;
//!             field.to_file(file, 1 << 30).await?;
//!         }
//!     }
//!     request.respond(StatusCode::OK, "thank you\n", ()).await
//! }
//! ```
//!
//! The form is the body of the request, so the server's [limit](crate::Limits::body_bytes_max) holds for it.
//! The default is 8 MiB.
//!
//! # How it works
//!
//! - `multipart/field.rs`: one part, as the application reads it
//! - `multipart/parts.rs`: splits a form into parts
//! - `multipart/head.rs`: reads the head of a part
//! - `multipart/fault.rs`: the errors of both
//!
//! # Invariants
//!
//! - Always: a fault of the form is a [`ClientError`], so its sender receives the reason.
//! - Never: more in memory than one piece of the body, the head of a part, and the caller's own limits.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use futures_core::Stream;
use http::StatusCode;

use crate::error::{ClientError, Result};
use crate::exchange::body::Body;
use crate::exchange::request::Request;
use crate::headers::white_space::trim;
use crate::web::parameters::parameters;
use crate::web::single::content_type;

mod fault;
mod field;
mod head;
mod parts;

use fault::bad;
pub use field::FormField;
use head::PartHead;
use parts::FormParser;

/// The highest number of parts of a form.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::multipart::FIELDS_MAX;
///
/// let files_of_our_page = 20;
/// assert!(files_of_our_page <= FIELDS_MAX);
/// ```
pub const FIELDS_MAX: usize = 1000;

/// The longest boundary (RFC 2046, 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// A form that is read part by part.
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::multipart::MultipartForm;
/// use waterwheel::http::{Method, Request, Responded, Result, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// async fn names(request: Request<'_>) -> Result<Responded> {
///     let mut form = MultipartForm::of(&request)?;
///     let mut names = String::new();
///     while let Some(field) = form.next().await? {
///         names += field.name();
///     }
///     request.respond(StatusCode::OK, names, ()).await
/// }
///
/// let fields = [("content-type", "multipart/form-data; boundary=x")];
/// let form = b"--x\r\nContent-Disposition: form-data; name=rye\r\n\r\n7\r\n--x--\r\n";
/// let answer = block_on(async {
///     TestClient::new(names).request(&Method::POST, "/", &fields, form).await
/// });
/// assert_eq!(answer.text(), "rye");
/// ```
pub struct MultipartForm<'c> {
    body: Body<'c>,
    parts: FormParser,
    /// The head of the part that is being read.
    head: Option<PartHead>,
    fields: usize,
}

impl<'c> MultipartForm<'c> {
    /// Starts to read the body of a request as a form.
    ///
    /// # Errors
    ///
    /// A [`ClientError`]: 415 if the body has another media type, 400 if Content-Type is repeated or has no
    /// valid boundary.
    pub fn of(request: &Request<'c>) -> Result<Self> {
        let boundary = boundary(content_type(request.headers())?)?;
        Ok(Self {
            body: request.body(),
            parts: FormParser::new(&boundary),
            head: None,
            fields: 0,
        })
    }

    /// Returns the next part, or `None` at the end. Skips the unread data of the part before.
    ///
    /// The boundary and the head of a part may have 16 KiB together.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the form is malformed or has more than [`FIELDS_MAX`] parts; and the errors of
    /// [`Request::bytes`].
    ///
    /// # Cancel safety
    ///
    /// Safe: no data is lost.
    pub async fn next(&mut self) -> Result<Option<FormField<'_, 'c>>> {
        self.head = None;
        let Some(head) = self.until(FormParser::next_head).await?? else {
            return Ok(None);
        };
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(bad("too many parts in the form"))?;
        }
        self.head = Some(head);
        Ok(Some(FormField { form: self }))
    }

    /// Feeds the parser until `find` returns a result.
    async fn until<T>(&mut self, mut find: impl FnMut(&mut FormParser) -> Poll<T>) -> Result<T> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(found) = find(&mut self.parts) {
                    return Poll::Ready(Ok(found));
                }
                match ready!(Pin::new(&mut self.body).poll_next(cx)).transpose()? {
                    Some(piece) => self.parts.feed(&piece),
                    None => return Poll::Ready(Err(bad("the form has no end").into())),
                }
            }
        })
        .await
    }
}

/// Returns the boundary of a Content-Type (RFC 2046, 5.1.1).
fn boundary(content_type: &[u8]) -> Result<Vec<u8>, ClientError> {
    let media = content_type.split(|byte| *byte == b';').next();
    if !trim(media.unwrap_or_default()).eq_ignore_ascii_case(b"multipart/form-data") {
        let text = "expected content-type multipart/form-data";
        return Err(ClientError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let mut found = None;
    for parameter in parameters(content_type) {
        let parameter = parameter.map_err(|_| bad("the form's content-type is malformed"))?;
        let is_boundary = parameter.name.eq_ignore_ascii_case(b"boundary");
        if is_boundary && found.replace(parameter.value).is_some() {
            return Err(bad("the form has more than one boundary"));
        }
    }
    let boundary = found.ok_or_else(|| bad("the form has no boundary"))?;
    if !(1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) {
        return Err(bad("a boundary has 1 to 70 bytes"));
    }
    Ok(boundary.into_owned())
}

impl fmt::Debug for MultipartForm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultipartForm")
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{self, Read, Seek};

    use http::Method;
    use waterwheel_runtime::{block_on, yield_now};

    use super::parts::HEAD_BYTES_MAX;
    use super::*;
    use crate::exchange::handler::Responded;
    use crate::testing::{Answer, TestClient};

    const TYPE: (&str, &str) = ("content-type", "multipart/form-data; boundary=\"x y\"");

    /// Answers with a line for each part.
    async fn list(request: Request<'_>) -> Result<Responded> {
        let mut form = MultipartForm::of(&request)?;
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

    /// Makes a form of these parts, each with its head and its data.
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
        // This data only begins like a boundary.
        check(
            &form(&[("name=\"a\"", "\r\n--x \r\n")]),
            200,
            "a=\r\n--x \r\n\n",
        );
        // RFC 2046, 5.1.1: the text around the form is ignored.
        check(
            &format!("before\r\n{}behind", form(&[("name=\"a\"", "1")])),
            200,
            "a=1\n",
        );
    }

    /// Returns the parts of a form of one part with this Content-Disposition: `name=text`, or `name<file
    /// name>`.
    fn read_one(disposition: &[u8]) -> (u16, String) {
        async fn show(request: Request<'_>) -> Result<Responded> {
            let mut form = MultipartForm::of(&request)?;
            let mut shown = String::new();
            while let Some(field) = form.next().await? {
                let name = field.name().to_owned();
                let file_name = field.file_name().map(str::to_owned);
                let text = field.text(100).await?;
                match file_name {
                    Some(file_name) => shown.extend([&name, "<", &file_name, ">"]),
                    None => shown.extend([&name, "=", &text]),
                }
            }
            request.respond(StatusCode::OK, shown, ()).await
        }
        let body = [
            b"--x y\r\nContent-Disposition: ",
            disposition,
            b"\r\n\r\nrye\r\n--x y--\r\n",
        ]
        .concat();
        let answer = block_on(async {
            let mut client = TestClient::new(show);
            client.request(&Method::POST, "/", &[TYPE], &body).await
        });
        (answer.status.as_u16(), answer.text())
    }

    #[track_caller]
    fn check_one(disposition: &[u8], expected: &str) {
        let shown = String::from_utf8_lossy(disposition);
        assert_eq!(read_one(disposition), (200, expected.to_owned()), "{shown}");
    }

    #[test]
    fn a_file_name_may_have_any_bytes() {
        // RFC 7578, 5.1: old software sends names in other charsets.
        check_one(
            b"form-data; name=\"f\"; filename=\"caf\xe9.txt\"",
            "f<caf\u{fffd}.txt>",
        );
        check_one(
            b"form-data; name=\"f\"; filename=caf\xe9.txt",
            "f<caf\u{fffd}.txt>",
        );
        check_one(
            "form-data; name=\"f\"; filename=\"café.txt\"".as_bytes(),
            "f<café.txt>",
        );
        check_one(b"form-data; filename=\"\xff\"; name=\"f\"", "f<\u{fffd}>");
        check_one(b"form-data; name=\"f\"; filename=\"\"", "f<>");
        check_one(b"form-data; name=\"f\"; filename=", "f<>");
    }

    #[test]
    fn a_file_name_may_have_the_extended_notation() {
        // RFC 7578, 4.2 forbids it, but some libraries do it (RFC 8187, 3.2).
        check_one(
            b"form-data; name=\"f\"; filename*=UTF-8''caf%C3%A9.txt",
            "f<café.txt>",
        );
        check_one(
            b"form-data; name=f; filename=a.jpg; filename*=utf-8''b%20c.jpg",
            "f<b c.jpg>",
        );
        check_one(
            b"form-data; name=f; filename*=utf-8'en'b.jpg; filename=\"a.jpg\"",
            "f<b.jpg>",
        );
        check_one(
            b"form-data; name=f; filename*=iso-8859-1''caf%E9.txt",
            "f<caf\u{fffd}.txt>",
        );
        check_one(b"form-data; name=f; filename*=caf%C3%A9.txt", "f<café.txt>");
        check_one(
            b"form-data; name*=utf-8''m%C3%BChle; filename=a",
            "mühle<a>",
        );
    }

    #[test]
    fn parameter_names_match_in_any_case_and_never_within_quotes() {
        check_one(b"Form-Data; NAME=\"f\"; FileName=\"a\"", "f<a>");
        check_one(b"form-data ; name = f ; filename\t=\ta", "f<a>");
        check_one(b"form-data; name=\"x; filename=y\"", "x; filename=y=rye");
        check_one(
            b"form-data; name=\"x\"; filename=\"a; name=b; filename=c.html\"",
            "x<a; name=b; filename=c.html>",
        );
        check_one(
            b"form-data; filename=\"x; name=evil\"; name=\"real\"",
            "real<x; name=evil>",
        );
        check_one(b"form-data; xname=a; name=b; xfilename=c", "b=rye");
        check_one(br#"form-data; name="a\"b"; filename="c\"d""#, "a\"b<c\"d>");
        check_one(
            br#"form-data; name="f"; filename="C:\mill\rye.txt""#,
            r"f<C:\mill\rye.txt>",
        );
    }

    #[test]
    fn an_ambiguous_head_is_refused() {
        let malformed = (400, "the head of a part is malformed\n".to_owned());
        for disposition in [
            &b"form-data; name=\"f\"; filename=\"a"[..],
            b"form-data; name=\"f\"; filename=\"a\".html",
            b"form-data; name=\"f\"; filename",
            b"form-data; name=\"f\"; filename=\"a\"; filename=\"b\"",
            b"form-data; name=\"f\"; filename*=utf-8''a; filename*=utf-8''b",
            b"form-data; name=\"f\"; name=\"g\"",
            b"form-data; name=\"f\"; NAME=\"g\"",
            b"form-data; name=\"\xff\"",
            b"form-data; name=\"f\"\r\nContent-Disposition: form-data; name=\"g\"",
            b"form-data; name=\"f\"\r\nContent-Type: a/b\r\nContent-Type: c/d",
            b"form-data; name=\"f\"\nX: y",
            b"form-data; name=\"f\"\r\nX : y",
            b"form-data; name=\"f\"\r\n filename=\"a\"",
            b"form-data; name=\"f\0\"",
        ] {
            let shown = String::from_utf8_lossy(disposition);
            assert_eq!(read_one(disposition), malformed, "{shown}");
        }
        let nameless = (400, "a part of the form has no name\n".to_owned());
        for disposition in [
            &b"form-data"[..],
            b"form-data; filename=\"a\"",
            b"attachment; name=\"f\"",
            b"form-datax; name=\"f\"",
            b"",
        ] {
            let shown = String::from_utf8_lossy(disposition);
            assert_eq!(read_one(disposition), nameless, "{shown}");
        }
    }

    /// Sends a body in chunks of this size, and reads the answer.
    fn post_in_chunks(body: &[u8], size: usize) -> Answer {
        block_on(async {
            let mut client = TestClient::new(list);
            let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=\"x y\"\r\n\r\n";
            client.send(head).await;
            for piece in body.chunks(size) {
                let line = format!("{:x}\r\n", piece.len());
                let chunk = [line.as_bytes(), piece, b"\r\n"].concat();
                client.send(chunk).await;
                yield_now().await;
            }
            client.send("0\r\n\r\n").await;
            client.answer().await
        })
    }

    #[test]
    fn the_bytes_between_the_data_of_two_parts_have_a_limit() {
        // With this filler, the line of a boundary and a head have exactly the allowed length.
        let fixed = "\r\n--x y\r\ncontent-disposition: form-data; name=\"a\"\r\nx: \r\n\r\n".len();
        let fits = "y".repeat(HEAD_BYTES_MAX - fixed);
        for (filler, expected) in [
            (fits.clone(), "a=1\nf 3000\na=2\n"),
            (fits + "y", "the head of a part is too long\n"),
        ] {
            let head = format!("name=\"a\"\r\nx: {filler}");
            let file = "z".repeat(3000);
            let body = form(&[
                ("name=\"a\"", "1"),
                ("name=\"f\"; filename=\"f\"", &file),
                (&head, "2"),
            ]);
            let whole = post(&[TYPE], body.as_bytes());
            assert_eq!(whole.text(), expected);
            for size in [7, 1000, 5000, 16_000] {
                let answer = post_in_chunks(body.as_bytes(), size);
                assert_eq!(answer.text(), expected, "{size}");
            }
        }
    }

    #[test]
    fn an_unread_part_is_skipped() {
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
            let answer = post_in_chunks(body.as_bytes(), size);
            assert_eq!(answer.text(), "a=1\nf 3000\n", "{size}");
        }
    }

    #[test]
    fn the_sender_of_a_malformed_form_receives_the_reason() {
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
            ("multipart/form-data; boundary=\"\"", 400),
            ("multipart/form-data; boundary=\"x", 400),
            ("multipart/form-data; boundary=x; Boundary=y", 400),
            ("Multipart/Form-Data ; Boundary=x", 400),
            ("multipart/form-data\u{a0}; boundary=x", 415),
            ("multipart/form-data; x=\"; boundary=y\"", 400),
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
}
