//! A page that shows how a runtime works, while it works. See [`serve`].
//!
//! # How it works
//!
//! ```text
//!  the watched thread          │ the thread of the page
//!  executor ──► ring ──────────┼──► Recorder ──► /trace.json, /events, /dump.json ──► the browser
//!           ◄── gate ◄─────────┼─── Control  ◄── /control
//! ```
//!
//! The page has a thread and a runtime of its own, which it does not watch. So it answers while a task holds the
//! watched thread. It never waits for that thread.
//!
//! - `inspect/access.rs`: who may see the page
//! - `inspect/answers.rs`: the answer to each request
//! - `inspect/delta.rs`: the newest events, for one browser
//! - `runtime/src/inspect/player.html`: the page itself, which also shows recordings
//!
//! # Invariants
//!
//! - Always: the page is for this machine alone, unless the program decides otherwise.
//! - Always: a request without the token is refused.
//! - Never: a program that stays paused when the last browser has left.

use std::fmt;
use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs};

use waterwheel_runtime::inspect::{Recorder, recorder};
use waterwheel_runtime::net::TcpListener;

use crate::limits::Limits;
use crate::server::Server;
use crate::server::threads::ServerThread;
use crate::web::inspect::access::PageToken;
use crate::web::inspect::answers::PageAnswers;

mod access;
mod answers;
mod delta;

/// Serves a page that shows the runtime that this thread is inside. Prints its URL to the standard error.
///
/// Open the URL in a browser on the same machine. The page ends when the returned [`Page`] is dropped.
///
/// # Errors
///
/// If the runtime does not record ([`Options`](waterwheel_runtime::inspect::Options)), if the address is not a
/// loopback address ([`PageBuilder::reachable_from_elsewhere`]), or if binding fails.
///
/// # Examples
///
/// ```
/// use waterwheel::inspect;
/// use waterwheel::runtime::Runtime;
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// runtime.block_on(async {
///     let page = inspect::serve("127.0.0.1:0")?; // writes the URL to stderr
///     assert!(page.url().starts_with("http://127.0.0.1:"));
///     // … the program …
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub fn serve(address: impl ToSocketAddrs) -> io::Result<Page> {
    let recorder = recorder().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "there is no recording to show: build the runtime with Runtime::builder().inspect(…), \
             and call inspect::serve inside it",
        )
    })?;
    Page::of(recorder).serve(address)
}

/// The page that [`serve`] shows. Its drop ends the page, and resumes the program if it is paused.
///
/// # Examples
///
/// ```
/// use waterwheel::inspect::{self, Page};
/// use waterwheel::runtime::Runtime;
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let page: Page = runtime.block_on(async { inspect::serve("127.0.0.1:0") })?;
/// assert!(page.url().starts_with(&format!("http://{}/?token=", page.local_address())));
/// # std::io::Result::Ok(())
/// ```
#[must_use = "the page ends when this is dropped"]
pub struct Page {
    server: ServerThread,
    recorder: Recorder,
    token: PageToken,
}

impl Page {
    /// Sets up a page for a recorder, which may be that of a runtime on another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::inspect::{self, Page};
    /// use waterwheel::runtime::Runtime;
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// let recorder = runtime.block_on(async { inspect::recorder() }).expect("it records");
    /// let page = Page::of(recorder).serve("127.0.0.1:0")?;
    /// # drop(page);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn of(recorder: Recorder) -> PageBuilder {
        PageBuilder {
            recorder,
            is_for_all: false,
        }
    }

    /// Returns the address on which the page listens, with the real port if port 0 was requested.
    pub fn local_address(&self) -> SocketAddr {
        self.server.local_address()
    }

    /// Returns the URL, with the token that opens the page. All who know it can see and pause the program.
    pub fn url(&self) -> String {
        format!(
            "http://{}/?token={}",
            self.local_address(),
            self.token.as_str()
        )
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.stopper().cut();
        // At once: the page's own control ends only with its thread.
        self.recorder.control().resume();
    }
}

impl fmt::Debug for Page {
    /// Leaves out the token, because a debug line may go into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("local_address", &self.local_address())
            .finish_non_exhaustive()
    }
}

/// The settings of a [`Page`].
///
/// # Examples
///
/// ```
/// use waterwheel::inspect::{self, Page};
/// use waterwheel::runtime::Runtime;
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let recorder = runtime.block_on(async { inspect::recorder() }).expect("it records");
/// // Any thread may serve the page.
/// let page = Page::of(recorder).serve("127.0.0.1:0")?;
/// # drop(page);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct PageBuilder {
    recorder: Recorder,
    is_for_all: bool,
}

impl PageBuilder {
    /// Allows addresses that other machines can reach.
    ///
    /// The token is then the only protection, and it goes over the network unencrypted. A tunnel is better:
    /// `ssh -L 6669:127.0.0.1:6669 HOST`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use waterwheel::inspect::{self, Page};
    ///
    /// # fn example(recorder: inspect::Recorder) -> std::io::Result<()> {
    /// let page = Page::of(recorder).reachable_from_elsewhere().serve("0.0.0.0:6669")?;
    /// # drop(page);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reachable_from_elsewhere(mut self) -> Self {
        self.is_for_all = true;
        self
    }

    /// Binds the address, and serves the page on a thread of its own. Prints the URL to the standard error.
    ///
    /// # Errors
    ///
    /// If an address is not a loopback address, unless [`reachable_from_elsewhere`](Self::reachable_from_elsewhere) is
    /// set, or if binding fails.
    pub fn serve(self, address: impl ToSocketAddrs) -> io::Result<Page> {
        // A listener has an error that tells the form of an address.
        let found = address
            .to_socket_addrs()
            .map_err(|error| TcpListener::bind(&address).err().unwrap_or(error));
        let addresses: Vec<_> = found?.collect();
        if let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback())
            && !self.is_for_all
        {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "other machines could reach the page at {open}: use 127.0.0.1, \
                     or allow it with Page::of(…).reachable_from_elsewhere()"
                ),
            ));
        }
        let token = PageToken::random();
        let (recorder, answers_token) = (self.recorder.clone(), token.clone());
        // A page has few clients, and they send short requests.
        let limits = Limits {
            connections_max: Some(64),
            body_bytes_max: 1024,
            ..Limits::default()
        };
        let server = Server::builder()
            .limits(limits)
            .stoppable(addresses.as_slice(), move || {
                PageAnswers::new(recorder, answers_token).into_handler()
            })?;
        let page = Page {
            server,
            recorder: self.recorder,
            token,
        };
        // `eprintln` panics if no process reads stderr.
        let line = format!("waterwheel: watch it run: {}\n", page.url());
        let _written = io::stderr().write_all(line.as_bytes());
        Ok(page)
    }
}

impl fmt::Debug for PageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageBuilder")
            .field("is_for_all", &self.is_for_all)
            .finish_non_exhaustive()
    }
}
