//! Other runtimes: the differences, and when to use them.
//!
//! The facts about the other projects are from their documentation and their source, read in November 2026 (tokio 1.54,
//! smol 2.0, chronos 4). They change, so look there, too. A dash means that we have found no statement. Speed is not
//! compared here: README has measurements with their commands, and your own program is the best benchmark.
//!
//! # Which one to use
//!
//! | you have | use |
//! |---|---|
//! | work that computes on all cores, and tasks that must move to a free core | tokio |
//! | a library that needs tokio (tonic, reqwest), HTTP/2, TLS in the server, Windows or macOS | tokio |
//! | a client, a tool or a desktop program, with a runtime in small parts | smol |
//! | one thread per core on Linux, `io_uring`, and bytes copied as rarely as possible | monoio |
//! | a microcontroller without an allocator | embassy |
//! | a program in Nim that must cancel, or needs TLS without OpenSSL | chronos |
//! | a program in Nim without dependencies | asyncdispatch |
//! | a program in Python that uses many libraries | asyncio |
//! | a program in Python whose tasks must never be left behind | trio |
//! | an HTTP/1.1 server on Linux, handlers without `Send`, an accept loop of your own, or a runtime to read | Waterwheel |
//!
//! # In Rust
//!
//! | | Waterwheel | tokio | smol | monoio | embassy |
//! |---|---|---|---|---|---|
//! | threads that poll | one for each runtime | a pool that steals work; or one (`current_thread`, `LocalRuntime`) | each thread that runs an `Executor`; the global one has one thread by default | one for each core, by the program | one for each executor; an executor may run in an interrupt |
//! | `spawn` needs `Send` | no | yes; no in `LocalRuntime` and `LocalSet` | yes; no in `LocalExecutor` | no | no; yes for `SendSpawner` |
//! | waits in | epoll, by mio | epoll, kqueue, IOCP, by mio | epoll, kqueue, event ports, IOCP, by polling | `io_uring` (Linux 5.6), epoll, kqueue | interrupts; the processor sleeps |
//! | the wait is on | the thread that polls | a thread that polls | a thread in `block_on`, or a thread named `async-io` | the thread that polls | the same core |
//! | buffers of a read | borrowed | borrowed | borrowed | owned: passed in and returned | depends on the driver |
//! | limit for one poll | 64 units | 128 units | – | – | – |
//! | looks for events after | 64 polls, and each task that yields | 61 polls | 200 polls at most | – | each interrupt |
//! | dropping a task's handle | detaches | detaches | cancels | detaches | there is no handle |
//! | timers | a wheel | a wheel | a `BTreeMap` | a wheel | a queue in the driver |
//! | threads for blocking work, at most | 16 | 512 | 500 | – | – |
//! | shows the waiting tasks | the feature `inspect` | tokio-console, and `taskdump` (unstable) | – | – | – |
//! | a clock that tests control | yes | yes, with one thread | – | – | a mock driver in embassy-time |
//! | `unsafe` in the crate | none | yes | yes, for example in async-task; none in blocking | yes | yes |
//! | systems | Linux | Linux, macOS, Windows, others | the same | Linux, macOS | microcontrollers; `std` for tests |
//!
//! ## tokio
//!
//! tokio is the default choice, and for good reasons: most libraries are written for it, it uses all cores without any
//! work of yours, and it runs on all large systems. tokio-console shows the living tasks of a program.
//!
//! *The price.* `tokio::spawn` takes `Send` futures, so shared state needs an `Arc` and a lock, and a guard may not be
//! held across an `.await`. `LocalRuntime` and `LocalSet` avoid this for one thread.
//!
//! *Different here.* A task never leaves its thread, so `Rc` and `RefCell` are enough. A server on many cores is a
//! runtime on each thread, and the kernel divides the connections. If one connection needs much more time than the
//! others, tokio's threads help each other, and ours do not. Both refuse a leaf that has spent its budget. Ours also
//! divides the budget in `join`, `race` and `select`, and counts bytes.
//!
//! Libraries that need tokio still work, beside Waterwheel: [`ecosystem`](super::ecosystem#libraries-that-need-tokio).
//!
//! ## smol
//!
//! smol is a set of small crates (async-executor, async-io, async-task, blocking) that each do one thing. You can use
//! one without the others, and combine them with your own loop. It also runs on macOS and Windows.
//!
//! *Different here.* All parts belong to one runtime with one thread, and there is no global state: two runtimes share
//! nothing but the process. smol's reactor and its pool for blocking work are global. A dropped `Task` is cancelled
//! there, and detached here. We have found no budget in smol: there, a future that is always ready keeps its thread until it yields.
//!
//! ## monoio
//!
//! monoio has a thread for each core, as Waterwheel can have. Its sockets submit operations to `io_uring`: the kernel reads
//! into a buffer while the program goes on. So it needs fewer system calls.
//!
//! *The price.* The kernel uses the buffer until the operation ends. So a read takes the buffer by value and returns it,
//! and the traits of `futures-io` and tokio do not fit without an adapter. Dropping a future does not stop the operation
//! in the kernel; `CancelableAsyncReadRent` is for that. Some systems forbid `io_uring`, for example the default profile of
//! Docker.
//!
//! *Different here.* A read borrows the buffer, tries first, and waits for readiness only if it must. A future that is
//! dropped has no operation under way.
//!
//! ## embassy
//!
//! embassy-executor is for microcontrollers: no allocator, each task in a static of its exact size, the processor asleep
//! between interrupts. Several executors with several priorities can interrupt each other.
//!
//! *Different here.* Waterwheel needs an operating system and an allocator, and has no priorities. Both poll a task only
//! when it was woken, and both poll all other ready tasks before one is polled again. embassy's description of the life of a
//! task was a model for ours.
//!
//! # In Nim
//!
//! | | Waterwheel | asyncdispatch | chronos |
//! |---|---|---|---|
//! | a future | does no work until it is polled | runs until its first `await` when it is made | the same |
//! | cancelling | drop it | not possible | `cancelAndWait`: raises `CancelledError` inside |
//! | cleaning up | destructors | by hand, or by the collector | `closeWait`, by hand |
//! | errors | `Result`, checked by the compiler | exceptions, without tracking | exceptions with checked `raises` |
//! | timers | a wheel | a heap | a heap |
//! | a loop inside of a loop | no: `block_on` blocks the outer one | `waitFor` in a callback polls again | not allowed |
//! | HTTP server | HTTP/1.1, limits and deadlines on by default | `asynchttpserver`, "not designed to be used in production" | HTTP/1.1 with TLS |
//!
//! The accept loop here is that of `asynchttpserver`: `should_accept_request`, `accept_request`, and
//! [`turn`](crate::runtime::turn) for `poll`. There, the limit of descriptors is read once, when the server listens, and the
//! count is that of the dispatcher. Here both are read again for each decision, and the count is that of the
//! process.
//!
//! *When to use those.* asyncdispatch comes with Nim, and is enough for tools. chronos is for Nim programs with many
//! connections that must cancel and shut down in order.
//!
//! # In Python
//!
//! | | Waterwheel | asyncio | trio |
//! |---|---|---|---|
//! | a task | lives until its end, an abort, or the end of the runtime | the loop keeps a weak reference, so the program must keep another one; a `TaskGroup` keeps its own | lives in a nursery, which waits for it |
//! | an error in a task | is the result of its handle | is logged if no code reads it; a `TaskGroup` cancels its others and raises it | cancels the nursery and is raised by it |
//! | cancelling | drop, or `abort`: it cannot be refused | `CancelledError` at an `await`, which may be caught | `Cancelled` at a checkpoint, for a whole scope |
//! | where others may run | at an `.await` that is pending, and when the budget is spent | at an `await` that is pending | at each checkpoint: each async function of trio is one |
//! | timeouts | a future around a future | `asyncio.timeout`, a context | `move_on_after`, a context |
//! | threads for blocking work, at most | 16 | processors + 4, at most 32 | 40 |
//! | a clock that tests control | yes | no | yes, `MockClock` |
//! | a task that holds the thread | is reported after a second | is logged after 100 ms in debug mode | an instrument can measure it |
//!
//! *Different here.* Rust's futures are cancelled by a drop, which runs destructors at once and cannot wait. In Python,
//! cancelling is an exception: a `finally` may await something, and code may catch it and go on. trio makes the scope
//! explicit: no task outlives its nursery. [`scope`](fn@crate::runtime::task::scope) is the same idea here; a plain
//! [`spawn`](crate::runtime::spawn) is not bound to a scope.
//!
//! *When to use those.* If the program is Python, use asyncio for its libraries, and trio (or anyio, which runs on both)
//! for programs that start and cancel many tasks.
//!
//! # When not to use Waterwheel
//!
//! - One request computes for long, and requests differ much: a work-stealing pool divides them better.
//! - Your libraries need tokio, and they are most of your program.
//! - You need HTTP/2, TLS in the process without a transport of your own, or a system other than Linux.
//! - You need a library that has been in production for years: Waterwheel is young.
