//! Programs as handlers, by the Common Gateway Interface (RFC 3875).
//!
//! ```no_run
//! use waterwheel::http::web::cgi::Cgi;
//! use waterwheel::http::web::routes::Router;
//!
//! let router = Router::new().nest("/backlog", Cgi::new("/usr/lib/cgi-bin/backlog.sh"));
//! # drop(router);
//! ```
//!
//! Each request starts the program. The program finds the request in its environment, reads the body from its standard
//! input, and writes its answer to its standard output: a few fields, an empty line, the body.
//!
//! ```sh
//! #!/bin/sh
//! echo "Content-Type: text/plain"
//! echo
//! echo "hello, $REMOTE_ADDR"
//! ```
//!
//! # The environment
//!
//! All variables of this process are removed, except `PATH`. These are set:
//!
//! | variable | value |
//! |---|---|
//! | `REQUEST_METHOD`, `QUERY_STRING`, `SERVER_PROTOCOL` | those of the request |
//! | `SCRIPT_NAME` | the prefixes of routers, and [`Cgi::script_name`] |
//! | `PATH_INFO` | the rest of the path, decoded |
//! | `REQUEST_URI` | the target as the client has sent it (not in the RFC; PHP needs it) |
//! | `CONTENT_LENGTH`, `CONTENT_TYPE` | if the request has a body |
//! | `REMOTE_ADDR`, `REMOTE_HOST` | [the client's address](Request::client_address), empty if the transport has none |
//! | `SERVER_NAME`, `SERVER_PORT` | the host of the request, and the port of the server |
//! | `SERVER_SOFTWARE`, `GATEWAY_INTERFACE` | `waterwheel/0.1.0`, `CGI/1.1` |
//! | `HTTPS` | `on`, if the connection uses TLS |
//! | `HTTP_*` | the fields of the request: `HTTP_USER_AGENT` |
//!
//! These fields have no variable:
//!
//! | field | reason |
//! |---|---|
//! | Proxy | `HTTP_PROXY` would send the program's own requests to a server of the client (httpoxy) |
//! | Authorization, Proxy-Authorization | other users may read an environment; see [`Cgi::with_authorization`] |
//! | a name with another byte than letters, digits and `-` | `X_Real_IP` and `X-Real-IP` would be one variable |
//! | Connection, and those about one connection | they are about the server |
//!
//! A query is never passed as arguments (RFC 3875, 4.4, allows it), because a client would choose the options of the
//! program.
//!
//! # The answer
//!
//! | the program's fields | the client receives |
//! |---|---|
//! | Content-Type | 200 |
//! | Status: 404 Not Found | that status |
//! | Location, without Status | 302 with that Location, also if it is a path: the server makes no request of its own (a local redirect, RFC 3875, 6.2.2) |
//! | none of the three; one of them twice; a malformed line; more than 32 KiB | 502 |
//! | Transfer-Encoding | 502: the server decides how the body is sent |
//! | Connection, and those about one connection | the answer without them |
//!
//! Lines end with LF or CR LF. The body is sent as it comes, with the Content-Length of the program if it has one. It
//! ends with the standard output, or with the program. A child that the program leaves behind does not extend it.
//!
//! | event | the client receives |
//! |---|---|
//! | the program cannot be started, or ends before the end of its fields | 502 |
//! | it makes no progress for [60 seconds](Cgi::time_limit) | 504. The program is killed |
//! | a signal kills it, or it stalls, after its fields | the connection is cut, so that the body does not look whole |
//! | it ends with another code than 0, after its fields | the whole answer. The log has a line |
//! | [too many programs](Cgi::programs_max) run | the answer when one of them has ended, or 503 |
//!
//! The program leads a process group. If its client leaves, or if the server ends, all of the group is killed. The server
//! waits for its status in each case, so that no zombie is left.
//!
//! Each line of the standard error is a line of the log (`tracing`, level warn).
//!
//! # Invariants
//!
//! - Always: input, output and standard error are moved at the same time, so no full pipe stops the program.
//! - Never: a program that runs after its request, unless it has closed its output or left the process group.

mod answer_head;
mod environment;
mod program;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::future::{pending, poll_fn};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_io::AsyncWrite;
use http::header::CONTENT_TYPE;
use waterwheel_runtime::io::PipeWriter;
use waterwheel_runtime::sync::Semaphore;
use waterwheel_runtime::time::timeout;
use waterwheel_runtime::{race, spawn};

use crate::error::{Refusal, Result};
use crate::exchange::body::Body;
use crate::exchange::handler::{Handler, Responded};
use crate::exchange::request::Request;
use crate::shared::reasons;
use crate::web::gateway::{self, Watch};

use answer_head::CgiHead;
use program::{Program, ProgramOutput};

/// A program that answers requests; see [the module](self).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::cgi::Cgi;
/// use waterwheel::runtime::block_on;
///
/// let script = r#"printf 'Content-Type: text/plain\n\n%s asks for %s by %s' "$USER" "$PATH_INFO" "$REQUEST_METHOD""#;
/// let cgi = Cgi::new("/bin/sh")
///     .arg("-c")
///     .arg(script)
///     .script_name("/flour")
///     .env("USER", "miller")
///     .current_dir("/")
///     .time_limit(Duration::from_secs(10))
///     .programs_max(4);
/// let answer = block_on(async { TestClient::new(cgi).get("/flour/rye?fine").await });
/// assert_eq!(answer.text(), "miller asks for /rye by GET");
/// ```
///
/// PHP:
///
/// ```no_run
/// use waterwheel::http::web::cgi::Cgi;
///
/// let page = Cgi::new("php-cgi")
///     .script_name("/index.php")
///     .env("SCRIPT_FILENAME", "/srv/www/index.php")
///     .env("REDIRECT_STATUS", "200"); // php-cgi refuses to run without it
/// # drop(page);
/// ```
pub struct Cgi {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    script_name: String,
    has_authorization: bool,
    /// The longest body without a length that is kept for its program, which must know the length before it starts.
    chunked_bytes_max: u64,
    time_limit: Duration,
    places: Rc<Semaphore>,
}

/// How long a program may run after the end of its output until the answer ends without its status. The usual
/// program ends in microseconds.
const EXIT_GRACE: Duration = Duration::from_millis(100);

impl Cgi {
    /// Makes a handler of a program. A plain name is searched in `PATH`.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
            folder: None,
            script_name: String::new(),
            has_authorization: false,
            chunked_bytes_max: 1024 * 1024,
            time_limit: Duration::from_secs(60),
            places: Rc::new(Semaphore::new(32)),
        }
    }

    /// Adds an argument for each start.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Sets a variable for each start. It replaces a variable of the request.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let variable = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.variables.push(variable);
        self
    }

    /// Sets the folder in which the program starts. Default: that of this process.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Sets the path of the program, such as `/cgi-bin/search`, below the prefixes of routers. The rest of a request's
    /// path is `PATH_INFO`. A request for another path is answered 404. Default: empty.
    ///
    /// # Panics
    ///
    /// If the path is not empty and does not start with `/`, or if it ends with `/`.
    #[must_use]
    pub fn script_name(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        let is_path = path.starts_with('/') && !path.ends_with('/');
        assert!(path.is_empty() || is_path, "{path:?} is not `/name`");
        self.script_name = path;
        self
    }

    /// Passes Authorization to the program, as `HTTP_AUTHORIZATION`, so that it can check passwords itself. On many
    /// systems, other users can read the environment of a process of theirs only; check yours first.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::cgi::Cgi;
    ///
    /// let repository = Cgi::new("/usr/lib/git-core/git-http-backend").with_authorization();
    /// # drop(repository);
    /// ```
    #[must_use]
    pub fn with_authorization(mut self) -> Self {
        self.has_authorization = true;
        self
    }

    /// Sets the longest chunked body, in bytes. CGI tells a program the length before it starts, so such a body is kept
    /// in memory until it is whole. A longer one is answered 413. Default: 1 MiB. A body with a Content-Length is not
    /// kept, and may have the length that the server's limits allow.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::cgi::Cgi;
    ///
    /// // git sends a large push in chunks.
    /// let repository = Cgi::new("/usr/lib/git-core/git-http-backend").chunked_body_max(64 << 20);
    /// # drop(repository);
    /// ```
    #[must_use]
    pub fn chunked_body_max(mut self, bytes: u64) -> Self {
        self.chunked_bytes_max = bytes;
        self
    }

    /// Sets how long a program may make no progress: it reads no byte, writes no byte, and does not end. The time in
    /// which the client makes it wait does not count. Default: 60 seconds.
    #[must_use]
    pub fn time_limit(mut self, duration: Duration) -> Self {
        self.time_limit = duration;
        self
    }

    /// Sets how many programs run at once. Default: 32. Further requests wait in order, up to the
    /// [time limit](Self::time_limit), and are answered 503 then.
    ///
    /// # Panics
    ///
    /// If `programs` is 0.
    #[must_use]
    pub fn programs_max(mut self, programs: usize) -> Self {
        assert!(programs > 0, "at least one program must run");
        self.places = Rc::new(Semaphore::new(programs));
        self
    }

    /// Starts the program for a request, and moves the bytes of both.
    async fn run(&self, request: Request<'_>) -> Result<Responded> {
        let mut command = self.command(&request)?;
        let Ok(place) = timeout(self.time_limit, self.places.clone().acquire_owned()).await else {
            return Err(Refusal::TooManyAtOnce.into());
        };
        let input = self.input(&request).await?;
        if let Some(bytes) = input.length() {
            command.env("CONTENT_LENGTH", bytes.to_string());
        }
        let watch = Watch::new(self.time_limit);
        let (mut program, stdin, output) = Program::start(&mut command, &input)
            .map_err(|error| gateway::bad(format!("{} does not start: {error}", self.name())))?;
        let answered = {
            let answer = answer(request, &mut program, output, &watch);
            let beside = async {
                if let Some(stdin) = stdin {
                    input.feed(stdin, &watch).await?;
                }
                pending().await
            };
            let late = async {
                watch.expired().await;
                let limit = self.time_limit;
                Err(gateway::late(format!(
                    "{} has made no progress for {limit:?}",
                    self.name()
                )))
            };
            // The answer is first, because it may be whole when the client of the input leaves.
            race(answer, race(beside, late)).biased().await
        };
        if answered.is_ok() && !program.has_ended() {
            // It has closed its output, so its answer is whole. The place is taken until it ends.
            let limit = self.time_limit;
            let ended = async move {
                let _place = place;
                drop(timeout(limit, program.ended()).await);
            };
            spawn(reasons::named("end of program", ended)).detach();
        }
        answered
    }

    /// Returns the input of the program.
    async fn input<'c>(&self, request: &Request<'c>) -> Result<ProgramInput<'c>> {
        let body = request.body();
        match body.left() {
            Some(0) => Ok(ProgramInput::Empty),
            Some(bytes) => Ok(ProgramInput::Streamed(body, bytes)),
            None => Ok(ProgramInput::Collected(
                body.bytes(self.chunked_bytes_max).await?,
            )),
        }
    }

    /// Returns the program's name for the log.
    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }
}

impl Handler for Cgi {
    fn call(&self, request: Request<'_>) -> impl Future<Output = Result<Responded>> {
        self.run(request)
    }
}

impl fmt::Debug for Cgi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cgi")
            .field("program", &self.program)
            .field("script_name", &self.script_name)
            .finish_non_exhaustive()
    }
}

/// The body of a request, on its way to the program.
enum ProgramInput<'c> {
    Empty,
    /// The client has announced this length.
    Streamed(Body<'c>, u64),
    /// The client has announced no length, and CGI has no other end than a length.
    Collected(Vec<u8>),
}

impl ProgramInput<'_> {
    fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => None,
            Self::Streamed(_, bytes) => Some(*bytes),
            Self::Collected(bytes) => Some(bytes.len() as u64),
        }
    }

    /// Writes the body into the program, until the program closes its input.
    ///
    /// # Errors
    ///
    /// Those of reading the body. The errors of the pipe end the input: a program need not read it.
    async fn feed(self, mut stdin: PipeWriter, watch: &Watch) -> Result<()> {
        match self {
            Self::Empty => {}
            Self::Collected(bytes) => drop(write_all(&mut stdin, &bytes, watch).await),
            Self::Streamed(mut body, _) => {
                while let Some(piece) = watch.without(body.next()).await? {
                    if write_all(&mut stdin, &piece, watch).await.is_err() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Writes all bytes. Each write is progress of the program.
async fn write_all(stdin: &mut PipeWriter, mut bytes: &[u8], watch: &Watch) -> io::Result<()> {
    while !bytes.is_empty() {
        let write = poll_fn(|cx| Pin::new(&mut *stdin).poll_write(cx, bytes));
        let count = write.await?;
        watch.progress();
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Sends the output of a program as the answer to a request.
async fn answer(
    request: Request<'_>,
    program: &mut Program,
    mut output: ProgramOutput,
    watch: &Watch,
) -> Result<Responded> {
    let left = async {
        request.disconnected().await;
        Err(gateway::client_has_left())
    };
    let head = race(read_head(program, &mut output, watch), left).await?;
    let CgiHead { status, fields } = head;
    let is_without_type = !fields.contains_key(CONTENT_TYPE);
    // An answer that cannot be sent is a fault of the program.
    let blame = |error| gateway::blame("the program", error);
    let mut answer = request.start(status, fields).await.map_err(blame)?;
    let mut has_body = false;
    loop {
        let piece = output.piece();
        if !piece.is_empty() {
            has_body = true;
            if answer.is_sent() {
                let written = watch.without(answer.write(piece)).await;
                written.map_err(blame)?;
            }
            output.consume(output.piece().len());
        }
        let left = async {
            answer.disconnected().await;
            Err(gateway::client_has_left())
        };
        if race(output.fill(program, watch), left).await? == 0 {
            break;
        }
    }
    if has_body && is_without_type {
        tracing::debug!("a program has sent a body without a Content-Type");
    }
    // The end of the output does not tell whether the body is whole. The status does.
    if let Ok(status) = timeout(EXIT_GRACE, program.ended()).await {
        let status = status?;
        if let Some(signal) = status.signal() {
            return Err(gateway::bad(format!(
                "signal {signal} has killed the program"
            )));
        }
        if !status.success() {
            tracing::warn!(%status, "a program has failed after its answer");
        }
    }
    watch.without(answer.finish()).await.map_err(blame)
}

/// Reads up to the end of the program's fields.
async fn read_head(
    program: &mut Program,
    output: &mut ProgramOutput,
    watch: &Watch,
) -> Result<CgiHead> {
    loop {
        if let Some((head, length)) = answer_head::parse(output.piece()).map_err(gateway::bad)? {
            output.consume(length);
            return Ok(head);
        }
        if output.fill(program, watch).await? == 0 {
            let end = match timeout(EXIT_GRACE, program.ended()).await {
                Ok(status) => format!(" ({})", status?),
                Err(_) => String::new(),
            };
            let text = format!("the program has ended its output within its fields{end}");
            return Err(gateway::bad(text));
        }
    }
}
