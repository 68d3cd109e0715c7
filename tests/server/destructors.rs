//! A destructor of the user that panics costs its own connection and no other.

use std::future::pending;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::panic_any;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::runtime::run;
use crate::support::server::DEADLINE;
use futures_lite::AsyncReadExt;
use waterwheel::http::{
    Io, Limits, OnPeerLimit, Request, Responded, Result, Server, StatusCode, Stream, TransportInfo,
};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{JoinHandle, spawn, spawn_blocking};

/// Panics when it is dropped.
#[derive(Clone)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a destructor panics");
    }
}

/// A transport that panics when it is dropped, and when it has read a `!`.
struct Mined(Stream, Bomb);

impl Io for Mined {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Io::poll_read(&self.0, cx, buffer);
        assert_ne!(buffer.first(), Some(&b'!'));
        read
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Io::poll_write(&self.0, cx, slices)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_flush(&self.0, cx)
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_end(&self.0, cx)
    }

    fn has_input(&self) -> bool {
        Io::has_input(&self.0)
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        Io::poll_closed(&self.0, cx)
    }
}

/// Reads one letter. `s` makes a plain stream. `m` makes a transport and a fact whose destructors panic. `w`
/// waits for ever beside a destructor that panics. `p` panics with a payload whose destructor panics.
async fn shake(mut stream: Stream, info: &mut TransportInfo) -> io::Result<Box<dyn Io>> {
    let bomb = Bomb;
    let mut letter = [0];
    stream.read_exact(&mut letter).await?;
    match letter[0] {
        b'w' => pending().await,
        b'p' => {
            std::mem::forget(bomb); // two panics at once would end the process
            panic_any(Bomb)
        }
        b'm' => {
            info.extensions_mut().insert(Bomb);
            Ok(Box::new(Mined(stream, bomb)))
        }
        _ => {
            std::mem::forget(bomb);
            Ok(Box::new(stream))
        }
    }
}

/// `/panic` panics with a payload whose destructor panics. `/upgrade` drops its stream. `/hold` waits for ever
/// beside a destructor that panics.
async fn answer(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/panic" => panic_any(Bomb),
        "/upgrade" => {
            let (responded, upgrade) = request.upgrade("chat", ()).await?;
            drop(upgrade);
            Ok(responded)
        }
        "/hold" => {
            let _bomb = Bomb;
            pending().await
        }
        _ => request.respond(StatusCode::OK, "hello", ()).await,
    }
}

fn connect(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// Sends bytes, and reads to the end, which may be a reset.
async fn ask(address: SocketAddr, text: &'static str) -> String {
    let client = spawn_blocking(move || {
        let mut answer = Vec::new();
        _ = connect(address, text).read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    client.await.unwrap()
}

const GET: &str = "sGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

struct Serving {
    server: Rc<Server>,
    task: JoinHandle<io::Result<()>>,
}

fn serve(limits: Limits) -> Serving {
    let builder = Server::builder().limits(limits).transport(shake);
    let builder = builder.on_peer_limit(OnPeerLimit::Close);
    let server = Rc::new(builder.bind("127.0.0.1:0").unwrap());
    let task = spawn({
        let server = server.clone();
        async move { server.serve(answer).await }
    });
    Serving { server, task }
}

impl Serving {
    /// Checks that the server still serves, has no connection left, and ends without a cut.
    async fn assert_unharmed(self, case: &str) {
        let Self { server, task } = self;
        let answer = ask(server.local_address(), GET).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{case}: {answer}");
        let empty = timeout(DEADLINE, async {
            while server.connections() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(empty.await.is_ok(), "{case}: {:?}", server.numbers());
        assert_eq!(server.numbers().handshakes, 0, "{case}");
        assert!(!task.is_finished(), "{case}");
        assert_eq!(server.shutdown(DEADLINE).await.cut, 0, "{case}");
        task.await.unwrap().unwrap();
    }
}

#[test]
fn a_handshake_whose_destructor_panics_harms_no_other_in_each_of_its_ends() {
    run(async {
        let limits = Limits::default().with(|limits| limits.handshakes_max = 1);
        let serving = serve(limits);
        let displaced = connect(serving.server.local_address(), "w");
        sleep(Duration::from_millis(50)).await;
        serving.assert_unharmed("displaced").await;
        drop(displaced);

        let limits = Limits::default()
            .with(|limits| limits.handshake_duration_max = Duration::from_millis(50));
        let serving = serve(limits);
        assert_eq!(ask(serving.server.local_address(), "w").await, "");
        serving.assert_unharmed("timed out").await;

        let serving = serve(Limits::default());
        assert_eq!(ask(serving.server.local_address(), "p").await, "");
        serving.assert_unharmed("panicked").await;

        let serving = serve(Limits::default());
        drop(connect(serving.server.local_address(), ""));
        serving.assert_unharmed("failed").await;

        let serving = serve(Limits::default());
        let cut = connect(serving.server.local_address(), "w");
        sleep(Duration::from_millis(50)).await;
        let report = serving.server.shutdown(Duration::from_millis(50)).await;
        assert_eq!((report.cut, serving.server.connections()), (1, 0));
        serving.task.await.unwrap().unwrap();
        drop(cut);
    });
}

#[test]
fn a_transport_whose_destructor_panics_leaves_its_place_to_the_next() {
    for (case, text, expected) in [
        (
            "answered",
            "mGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 ",
        ),
        ("refused", "mGET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        ("its read panics", "m!", ""),
        (
            "its handler panics",
            "mGET /panic HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP/1.1 500 ",
        ),
        (
            "given away",
            "mGET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
            "HTTP/1.1 101 ",
        ),
    ] {
        run(async {
            let limits = Limits::default().with(|limits| limits.connections_per_peer_max = Some(2));
            let serving = serve(limits);
            for _ in 0..5 {
                let answer = ask(serving.server.local_address(), text).await;
                assert!(answer.starts_with(expected), "{case}: {answer}");
            }
            serving.assert_unharmed(case).await;
        });
    }
}

#[test]
fn a_handler_and_a_transport_whose_destructors_panic_are_cut_together() {
    run(async {
        let serving = serve(Limits::default());
        let address = serving.server.local_address();
        let mut cut = connect(address, "mGET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        while serving.server.numbers().in_flight == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        let report = serving.server.shutdown(Duration::from_millis(50)).await;
        assert_eq!((report.cut, serving.server.connections()), (1, 0));
        serving.task.await.unwrap().unwrap();
        assert_eq!(cut.read(&mut [0]).unwrap_or(0), 0);
    });
}
