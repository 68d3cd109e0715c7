//! Watch a runtime at work: a page, dumps of all tasks with their reasons, recordings, and claims for tests.
//!
//! ```no_run
//! use waterwheel::inspect;
//! use waterwheel::runtime::Runtime;
//!
//! # async fn program() {}
//! fn main() -> std::io::Result<()> {
//!     let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
//!     runtime.block_on(async {
//!         let _page = inspect::serve("127.0.0.1:6669")?; // prints the URL to stderr
//!         program().await;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # What is where
//!
//! | to | use |
//! |---|---|
//! | watch a program in a browser, pause it, poll one task at a time | [`serve`] |
//! | print the tasks with the reason of each | [`dump`], [`Recorder::dump`] |
//! | name a future in a dump | [`named`] |
//! | save what has happened | [`Trace::to_html`], [`Trace::to_json`], [`Trace::to_trace_events`] for Perfetto, [`Flight`] |
//! | claim in a test that no poll is long and no wake is needless | [`Trace`] |
//!
//! The page is for the machine on which the program runs. Only a URL with the right token opens it.
//!
//! # In a test
//!
//! [`Recorder::trace_since`] cuts out the part of the record that a claim is about. Each task in it may have its own
//! number of wakes. A request of a server wakes two tasks at least: that of the connection and that of the client.
//!
//! ```
//! use std::time::Duration;
//!
//! use futures_lite::{AsyncReadExt, AsyncWriteExt};
//! use waterwheel::http::{Request, Server, StatusCode};
//! use waterwheel::inspect;
//! use waterwheel::runtime::{Runtime, net::TcpStream, spawn};
//!
//! let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
//! runtime.block_on(async {
//!     let server = Server::bind("127.0.0.1:0")?;
//!     let address = server.local_address();
//!     spawn(async move {
//!         let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
//!         server.serve(hello).await
//!     })
//!     .detach();
//!     let mut client = TcpStream::connect(address).await?;
//!     let recorder = inspect::recorder().expect("the runtime records");
//!     for _ in 0..3 {
//!         let begin = recorder.next_seq();
//!         client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await?;
//!         let mut answer = [0; 1024];
//!         assert!(client.read(&mut answer).await? > 0);
//!         let trace = recorder.trace_since(begin); // the events of one request
//!         trace.assert_polls_shorter_than(Duration::from_millis(500)); // without other load, 10 ms is enough
//!         for task in trace.tasks() {
//!             trace.assert_wakes_at_most(task.id, 2);
//!         }
//!     }
//!     std::io::Result::Ok(())
//! })?;
//! # std::io::Result::Ok(())
//! ```
//!
//! If a claim fails, write [`Trace::to_html`] into a file, and open it in a browser.
//!
//! # A program that hangs
//!
//! 1. Print [`dump`] at the place where you wait in vain. If the thread does not come there, set
//!    [`Explain::dump_on_sigusr1`], and run `kill -USR1` with the process id.
//! 2. Read `findings:` at the end. A *lost waker* names the task and its place: its last poll returned `Pending`, and no
//!    waker of it exists. A *wait cycle* names all tasks of the cycle.
//! 3. If no finding is there, read the reason of each task: the innermost future is the one that does not end.
//!    [`named`] puts your own names between them.
//! 4. To see the same in the page, open the view *Reasons*. Select the task, and go to *Lanes*: arrows are its wakes.
//!
//! # In production
//!
//! A [`Flight`] recorder keeps the newest events, and writes them out only after a trigger: a panic of a task, a
//! poll that holds the thread, SIGUSR1, or a call of [`trigger`]. A folder gets JSON. To open such a file, press *Open …* in any page of
//! this module, or let the recorder write a page at once:
//!
//! ```
//! use waterwheel::inspect::{self, Flight};
//! use waterwheel::runtime::Runtime;
//!
//! let file = std::env::temp_dir().join(format!("trace-{}.html", std::process::id()));
//! # let (sender, receiver) = std::sync::mpsc::channel();
//! # let saved = file.clone();
//! let flight = Flight::call(move |trace| {
//!     let written = std::fs::write(&file, trace.to_html());
//! #   sender.send(written.is_ok()).unwrap();
//! });
//! let runtime = Runtime::builder().inspect(inspect::Options::default().flight(flight)).build()?;
//! runtime.block_on(async {
//!     // … a handler that has seen a slow request:
//!     inspect::trigger("slow request");
//! });
//! # assert!(receiver.recv().unwrap());
//! # std::fs::remove_file(saved)?;
//! # std::io::Result::Ok(())
//! ```

#[doc(inline)]
pub use waterwheel_http::web::inspect::*;
#[doc(inline)]
pub use waterwheel_runtime::inspect::*;
