//! Servers on threads of their own: one, or one for each core.
//!
//! # How it works
//!
//! The sockets are bound on the caller's thread, so that the caller receives their errors. Then each thread
//! has a runtime and a [`Server`] of its own, and shares no state with the others. With several threads, the
//! kernel distributes the connections (`SO_REUSEPORT`). Each thread makes its own handlers, so they need not
//! be `Send`.
//!
//! # Invariants
//!
//! - Always: the drop of a thread's handle stops the thread and waits for it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use waterwheel_runtime::Runtime;

use crate::exchange::handler::Handler;
use crate::server::Server;
use crate::server::builder::Builder;
use crate::shared::stop::{Report, Stopper};
use crate::transport::listener::Listener;

impl Builder {
    /// Runs a server on a thread of its own. Any thread can stop it.
    ///
    /// The server listens when this returns. The new thread calls `make`.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), or if the thread or its runtime cannot be made.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::Cell;
    /// use waterwheel::http::{Request, Server, StatusCode};
    ///
    /// let server = Server::builder().stoppable("127.0.0.1:0", || {
    ///     let visits = Cell::new(0); // this thread's alone: no lock, no atomic
    ///     async move |request: Request<'_>| {
    ///         visits.set(visits.get() + 1);
    ///         request.respond(StatusCode::OK, visits.get().to_string(), ()).await
    ///     }
    /// })?;
    /// assert_ne!(server.local_address().port(), 0);
    /// server.stopper().stop();
    /// let report = server.join()?;
    /// assert_eq!(report.cut, 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn stoppable<H: Handler>(
        self,
        address: impl ToSocketAddrs,
        make: impl FnOnce() -> H + Send + 'static,
    ) -> io::Result<ServerThread> {
        let listener = self.listener(address)?;
        self.thread("waterwheel", listener, |server| async move {
            server.serve(make()).await
        })
    }

    /// Runs `count` servers for one address, each on a thread of its own.
    ///
    /// The sockets are bound on this thread, so that the caller receives their errors. The servers share no state,
    /// and the kernel distributes the connections among them (`SO_REUSEPORT`).
    ///
    /// Each thread calls `run` with its own server. Serve there, or run an accept loop that ends when
    /// [`Server::stop_requested`] completes. A thread ends when its `run` returns.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), or if a thread or its runtime cannot be made.
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
    ///
    /// async fn hello(request: Request<'_>) -> Result<Responded> {
    ///     request.respond(StatusCode::OK, "Hello", ()).await
    /// }
    ///
    /// let workers = Server::builder()
    ///     .workers(2, "127.0.0.1:0", |server| async move { server.serve(hello).await })?;
    /// println!("listening on http://{}", workers.local_address());
    /// workers.stop();
    /// workers.join()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn workers<F>(
        self,
        count: usize,
        address: impl ToSocketAddrs,
        run: impl Fn(Rc<Server>) -> F + Clone + Send + 'static,
    ) -> io::Result<Workers>
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        assert!(count > 0, "a server needs at least one worker thread");
        // Without it, the second socket on the same port would be an error.
        let builder = self.reuse_port(true);
        let first = builder.listener(address)?;
        // The first listener has chosen a port if port 0 was requested, and the others must use the same one.
        let address = first
            .local_address()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut listeners = vec![first];
        // All sockets are bound before a thread starts, so an error leaves no thread behind.
        for _ in 1..count {
            listeners.push(builder.listener(address)?);
        }
        let (sender, ended) = mpsc::channel();
        let threads = listeners.into_iter().enumerate();
        let threads = threads.map(|(number, listener)| {
            let farewell = Farewell {
                number,
                to: sender.clone(),
            };
            let run = run.clone();
            // In the future, and not after it: a panic must be reported, too.
            let run = |server| async move {
                let _farewell = farewell;
                run(server).await
            };
            let name = format!("waterwheel-{number}");
            builder.clone().thread(&name, listener, run)
        });
        Ok(Workers {
            threads: threads.collect::<io::Result<_>>()?,
            ended: Mutex::new(ended),
        })
    }

    fn thread<F: Future<Output = io::Result<()>>>(
        self,
        name: &str,
        listener: Listener,
        run: impl FnOnce(Rc<Server>) -> F + Send + 'static,
    ) -> io::Result<ServerThread> {
        let local_address = listener.local_address();
        let (sender, receiver) = mpsc::sync_channel(1);
        let body = move || {
            let runtime = Runtime::new()?;
            let server = Rc::new(self.listen_on([listener])?);
            // The thread that starts this one waits for the stopper, or for the end of this thread.
            drop(sender.send(server.stopper()));
            // A future that panics ends the thread, and `join` returns that as an error.
            runtime.block_on(run(server.clone()))?;
            Ok(server.report().unwrap_or_default())
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body)?;
        // The thread ended before it could listen. Its own error says more than the closed channel.
        let Ok(stopper) = receiver.recv() else {
            return Err(ended(thread)
                .err()
                .unwrap_or_else(|| io::Error::other("the server's thread ended before it began")));
        };
        Ok(ServerThread {
            local_address: local_address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
            stopper,
            thread: Some(thread),
        })
    }
}

/// Returns the result of a thread.
fn ended(thread: thread::JoinHandle<io::Result<Report>>) -> io::Result<Report> {
    let panicked = |_| Err(io::Error::other("the server's thread panicked"));
    thread.join().unwrap_or_else(panicked)
}

/// Reports the number of a thread when the thread ends, for any reason.
struct Farewell {
    number: usize,
    to: mpsc::Sender<usize>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let _heard = self.to.send(self.number); // the receiver is gone if no task joins
    }
}

/// A server on a thread of its own. See [`Builder::stoppable`].
///
/// Its drop stops the server and waits for it. So no thread and no descriptor is left.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Request, Responded, Result, Server, ServerThread, StatusCode};
///
/// async fn hello(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "hello", ()).await
/// }
///
/// let server: ServerThread = Server::builder().stoppable("127.0.0.1:0", || hello)?;
/// println!("listening on http://{}", server.local_address());
/// assert!(!server.is_finished());
/// server.stopper().stop();
/// println!("{}", server.join()?);
/// # std::io::Result::Ok(())
/// ```
pub struct ServerThread {
    local_address: SocketAddr,
    stopper: Stopper,
    /// The thread, until it has been joined.
    thread: Option<thread::JoinHandle<io::Result<Report>>>,
}

impl ServerThread {
    /// Returns the address on which the server listens.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Returns a handle that ends the server.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until the server has been stopped and has ended. Returns the fate of its connections.
    ///
    /// # Errors
    ///
    /// If the server has ended with an error, or if its thread has panicked.
    pub fn join(mut self) -> io::Result<Report> {
        self.end()
    }

    /// Returns true if the server has ended.
    pub fn is_finished(&self) -> bool {
        self.thread
            .as_ref()
            .is_none_or(thread::JoinHandle::is_finished)
    }

    fn end(&mut self) -> io::Result<Report> {
        self.thread.take().map_or(Ok(Report::default()), ended)
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        self.stopper.stop();
        // The result is for callers of `join`.
        drop(self.end());
    }
}

impl fmt::Debug for ServerThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerThread")
            .field("local_address", &self.local_address)
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

/// Several servers for one address, each on a thread of its own. See [`Builder::workers`].
///
/// Its drop stops all of them and waits for them.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Request, Responded, Result, Server, StatusCode, Stopper, Workers};
///
/// async fn hello(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "hello", ()).await
/// }
///
/// let workers: Workers =
///     Server::builder().workers(2, "127.0.0.1:0", |server| async move { server.serve(hello).await })?;
/// println!("listening on http://{}", workers.local_address());
/// assert!(workers.stoppers().all(|stopper: Stopper| !stopper.is_stopping()));
/// workers.stop();
/// assert_eq!(workers.join()?.cut, 0);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Workers {
    threads: Vec<ServerThread>,
    /// The numbers of the threads that end.
    ended: Mutex<mpsc::Receiver<usize>>,
}

impl Workers {
    /// Returns the address on which all of them listen.
    pub fn local_address(&self) -> SocketAddr {
        self.threads[0].local_address()
    }

    /// Returns the stoppers of the servers, in order. A server that is stopped alone first empties its queue.
    /// The other servers go on.
    pub fn stoppers(&self) -> impl Iterator<Item = Stopper> {
        self.threads.iter().map(ServerThread::stopper)
    }

    /// Stops all of them.
    pub fn stop(&self) {
        self.stoppers().for_each(|stopper| stopper.stop());
    }

    /// Waits until all servers have been stopped and have ended. Returns the fate of all connections.
    ///
    /// # Errors
    ///
    /// If one server has ended with an error or has panicked. Then this stops the others and waits for them.
    pub fn join(mut self) -> io::Result<Report> {
        let mut total = Report::default();
        let mut failed = None;
        for _ in 0..self.threads.len() {
            let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
            let next = ended.recv().map_err(io::Error::other);
            match next.and_then(|number| self.threads[number].end()) {
                Ok(report) => total += report,
                Err(error) => {
                    self.stop();
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(total), Err)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Stops all before it waits for any, so that they end at the same time.
        self.stop();
    }
}
