//! The server under load. It is a process of its own, so that its memory is not mixed with its clients'.

use std::cell::{Cell, RefCell};
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::support::process::again;
use socket2::{Domain, Socket, Type};
use waterwheel::http::{Limits, Request, Responded, Result, Server, StatusCode, shared};
use waterwheel::runtime::{self, spawn_blocking};

use crate::PIECE_BYTES;

/// The length of the answer to `/large`.
pub(crate) const LARGE_BYTES: usize = 8 * 1024 * 1024;

/// The length of the answer to `/page`.
pub(crate) const PAGE_BYTES: usize = 1024;

/// The time that [`Deadlines::Short`] allows slow clients.
pub(crate) const SHORT: Duration = Duration::from_secs(3);

/// The environment variable that names the deadlines of a child.
const VARIABLE: &str = "WATERWHEEL_LOAD";

/// The deadlines of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadlines {
    /// The defaults.
    Usual,
    /// [`SHORT`], so that a test can see them pass.
    Short,
}

/// The work of a child process. Has no effect in the parent.
#[test]
fn child() {
    let Ok(deadlines) = env::var(VARIABLE) else {
        return;
    };
    runtime::block_on(serve(limits(&deadlines))).unwrap();
}

fn limits(deadlines: &str) -> Limits {
    let patient = Limits::default().with(|limits| limits.body_bytes_max = u64::MAX);
    if deadlines != format!("{:?}", Deadlines::Short) {
        return patient;
    }
    patient.with(|limits| {
        limits.head_duration_max = SHORT;
        limits.body_stall_duration_max = SHORT;
        limits.write_stall_duration_max = SHORT;
    })
}

/// Serves until the parent is gone.
async fn serve(limits: Limits) -> io::Result<()> {
    let server = Server::builder().limits(limits).bind("127.0.0.1:0")?;
    println!("listening on http://{}", server.local_address());
    let things = Things::new()?;
    let handler = shared(async move |request: Request<'_>| answer(request, &things).await);
    let orphaned = spawn_blocking(|| io::stdin().read(&mut [0]).map(drop));
    runtime::race(server.serve(handler), async { orphaned.await.unwrap() }).await
}

/// The state of the handler.
struct Things {
    piece: Vec<u8>,
    large: Rc<[u8]>,
    /// A body of any length, with zeros in it.
    sparse: File,
    answered: Cell<u64>,
}

impl Things {
    fn new() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("waterwheel-load-{}", std::process::id()));
        let sparse = File::create_new(&path)
            .and_then(|_| File::options().write(true).read(true).open(&path))?;
        fs::remove_file(path)?;
        Ok(Self {
            piece: vec![b'x'; PIECE_BYTES],
            large: vec![b'x'; LARGE_BYTES].into(),
            sparse,
            answered: Cell::new(0),
        })
    }
}

async fn answer(request: Request<'_>, things: &Things) -> Result<Responded> {
    things.answered.set(things.answered.get() + 1);
    match request.path() {
        "/upload" => count(request).await,
        "/sized" => pieces(request, things, Length::Announced).await,
        "/chunked" => pieces(request, things, Length::Unknown).await,
        "/file" => file(request, things).await,
        "/large" => request.respond(StatusCode::OK, &things.large, ()).await,
        "/page" => {
            request
                .respond(StatusCode::OK, &things.piece[..PAGE_BYTES], ())
                .await
        }
        "/work" => {
            work();
            request.respond(StatusCode::OK, "done", ()).await
        }
        "/answered" => {
            let answered = things.answered.get().to_string();
            request.respond(StatusCode::OK, answered, ()).await
        }
        _ => request.respond(StatusCode::OK, "here", ()).await,
    }
}

/// Takes the time that a handler may take, so that the server has too much to do, not its clients.
fn work() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(10) {}
}

/// Reads the body piece by piece, and answers with the number of its bytes.
async fn count(request: Request<'_>) -> Result<Responded> {
    let mut body = request.body();
    let mut bytes = 0;
    while let Some(piece) = body.next().await? {
        bytes += piece.len();
    }
    request.respond(StatusCode::OK, bytes.to_string(), ()).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Announced,
    Unknown,
}

/// Answers with as many bytes as the query asks for, piece by piece.
async fn pieces(request: Request<'_>, things: &Things, length: Length) -> Result<Responded> {
    let bytes = wanted(&request)?;
    let announced = (length == Length::Announced).then(|| content_length(bytes));
    let mut body = request.start(StatusCode::OK, announced.as_slice()).await?;
    for _ in 0..bytes / PIECE_BYTES as u64 {
        body.write(&things.piece).await?;
    }
    body.finish().await
}

/// Answers with as many bytes of a file as the query asks for.
async fn file(request: Request<'_>, things: &Things) -> Result<Responded> {
    let bytes = wanted(&request)?;
    things.sparse.set_len(bytes)?;
    let headers = [content_length(bytes)];
    let mut body = request.start(StatusCode::OK, headers).await?;
    body.send_file(&things.sparse, 0..bytes).await?;
    body.finish().await
}

fn wanted(request: &Request<'_>) -> Result<u64> {
    Ok(request.query().unwrap_or_default().parse()?)
}

fn content_length(bytes: u64) -> (&'static str, String) {
    ("content-length", bytes.to_string())
}

/// A server process. It ends when it is dropped, and with its parent.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    pub(crate) fn start(deadlines: Deadlines) -> Self {
        let mut child = again("server::child")
            .env(VARIABLE, format!("{deadlines:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| Some(line.unwrap().split_once("http://")?.1.parse()));
        Self {
            child,
            address: address.unwrap().unwrap(),
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address).unwrap_or_else(|error| panic!("{error}: {}", self.state()))
    }

    pub(crate) fn connect_from_afar(&self) -> TcpStream {
        connect_from_afar(self.address)
    }

    /// Returns the bytes of memory that are resident now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.size("VmRSS:")
    }

    /// Returns the time for which its threads were ready to run but had no processor.
    pub(crate) fn time_without_processor(&self) -> Duration {
        let threads = fs::read_dir(self.file("task"))
            .into_iter()
            .flatten()
            .flatten();
        threads
            .map(|thread| time_without_processor(&thread.path()))
            .sum()
    }

    /// Resets the peak.
    pub(crate) fn reset_peak(&self) {
        // `clear_refs` in proc(5). If it cannot be written, the old peak only hides less than the server
        // needed to start.
        drop(fs::write(self.file("clear_refs"), "5"));
    }

    /// Returns the peak of the resident bytes since then.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.size("VmHWM:")
    }

    /// Returns a size of `status`, in bytes.
    fn size(&self, name: &str) -> u64 {
        let size = self.status(name).unwrap();
        let kibibytes: u64 = size.trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024
    }

    /// Returns the state of the process: running, sleeping or dead.
    fn state(&self) -> String {
        self.status("State:").unwrap_or("gone".to_owned())
    }

    /// Returns the numbers of `status` (proc(5)).
    fn status(&self, name: &str) -> Option<String> {
        let status = fs::read_to_string(self.file("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }
}

/// Returns the time for which a thread was ready to run but had no processor, from its folder in `/proc`. It is
/// zero if the kernel does not count it (`schedstat`, proc(5)).
pub(crate) fn time_without_processor(thread: &Path) -> Duration {
    let counts = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let waited = counts
        .split(' ')
        .nth(1)
        .and_then(|count| count.parse().ok());
    Duration::from_nanos(waited.unwrap_or_default())
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects like a distant client with small buffers. The kernels hold kilobytes of an answer that it does not
/// read. With the segments of the loopback, it would be megabytes.
fn connect_from_afar(address: SocketAddr) -> TcpStream {
    const SEGMENT_BYTES: u32 = 1448;
    const WINDOW_BYTES: usize = 4096;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_tcp_mss(SEGMENT_BYTES).unwrap();
    socket.set_recv_buffer_size(WINDOW_BYTES).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    socket.into()
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Accepts connections, and reads no byte of them.
pub(crate) struct Sink {
    listener: TcpListener,
    accepted: RefCell<Vec<TcpStream>>,
}

impl Sink {
    pub(crate) fn new() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            accepted: RefCell::default(),
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = connect_from_afar(self.listener.local_addr().unwrap());
        self.accepted
            .borrow_mut()
            .push(self.listener.accept().unwrap().0);
        stream
    }
}
