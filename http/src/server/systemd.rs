//! Messages to systemd: ready, stopping, reloading, and the watchdog.
//!
//! One message is one datagram to the socket that `NOTIFY_SOCKET` names (`sd_notify(3)`).

use std::cell::Cell;
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use waterwheel_runtime::time::sleep;
use waterwheel_runtime::{join, race};

use crate::log;
use crate::server::Server;
use crate::shared::stop::Wanted;

/// The longest time for one message, because a full queue must not stop the server.
const SEND_PATIENCE: Duration = Duration::from_millis(100);

/// Tells systemd about a server, for a unit with `Type=notify`, `Type=notify-reload` or `WatchdogSec=`.
///
/// If no systemd listens, each message has no effect, so the same program runs by hand. A clone sends to the same
/// systemd, from any thread.
///
/// | message | sent by | when |
/// |---|---|---|
/// | `READY=1` | [`during`](Self::during) | an accept loop waits for its first client |
/// | `STOPPING=1` | [`during`](Self::during) | the server is asked to end |
/// | `WATCHDOG=1` | [`during`](Self::during) | each half of `WatchdogSec=`, from the runtime's thread: a blocked thread sends none |
/// | `RELOADING=1`, then `READY=1` | [`reload`](Self::reload), and a reload of certificates by `TlsReloader::with_systemd` | around the work |
///
/// With [workers](crate::Builder::workers), each worker calls `during` with a value of its own. The first one that serves
/// sends `READY=1`. systemd then receives signs of life while one worker runs, so it does not notice that another one
/// is blocked. See [`alive`](Self::alive) for a check of your own.
///
/// # Examples
///
/// ```no_run
/// use waterwheel::http::{Request, Responded, Result, Server, StatusCode, Systemd};
/// use waterwheel::runtime::{block_on, signal};
///
/// async fn hello(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "Hello", ()).await
/// }
///
/// let systemd = Systemd::from_env()?;
/// block_on(async {
///     let server = Server::bind("127.0.0.1:8080")?;
///     let served = server.serve_until(hello, signal::shutdown());
///     systemd.during(&server, served).await
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Systemd {
    channel: Arc<NotifyChannel>,
    watchdog: Option<Duration>,
}

struct NotifyChannel {
    /// `None` if no systemd listens.
    socket: Option<UnixDatagram>,
    /// True between READY and STOPPING. A reload before or after that is part of the start or the end.
    is_serving: AtomicBool,
}

impl Systemd {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. Child processes inherit these variables.
    ///
    /// # Errors
    ///
    /// If there is a socket, and it cannot be reached or has an address of another kind. An empty variable counts as
    /// an absent one.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Systemd;
    ///
    /// Systemd::from_env()?.status("reading the index")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_env() -> io::Result<Self> {
        let variable = |name| env::var(name).ok();
        Self::new(
            env::var_os("NOTIFY_SOCKET").as_deref(),
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
        )
    }

    /// Makes one for a socket, for tests in other modules.
    #[cfg(all(test, feature = "tls"))]
    pub(crate) fn connected(path: &str) -> io::Result<Self> {
        Self::new(Some(path.as_ref()), None, None)
    }

    fn new(path: Option<&OsStr>, usec: Option<&str>, pid: Option<&str>) -> io::Result<Self> {
        let path = path.filter(|path| !path.is_empty());
        let socket = path.map(connect).transpose()?;
        // A watchdog of another process, such as a parent, is not for this one.
        let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let usec = usec.and_then(|usec| usec.parse().ok());
        let watchdog = usec.filter(|usec| is_ours && *usec > 0);
        Ok(Self {
            channel: Arc::new(NotifyChannel {
                socket,
                is_serving: AtomicBool::new(false),
            }),
            watchdog: watchdog.map(Duration::from_micros),
        })
    }

    /// Returns the longest pause between two signs of life that systemd accepts.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Systemd;
    ///
    /// let longest_pause = Systemd::from_env()?.watchdog();
    /// # drop(longest_pause);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells systemd that the service serves, or that a reload has ended.
    ///
    /// # Errors
    ///
    /// If the message cannot be sent within 100 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Systemd;
    ///
    /// Systemd::from_env()?.ready()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn ready(&self) -> io::Result<()> {
        self.channel.is_serving.store(true, Ordering::Relaxed);
        self.send("READY=1")
    }

    /// Tells systemd that the service has begun to end.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Systemd;
    ///
    /// Systemd::from_env()?.stopping()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn stopping(&self) -> io::Result<()> {
        self.channel.is_serving.store(false, Ordering::Relaxed);
        self.send("STOPPING=1")
    }

    /// Tells systemd that a reload has begun. Call [`ready`](Self::ready) after it, or let [`reload`](Self::reload) do
    /// both.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Systemd;
    ///
    /// let systemd = Systemd::from_env()?;
    /// systemd.reloading()?;
    /// // … read the certificates again …
    /// systemd.ready()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn reloading(&self) -> io::Result<()> {
        let now = clock_gettime(ClockId::Monotonic);
        // `Type=notify-reload` compares this time with that of its signal.
        let usec = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"))
    }

    /// Does the work of a reload between the messages `RELOADING=1` and `READY=1`. So `systemctl reload` waits for the
    /// end of the work, also if the work fails or panics. A message that fails is logged.
    ///
    /// Before [`ready`](Self::ready) and after [`stopping`](Self::stopping), this sends no message.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Systemd;
    ///
    /// let systemd = Systemd::from_env()?;
    /// let prices: Vec<u32> = systemd.reload(|| vec![7, 8]); // reads a file again
    /// # drop(prices);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn reload<T>(&self, work: impl FnOnce() -> T) -> T {
        let is_told = self.channel.is_serving.load(Ordering::Relaxed);
        if is_told {
            log_failure(self.reloading());
        }
        let _end = is_told.then_some(ReloadEnd(self));
        work()
    }

    /// Sends a sign of life, for programs that check themselves in another way than [`during`](Self::during) does. Call it
    /// at least once in each [`watchdog`](Self::watchdog), and not in a thread that only sends.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Systemd;
    ///
    /// let systemd = Systemd::from_env()?;
    /// let queue_moves = true; // a check of the program
    /// if queue_moves {
    ///     systemd.alive()?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn alive(&self) -> io::Result<()> {
        self.send("WATCHDOG=1")
    }

    /// Sets the line that `systemctl status` shows. Line ends become spaces.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    pub fn status(&self, text: &str) -> io::Result<()> {
        // A line end would begin another message.
        self.send(&format!("STATUS={}", text.replace(['\n', '\r'], " ")))
    }

    /// Runs `serving`, and sends the messages of the table above meanwhile. A message that fails is logged.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As that of `serving`.
    pub async fn during<T>(&self, server: &Server, serving: impl Future<Output = T>) -> T {
        let has_told_end = Cell::new(false);
        let life = async {
            server.has_begun().await;
            log_failure(self.ready());
            let stopped = server.stopping.wanted(Wanted::Stop);
            // Both, because `Server::shutdown` does not ask the stopper.
            race(stopped, server.shared.ending.wait()).await;
            has_told_end.set(true);
            log_failure(self.stopping());
        };
        let messages = async {
            join(life, self.watch()).await;
            pending().await
        };
        let output = race(serving, messages).await;
        // An idle server may end in the poll that stops it.
        if !has_told_end.get() {
            log_failure(self.stopping());
        }
        output
    }

    /// Sends signs of life, if systemd wants them.
    async fn watch(&self) {
        let Some(longest) = self.watchdog else {
            return;
        };
        loop {
            log_failure(self.alive());
            sleep(longest / 2).await;
        }
    }

    fn send(&self, message: &str) -> io::Result<()> {
        let Some(socket) = &self.channel.socket else {
            return Ok(());
        };
        socket.send(message.as_bytes()).map(drop)
    }
}

/// Tells systemd that a reload has ended, also if its work panics: systemd would wait for its end, and then stop the
/// service.
struct ReloadEnd<'s>(&'s Systemd);

impl Drop for ReloadEnd<'_> {
    fn drop(&mut self) {
        // A service that ends meanwhile stays on its way to the end.
        if self.0.channel.is_serving.load(Ordering::Relaxed) {
            log_failure(self.0.ready());
        }
    }
}

impl fmt::Debug for Systemd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Systemd")
            .field("listens", &self.channel.socket.is_some())
            .field("watchdog", &self.watchdog)
            .finish()
    }
}

fn connect(path: &OsStr) -> io::Result<UnixDatagram> {
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(SEND_PATIENCE))?;
    Ok(socket)
}

fn log_failure(sent: io::Result<()>) {
    if let Err(error) = sent {
        log::systemd_failed(&error);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use waterwheel_runtime::time::pause;

    use super::*;
    use crate::exchange::request::Request;
    use crate::limits::Limits;

    /// Returns the socket of a systemd, and a service that was started with these variables of a watchdog.
    fn service(test: &str, usec: Option<&str>) -> (UnixDatagram, Systemd) {
        let name = format!("waterwheel-{test}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let systemd = Systemd::new(Some(format!("@{name}").as_ref()), usec, None).unwrap();
        (socket, systemd)
    }

    /// Returns the messages that have arrived. The time in them is replaced by `TIME`.
    fn messages(socket: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 256];
        let mut all = Vec::new();
        while let Ok(len) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            let timed = text.split_once("MONOTONIC_USEC=");
            all.push(match timed {
                Some((head, usec)) => {
                    assert!(usec.parse::<u64>().unwrap() > 0, "{text}");
                    format!("{head}MONOTONIC_USEC=TIME")
                }
                None => text,
            });
        }
        all
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let own = std::process::id().to_string();
        for (usec, pid, watchdog) in [
            (Some("3000000"), None, Some(3)),
            (Some("3000000"), Some(own.as_str()), Some(3)),
            (Some("3000000"), Some("1"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
            (None, None, None),
        ] {
            let systemd = Systemd::new(None, usec, pid).unwrap();
            assert_eq!(systemd.watchdog(), watchdog.map(Duration::from_secs));
        }
    }

    #[test]
    fn a_path_of_a_socket_is_any_bytes_and_an_empty_one_is_absent() {
        assert!(
            Systemd::new(Some(OsStr::new("")), None, None)
                .unwrap()
                .ready()
                .is_ok()
        );
        let folder = env::temp_dir().join(format!("waterwheel-path-{}", std::process::id()));
        let path = folder.join(OsStr::from_bytes(b"\xff.sock"));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Systemd::new(Some(path.as_os_str()), None, None)
            .unwrap()
            .ready()
            .unwrap();
        assert_eq!(messages(&socket), ["READY=1"]);
        drop(socket);
        // The process that started this one has ended.
        assert!(Systemd::new(Some(path.as_os_str()), None, None).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_server_tells_its_begin_its_life_and_its_end() {
        let (socket, systemd) = service("life", Some("200000"));
        waterwheel_runtime::block_on(async {
            let limits = Limits {
                unready_duration: Duration::from_secs(60),
                ..Limits::DEFAULT
            };
            let server = Server::builder().limits(limits).bind("127.0.0.1:0");
            let server = server.unwrap();
            pause();
            let hello = async |request: Request<'_>| {
                request.respond(crate::StatusCode::OK, "hello", ()).await
            };
            let story = async {
                sleep(Duration::from_millis(250)).await;
                let first = messages(&socket);
                assert!(first.contains(&"READY=1".to_owned()), "{first:?}");
                let beats = first.iter().filter(|message| *message == "WATCHDOG=1");
                assert_eq!(beats.count(), 3, "{first:?}");
                server.stopper().stop();
                sleep(Duration::from_millis(50)).await;
                let last = messages(&socket);
                assert!(last.contains(&"STOPPING=1".to_owned()), "{last:?}");
                // Told while the server still accepts.
                assert!(!server.is_ready() && !server.is_stopping());
                server.stopper().cut();
            };
            let life = systemd.during(&server, server.serve(hello));
            join(life, story).await.0.unwrap();
        });
    }

    #[test]
    fn an_abstract_socket_receives_each_message() {
        let (socket, systemd) = service("each", None);
        systemd.ready().unwrap();
        systemd.alive().unwrap();
        systemd.reloading().unwrap();
        systemd.status("two\nlines").unwrap();
        systemd.stopping().unwrap();
        let all = [
            "READY=1",
            "WATCHDOG=1",
            "RELOADING=1\nMONOTONIC_USEC=TIME",
            "STATUS=two lines",
            "STOPPING=1",
        ];
        assert_eq!(messages(&socket), all);
    }

    #[test]
    fn a_reload_is_told_from_its_begin_to_its_end_also_if_it_panics() {
        let (socket, systemd) = service("reload", None);
        // A part of the start: the service is not ready yet.
        assert_eq!(systemd.reload(|| 7), 7);
        assert_eq!(messages(&socket), [""; 0]);
        systemd.ready().unwrap();
        messages(&socket);
        let reloading = "RELOADING=1\nMONOTONIC_USEC=TIME";
        let other = systemd.clone();
        let at_work = || messages(&socket);
        assert_eq!(other.reload(at_work), [reloading]);
        assert_eq!(messages(&socket), ["READY=1"]);
        let fails = || systemd.reload(|| panic!("no such file"));
        assert!(catch_unwind(AssertUnwindSafe(fails)).is_err());
        assert_eq!(messages(&socket), [reloading, "READY=1"]);
        // READY would be wrong after STOPPING.
        systemd.reload(|| systemd.stopping()).unwrap();
        assert_eq!(messages(&socket), [reloading, "STOPPING=1"]);
        systemd.reload(|| ());
        assert_eq!(messages(&socket), [""; 0]);
    }

    #[test]
    fn a_watchdog_of_half_a_million_years_sends_one_sign() {
        let (socket, systemd) = service("patience", Some("18446744073709551615"));
        waterwheel_runtime::block_on(async {
            pause();
            race(systemd.watch(), sleep(Duration::from_secs(3600))).await;
        });
        assert_eq!(messages(&socket), ["WATCHDOG=1"]);
    }
}
