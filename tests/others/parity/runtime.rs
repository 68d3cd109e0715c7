//! The loop of asynchttpserver and the reactor of mini-async-http (N-R1 to N-R8, A-26).

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use waterwheel::runtime::net::AsyncFd;
use waterwheel::runtime::{
    Handle, Notify, Runtime, block_on, descriptors, spawn, time::sleep, time::timeout, yield_now,
};

use crate::support::system::raise_limit;

#[test]
fn n_r01_poll_without_work_returns_at_once() {
    let runtime = Runtime::new().unwrap();
    let start = Instant::now();
    assert!(!runtime.poll());
    assert!(start.elapsed() < Duration::from_millis(50));
}

#[test]
fn n_r02_block_on_returns_the_value_and_run_until_idle_returns_when_all_tasks_wait() {
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.block_on(async { 42 }), 42);
    let steps = Rc::new(Cell::new(0));
    let counted = steps.clone();
    runtime
        .spawn(async move {
            for _ in 0..10 {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
            std::future::pending::<()>().await;
        })
        .detach();
    assert_eq!((runtime.run_until_idle(), steps.get()), (1, 10));
}

#[test]
fn n_r03_a_task_that_panics_harms_no_other_task() {
    block_on(async {
        let panics = spawn(async { std::panic::resume_unwind(Box::new(0)) });
        let other = spawn(async { 1 });
        let ended: Result<(), _> = panics.await;
        assert!(ended.unwrap_err().is_panic());
        assert_eq!(other.await.unwrap(), 1);
    });
}

#[test]
fn n_r04_sleeps_end_in_order_and_a_timeout_is_an_error() {
    block_on(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let sleepers = [30, 10, 20].map(|milliseconds| {
            let order = order.clone();
            spawn(async move {
                sleep(Duration::from_millis(milliseconds)).await;
                order.borrow_mut().push(milliseconds);
            })
        });
        for sleeper in sleepers {
            sleeper.await.unwrap();
        }
        assert_eq!(*order.borrow(), [10, 20, 30]);
        let never = timeout(Duration::from_millis(5), std::future::pending::<()>());
        assert!(never.await.is_err());
        // Another thread triggers this.
        let (handle, rung) = (Handle::current(), Rc::new(Notify::new()));
        let waiting = rung.notified();
        thread::spawn(move || handle.wake());
        rung.notify_all();
        waiting.await;
    });
}

#[test]
fn n_r05_a_foreign_descriptor_is_waited_for() {
    block_on(async {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let reader = AsyncFd::new(reader);
        let waiting = spawn(async move {
            let mut buffer = [0; 8];
            let count = reader
                .read_with(|mut io| io.read(&mut buffer))
                .await
                .unwrap();
            buffer[..count].to_vec()
        });
        yield_now().await;
        writer.write_all(b"here").unwrap();
        assert_eq!(waiting.await.unwrap(), b"here");
    });
}

#[test]
fn n_r06_the_open_descriptors_and_their_limit_are_known() {
    let open = descriptors::open().unwrap();
    assert!(open > 2 && open < descriptors::limit());
}

#[test]
fn n_r07_bytes_that_are_there_are_read_without_a_wait() {
    block_on(async {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        writer.write_all(b"x").unwrap();
        let reader = AsyncFd::new(reader);
        let read = std::pin::pin!(reader.read_with(|mut io| io.read(&mut [0; 8])));
        let read = futures_lite::future::poll_once(read).await;
        assert_eq!(read.unwrap().unwrap(), 1);
    });
}

#[test]
fn n_r08_each_thread_has_a_runtime_of_its_own() {
    let threads = [1, 2].map(|number| {
        thread::spawn(move || block_on(async move { spawn(async move { number }).await.unwrap() }))
    });
    assert_eq!(threads.map(|thread| thread.join().unwrap()), [1, 2]);
}

#[test]
fn a_26_many_sources_are_served_in_turn() {
    const SOURCES: usize = 17_000;
    let room = raise_limit().is_none_or(|limit| limit >= SOURCES as u64 + 3000);
    let count = if room { SOURCES } else { 500 };
    block_on(async {
        let open = || -> OwnedFd { eventfd(0, EventfdFlags::NONBLOCK).unwrap() };
        let waiting: Vec<_> = (0..count)
            .map(|_| spawn(async move { AsyncFd::new(open()).read_with(|_| read_nothing()).await }))
            .collect();
        yield_now().await;
        drop(waiting);
        // A task that always wakes itself delays no other, because tasks run in the order of their wakes.
        let busy = spawn(async {
            loop {
                yield_now().await;
            }
        });
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let order = order.clone();
                spawn(async move { order.borrow_mut().push(number) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(order.borrow().is_sorted());
        busy.abort();
    });
}

fn read_nothing() -> std::io::Result<()> {
    Err(std::io::ErrorKind::WouldBlock.into())
}
