//! Watch it run: a small busy server, and the page that shows how the runtime works.
//!
//! ```text
//! cargo run --example watch_it_run
//! cargo run --example watch_it_run 127.0.0.1:8080 127.0.0.1:6669 long-poll lost-waker
//! cargo run --example watch_it_run [ADDRESS [PAGE_ADDRESS [FAULT …]]]
//! ```
//!
//! Open the URL that it prints in a browser on the same machine. You should see each task as a dot that travels between
//! the queue, the executor and the places where it waits. Press Pause, and then "Poll one task": the runtime polls one
//! task after the other. Press Resume at the end.
//!
//! | fault | the page should show |
//! |---|---|
//! | `long-poll` | "long poll", each third second: a task holds the thread for two seconds, and all dots stand still |
//! | `lost-waker` | "lost waker": a task waits, and no event can wake it |
//! | `wait-cycle` | "wait cycle": two tasks wait for each other |
//! | `leak` | "growth", after a few seconds: a place spawns tasks that do not end |
//! | `endless-request` | "shutdown waits", after Ctrl-C: the task that keeps the program waiting |
//! | `impatient` | no finding: the server closes connections that are idle for two seconds, but not while it is paused |
//!
//! Ctrl-C ends the program in good order, also while it is paused. With `endless-request`, press it a second time.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use std::{env, io, thread};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::{Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::inspect::{self, Options};
use waterwheel::runtime::net::TcpStream;
use waterwheel::runtime::sync::{Notify, mpsc};
use waterwheel::runtime::time::{interval, sleep, timeout};
use waterwheel::runtime::{JoinHandle, Runtime, select3, signal, spawn_blocking, task};

/// The page that each visitor asks for.
const VISITS: [&str; 5] = ["/", "/slow", "/report", "/", "/slow"];

/// Mistakes that the page finds, and a setting that must not become one.
const FAULTS: [&str; 6] = [
    "long-poll",
    "lost-waker",
    "wait-cycle",
    "leak",
    "endless-request",
    "impatient",
];

/// `/slow` waits for a timer, `/report` for a thread of the pool, and all others answer at once.
async fn answer(request: Request<'_>) -> Result<Responded> {
    let text = match request.path() {
        "/slow" => {
            let work = inspect::named("slow work", sleep(Duration::from_millis(120)));
            timeout(Duration::from_secs(5), work).await?;
            "that took a while\n"
        }
        "/report" => spawn_blocking(|| thread::sleep(Duration::from_millis(30)))
            .await
            .map(|()| "a report\n")?,
        "/endless" => pending().await,
        _ => "hello\n",
    };
    request.respond(StatusCode::OK, text, ()).await
}

/// Asks for a page again and again, over one connection.
async fn visit(server: SocketAddr, path: &'static str, pause: Duration) -> io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    let mut bytes = [0; 4096];
    loop {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {server}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        if stream.read(&mut bytes).await? == 0 {
            return Ok(()); // the server ends
        }
        sleep(pause).await;
    }
}

#[track_caller] // the page names the line that calls this
fn spawn_named<F: Future + 'static>(name: &str, future: F) -> JoinHandle<F::Output> {
    task::Builder::new().name(name).spawn(future)
}

/// A producer and a consumer, a ticker, and a task that waits for three events at once.
fn spawn_workers() {
    let (sender, mut receiver) = mpsc::channel(4);
    spawn_named("producer", async move {
        for number in 0_u64.. {
            if sender.send(number).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(70)).await;
        }
    })
    .detach();
    spawn_named("consumer", async move {
        while receiver.recv().await.is_some() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .detach();
    spawn_named("ticker", async {
        let mut ticks = interval(Duration::from_millis(250));
        loop {
            ticks.tick().await;
        }
    })
    .detach();
    spawn_named("race of three", async {
        let (_sender, mut orders) = mpsc::channel::<()>(1);
        let bell = Notify::new();
        loop {
            select3(
                orders.recv(),
                bell.notified(),
                sleep(Duration::from_secs(2)),
            )
            .await;
        }
    })
    .detach();
}

/// Faults that the page finds.
fn plant(fault: &str, server: SocketAddr) {
    match fault {
        "long-poll" => spawn_named("long poll", async {
            loop {
                sleep(Duration::from_secs(1)).await;
                thread::sleep(Duration::from_secs(2)); // the mistake: this holds the thread
            }
        })
        .detach(),
        "lost-waker" => spawn_named("lost waker", async {
            sleep(Duration::from_millis(10)).await;
            poll_fn(|_| Poll::<()>::Pending).await; // the mistake: no copy of the waker is kept
        })
        .detach(),
        "wait-cycle" => plant_cycle(),
        "leak" => spawn_named("leaky", async {
            loop {
                let lasts = sleep(Duration::from_secs(3600)); // the mistake: they end far too late
                spawn_named("leaked", lasts).detach();
                sleep(Duration::from_millis(5)).await;
            }
        })
        .detach(),
        "impatient" => {} // a setting of the server
        "endless-request" => {
            let visit = visit(server, "/endless", Duration::ZERO);
            spawn_named("patient visitor", visit).detach();
        }
        _ => println!(
            "unknown fault: {fault}; the known ones are {}",
            FAULTS.join(", ")
        ),
    }
}

/// Two tasks, each of which waits for the end of the other.
fn plant_cycle() {
    let second = Rc::new(RefCell::new(None::<JoinHandle<()>>));
    let for_first = second.clone();
    let first = spawn_named("first of a cycle", async move {
        // The second task does not exist yet at the first poll of this one.
        sleep(Duration::from_millis(10)).await;
        let other = for_first.take();
        if let Some(other) = other {
            drop(other.await);
        }
    });
    let first = Cell::new(Some(first));
    *second.borrow_mut() = Some(spawn_named("second of a cycle", async move {
        if let Some(first) = first.take() {
            drop(first.await);
        }
    }));
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (address, page_address) = (next("127.0.0.1:8080"), next("127.0.0.1:6669"));
    let runtime = Runtime::builder().inspect(Options::default()).build()?;
    runtime.block_on(async {
        let faults: Vec<String> = arguments.collect();
        let mut limits = Limits::default();
        if faults.iter().any(|fault| fault == "impatient") {
            limits.idle_duration_max = Duration::from_secs(2);
        }
        let server = Server::builder().limits(limits).bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        let _page = inspect::serve(page_address)?; // prints the URL to stderr
        spawn_workers();
        for (path, pause) in VISITS.into_iter().zip([40, 70, 100, 130, 160]) {
            let visit = visit(server.local_address(), path, Duration::from_millis(pause));
            spawn_named("visitor", visit).detach();
        }
        faults
            .iter()
            .for_each(|fault| plant(fault, server.local_address()));
        println!("{}", server.serve_until(answer, shutdown).await?);
        Ok(())
    })
}
