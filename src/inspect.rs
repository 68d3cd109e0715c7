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

#[doc(inline)]
pub use waterwheel_http::web::inspect::*;
#[doc(inline)]
pub use waterwheel_runtime::inspect::*;
