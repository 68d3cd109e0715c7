//! The runtime: tasks, channels, timers, sockets, files, child processes and signals, on one thread, with a pool for
//! work that blocks.
//!
//! ```
//! use std::time::Duration;
//! use waterwheel::runtime::{block_on, spawn, time::sleep};
//!
//! block_on(async {
//!     let task = spawn(async {
//!         sleep(Duration::from_millis(5)).await;
//!         "five milliseconds later"
//!     });
//!     assert_eq!(task.await.unwrap(), "five milliseconds later");
//! });
//! ```
//!
//! # What is where
//!
//! | to | use |
//! |---|---|
//! | run a future | [`block_on`](fn@block_on), or a [`Runtime`] if you have a loop of your own |
//! | run another future beside it | [`spawn`], which returns a [`JoinHandle`]; [`spawn_detached`] |
//! | run sets of tasks, name them, end them from any thread | [`task`] |
//! | wait for all of several futures | [`join`](fn@join), [`try_join`](fn@try_join), [`join_all`](fn@join_all) |
//! | wait for the first of several futures | [`race`](fn@race), [`select`](fn@select) |
//! | wait for a point in time, or give up after a while | [`time`] |
//! | ask tasks to end, and wait until they have | [`sync::CancellationToken`], with a [`task::JoinSet`] |
//! | send values between tasks, share them, limit or stop tasks | [`sync`]; any channel crate works too |
//! | wake tasks that wait for a condition | [`Notify`], with an `Rc<RefCell<…>>` for the data |
//! | connect to other programs | [`net`] |
//! | copy between streams, use pipes and the standard streams | [`io`] |
//! | use files | [`fs`] |
//! | run other programs | [`process`] |
//! | share the thread fairly | [`yield_now`], [`budget`] |
//! | do work that blocks | [`spawn_blocking`], or a [`ThreadPool`] of your own |
//! | spawn from another thread, or wake the loop | [`Handle`] |
//! | set the size of the pool, hooks, the seed of a test | [`RuntimeBuilder`] |
//! | test all orders of tasks | [`seeded`], with a paused clock in [`time`] |
//! | receive signals | [`signal`] |
//! | count the open descriptors | [`descriptors`] |
//!
//! # Reading and writing
//!
//! Sockets, pipes, files and the standard streams have the traits of `futures-io`. Their methods (`read_exact`,
//! `write_all`, `lines`) are in a crate of your choice: `cargo add futures-lite`.
//!
//! ```
//! use futures_lite::{AsyncBufReadExt, AsyncWriteExt, StreamExt, io::BufReader};
//! use waterwheel::runtime::{block_on, net::UnixStream};
//!
//! block_on(async {
//!     let (ours, mut theirs) = UnixStream::pair()?;
//!     theirs.write_all(b"rye\nwheat\n").await?;
//!     theirs.close().await?;
//!     let mut lines = BufReader::new(ours).lines();
//!     while let Some(line) = lines.next().await {
//!         println!("{}", line?);
//!     }
//!     std::io::Result::Ok(())
//! })?;
//! # std::io::Result::Ok(())
//! ```
//!
//! # Systems
//!
//! All tests run on Linux. For macOS and FreeBSD (64 bits), the runtime and the server are compiled
//! (`cargo check --target`), and no test has run there.
//!
//! # Features
//!
//! Debug builds report a task that holds the thread for more than a second. With the feature `watch`, release
//! builds do so, too. The report names the place in the program that spawned the task. It is a `tracing`
//! warning, or a line on stderr if no subscriber is set.
//!
//! The feature `hyper` adds `hyper_rt`: the traits of `hyper::rt`. The feature `tokio-io` adds `tokio_io`: wrappers
//! between the streams of `futures-io` and those of tokio. Any library that takes a spawner takes [`LocalSpawner`].
//!
//! [`waterwheel_runtime`] is the crate behind this module. Its page tells how the runtime works, and in which order to
//! read its files.

#[doc(inline)]
pub use waterwheel_runtime::*;
