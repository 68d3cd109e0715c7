//! Threads wake, spawn and drop, while tasks spawn, join and abort each other: in whatever order, no wake is
//! lost, and nothing is left over.
//!
//! The tests run rounds for `WATERWHEEL_STRESS_SECONDS`, 3 by default. Each round has a seed for all that
//! the choices of its threads and tasks. The seed of a round that fails or hangs is printed, and
//! `WATERWHEEL_STRESS_SEED` runs such a round again and again. The order in which the threads meet depends on
//! the machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{env, fs, mem, process, thread};

#[path = "../support/mod.rs"]
mod support;

use crate::support::runtime::OnDrop;
use futures_lite::future::poll_once;
use waterwheel::runtime::net::UnixStream;
use waterwheel::runtime::time::{Sleep, sleep};
use waterwheel::runtime::{Handle, JoinHandle, Notify, Runtime, spawn, spawn_blocking, yield_now};

const THREADS: usize = 3;
const STEPS_PER_THREAD: usize = 400;
const LISTENERS_MAX: usize = 32;

/// A round that takes longer hangs.
const ROUND_MAX: Duration = Duration::from_secs(20);

/// A job of the pool ends within this time.
const JOB_MAX: Duration = Duration::from_secs(5);

/// The sizes of a listener and of a crowd. Memory grows visibly if they leave something behind.
const BALLAST_BYTES: usize = 4096;
const CROWD: usize = 200;

/// The growth of memory that is allowed after the first rounds. If each task of a crowd left a slot behind,
/// memory would grow by more within a minute.
const GROWTH_BYTES_MAX: usize = 8 << 20;
const ROUNDS_UNTIL_WARM: usize = 20;

/// The random numbers of a seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).unwrap()
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len())])
    }

    fn take<T>(&mut self, from: &mut Vec<T>) -> Option<T> {
        (!from.is_empty()).then(|| from.swap_remove(self.below(from.len())))
    }
}

/// A number for each thread, which only that thread writes, and the numbers that the listener has seen. Only
/// the wakes order these writes before the listener's reads.
#[derive(Default)]
struct Letterbox {
    written: [AtomicUsize; THREADS],
    seen: [AtomicUsize; THREADS],
    ended: AtomicBool,
}

impl Letterbox {
    fn look(&self) {
        for (written, seen) in self.written.iter().zip(&self.seen) {
            seen.store(written.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn numbers(of: &[AtomicUsize; THREADS]) -> [usize; THREADS] {
        std::array::from_fn(|thread| of[thread].load(Ordering::Relaxed))
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// A message of the runtime to a thread.
enum Parcel {
    Listener(Arc<Letterbox>, Waker),
    /// To be dropped there.
    Sleep(#[expect(dead_code, reason = "only its drop counts")] Sleep),
    /// To be dropped there, perhaps after an event.
    Socket(UnixStream, std::os::unix::net::UnixStream),
}

/// Counts the futures, values and closures that exist.
#[derive(Clone, Default)]
struct Census {
    count: Arc<AtomicUsize>,
    /// The number of tasks that a panic has ended. The runtime catches panics of tasks.
    panicked: Arc<AtomicUsize>,
}

impl Census {
    fn enter(&self) -> OnDrop<impl FnMut() + Send + use<>> {
        let census = self.clone();
        census.count.fetch_add(1, Ordering::Relaxed);
        OnDrop(move || {
            let panicked = usize::from(thread::panicking());
            census.panicked.fetch_add(panicked, Ordering::Relaxed);
            census.count.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn assert_empty(&self) {
        // A job whose future was dropped may still run.
        let begin = Instant::now();
        while self.count.load(Ordering::Relaxed) > 0 && begin.elapsed() < JOB_MAX {
            thread::yield_now();
        }
        let left = self.count.load(Ordering::Relaxed);
        assert_eq!(left, 0, "futures, values or closures are left");
        assert_eq!(self.panicked.load(Ordering::Relaxed), 0, "a task panicked");
    }
}

/// The state that all threads of a round share.
#[derive(Clone, Default)]
struct Shared {
    census: Census,
    /// Closures that [`Handle::spawn_with`] has accepted, and those that were called.
    accepted: Arc<AtomicUsize>,
    called: Arc<AtomicUsize>,
    /// Threads that have taken all their steps.
    finished: Arc<AtomicUsize>,
}

/// The state that the tasks of a round share.
struct World {
    dice: RefCell<Dice>,
    shared: Shared,
    threads: Vec<Sender<Parcel>>,
    handles: RefCell<Vec<JoinHandle<Value>>>,
    letterboxes: RefCell<Vec<Arc<Letterbox>>>,
    /// False in rounds in which only the threads end a wait of the runtime.
    has_timers: bool,
    stop: Notify,
    stopped: Cell<bool>,
}

/// The value of a task. It counts itself.
struct Value(#[expect(dead_code, reason = "only its drop counts")] Box<dyn std::any::Any>);

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

fn world() -> Rc<World> {
    WORLD.with(|world| world.borrow().clone()).unwrap()
}

impl World {
    fn roll(&self, end: usize) -> usize {
        self.dice.borrow_mut().below(end)
    }

    fn value(&self) -> Value {
        Value(Box::new(self.shared.census.enter()))
    }

    /// Adds a handle to those that any task may take, use and drop.
    fn spawn(self: &Rc<Self>, future: impl Future<Output = Value> + 'static) {
        let here = self.shared.census.enter();
        let handle = spawn(async move {
            let ballast = [1_u8; BALLAST_BYTES];
            let value = future.await;
            black_box(&ballast);
            drop(here);
            value
        });
        self.handles.borrow_mut().push(handle);
    }

    fn spawn_listener(self: &Rc<Self>) {
        let letterbox = Arc::new(Letterbox::default());
        let world = self.clone();
        self.letterboxes.borrow_mut().push(letterbox.clone());
        self.spawn(async move {
            let ended = letterbox.clone();
            let _ended = OnDrop(move || ended.ended.store(true, Ordering::Release));
            let mut stop = pin!(world.stop.notified());
            let mut introduced = false;
            poll_fn(|cx| {
                if !mem::replace(&mut introduced, true) {
                    world.introduce(&letterbox, cx);
                }
                letterbox.look();
                if world.roll(8) == 0 {
                    world.meddle();
                }
                if world.stopped.get() {
                    Poll::Ready(())
                } else {
                    stop.as_mut().poll(cx)
                }
            })
            .await;
            world.value()
        });
    }

    fn introduce(&self, letterbox: &Arc<Letterbox>, cx: &Context<'_>) {
        for thread in &self.threads {
            // A thread that has finished receives no more messages.
            drop(thread.send(Parcel::Listener(letterbox.clone(), cx.waker().clone())));
        }
    }

    /// Does one random action to other tasks.
    fn meddle(self: &Rc<Self>) {
        if self.stopped.get() {
            return;
        }
        match self.roll(10) {
            0 | 1 => {
                let handles = self.handles.borrow();
                if let Some(handle) = self.dice.borrow_mut().pick(&handles) {
                    handle.abort();
                }
            }
            2 => drop(self.take_handle()),
            3 => {
                if let Some(handle) = self.take_handle() {
                    let world = self.clone();
                    self.spawn(async move { handle.await.unwrap_or_else(|_| world.value()) });
                }
            }
            4 => self.spawn_blocking(),
            5 => self.send_sleep(),
            6 => self.send_socket(),
            7 => self.spawn_crowd(),
            _ => {
                self.letterboxes
                    .borrow_mut()
                    .retain(|letterbox| !letterbox.has_ended());
                if self.letterboxes.borrow().len() < LISTENERS_MAX {
                    self.spawn_listener();
                }
            }
        }
    }

    fn take_handle(&self) -> Option<JoinHandle<Value>> {
        self.dice.borrow_mut().take(&mut self.handles.borrow_mut())
    }

    /// A job on the pool. Its future is awaited or dropped.
    fn spawn_blocking(self: &Rc<Self>) {
        let here = self.shared.census.enter();
        let job = spawn_blocking(move || here);
        if self.roll(2) == 0 {
            let world = self.clone();
            self.spawn(async move {
                drop(job.await);
                world.value()
            });
        }
    }

    /// Spawns many small tasks, which end in all possible ways.
    fn spawn_crowd(self: &Rc<Self>) {
        for _ in 0..CROWD {
            let (world, yields) = (self.clone(), self.roll(3));
            let here = self.shared.census.enter();
            let handle = spawn(async move {
                let _here = here;
                for _ in 0..yields {
                    yield_now().await;
                }
                if world.has_timers && world.roll(8) == 0 {
                    sleep(Duration::from_micros(world.roll(500) as u64)).await;
                }
                world.value()
            });
            match self.roll(4) {
                0 => handle.abort(),
                1 => handle.detach(),
                _ => self.handles.borrow_mut().push(handle),
            }
        }
    }

    fn some_thread(&self) -> &Sender<Parcel> {
        &self.threads[self.roll(THREADS)]
    }

    fn send_sleep(self: &Rc<Self>) {
        let world = self.clone();
        self.spawn(async move {
            let mut sleep = sleep(Duration::from_secs(60));
            assert_eq!(poll_once(&mut sleep).await, None);
            drop(world.some_thread().send(Parcel::Sleep(sleep)));
            world.value()
        });
    }

    fn send_socket(self: &Rc<Self>) {
        let world = self.clone();
        self.spawn(async move {
            let (ours, peer) = std::os::unix::net::UnixStream::pair().unwrap();
            let ours = UnixStream::from_std(ours).unwrap();
            assert!(poll_once(ours.readable()).await.is_none());
            drop(world.some_thread().send(Parcel::Socket(ours, peer)));
            world.value()
        });
    }
}

/// A thread of a round.
struct Stranger {
    number: usize,
    dice: Dice,
    shared: Shared,
    handle: Handle,
    parcels: Receiver<Parcel>,
    listeners: Vec<(Arc<Letterbox>, Waker)>,
    droppable: Vec<Parcel>,
}

impl Stranger {
    fn run(mut self, root: &Waker) {
        for _ in 0..STEPS_PER_THREAD {
            self.receive();
            self.step();
        }
        self.shared.finished.fetch_add(1, Ordering::Relaxed);
        root.wake_by_ref();
    }

    fn receive(&mut self) {
        for parcel in self.parcels.try_iter() {
            match parcel {
                Parcel::Listener(letterbox, waker) => self.listeners.push((letterbox, waker)),
                other => self.droppable.push(other),
            }
        }
    }

    fn step(&mut self) {
        match self.dice.below(16) {
            0..8 => self.write_and_wake(),
            8..10 => self.spawn(),
            10 | 11 => self.drop_parcel(),
            12 => drop(self.dice.take(&mut self.listeners)),
            13 => self.handle.wake(),
            // The pause lets the runtime fall asleep now and then.
            14 => thread::sleep(Duration::from_micros(self.dice.roll() % 100)),
            _ => thread::yield_now(),
        }
    }

    fn write_and_wake(&mut self) {
        let Some((letterbox, waker)) = self.dice.pick(&self.listeners) else {
            return;
        };
        let number = letterbox.written[self.number].fetch_add(1, Ordering::Relaxed) + 1;
        if self.dice.one_in(4) {
            let waker = waker.clone();
            thread::yield_now();
            waker.wake();
        } else {
            waker.wake_by_ref();
        }
        if self.dice.one_in(4) {
            let seen = || letterbox.seen[self.number].load(Ordering::Relaxed);
            while seen() < number && !letterbox.has_ended() {
                thread::yield_now();
            }
        }
    }

    fn spawn(&mut self) {
        let (here, called) = (self.shared.census.enter(), self.shared.called.clone());
        let make = move || {
            called.fetch_add(1, Ordering::Relaxed);
            async move {
                let _here = here;
                world().meddle();
            }
        };
        if self.handle.spawn_with(make).is_ok() {
            self.shared.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn drop_parcel(&mut self) {
        if let Some(Parcel::Socket(socket, mut peer)) = self.dice.take(&mut self.droppable) {
            if self.dice.one_in(2) {
                drop(peer.write(b"x"));
            }
            drop(socket);
        }
    }
}

/// A round that has been set up.
struct Round {
    world: Rc<World>,
    shared: Shared,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Round {
    /// Sets up a world with threads that wake `root` when they have finished.
    fn start(seed: u64, handle: &Handle, root: &Waker) -> Self {
        let mut dice = Dice(seed);
        let shared = Shared::default();
        let mut senders = Vec::new();
        let threads = (0..THREADS).map(|number| {
            let (sender, parcels) = channel();
            senders.push(sender);
            let root = root.clone();
            let stranger = Stranger {
                number,
                dice: Dice(dice.roll()),
                shared: shared.clone(),
                handle: handle.clone(),
                parcels,
                listeners: Vec::new(),
                droppable: Vec::new(),
            };
            thread::spawn(move || stranger.run(&root))
        });
        let threads = threads.collect();
        let world = Rc::new(World {
            has_timers: dice.one_in(2),
            dice: RefCell::new(dice),
            shared: shared.clone(),
            threads: senders,
            handles: RefCell::default(),
            letterboxes: RefCell::default(),
            stop: Notify::new(),
            stopped: Cell::new(false),
        });
        WORLD.set(Some(world.clone()));
        for _ in 0..LISTENERS_MAX / 2 {
            world.spawn_listener();
        }
        Self {
            world,
            shared,
            threads,
        }
    }

    fn has_finished(&self) -> bool {
        self.shared.finished.load(Ordering::Relaxed) == THREADS
    }

    /// Ends the tasks that wait for the end of the round.
    fn stop(&self) {
        self.world.stopped.set(true);
        self.world.stop.notify_all();
        self.world.handles.take();
    }

    fn join_threads(&mut self) {
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }

    fn assert_each_wake_was_seen(&self) {
        for letterbox in &*self.world.letterboxes.borrow() {
            if !letterbox.has_ended() {
                let seen = Letterbox::numbers(&letterbox.seen);
                let written = Letterbox::numbers(&letterbox.written);
                assert_eq!(seen, written, "a wake is lost");
            }
        }
    }

    /// Drops the world, and checks that no part of it is left.
    fn assert_nothing_is_left(self) {
        WORLD.set(None);
        self.world.handles.take();
        drop(self.world);
        self.shared.census.assert_empty();
    }
}

/// Runs one round to its end in a runtime that continues to live.
fn run_round(runtime: &Runtime, seed: u64) {
    let mut round = runtime.block_on(async {
        let (handle, mut round) = (Handle::current(), None);
        poll_fn(|cx| {
            let round = round.get_or_insert_with(|| Round::start(seed, &handle, cx.waker()));
            if round.has_finished() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        round.unwrap()
    });
    round.join_threads();
    runtime.run_until_idle();
    round.assert_each_wake_was_seen();
    let called = round.shared.called.load(Ordering::Relaxed);
    let accepted = round.shared.accepted.load(Ordering::Relaxed);
    assert_eq!(called, accepted, "a message is lost");
    runtime.block_on(async { round.stop() });
    while runtime.tasks() > 0 {
        runtime.poll_timeout(Duration::from_millis(1));
    }
    round.assert_nothing_is_left();
}

/// Runs one round in a runtime that ends while the threads still work.
fn run_round_that_breaks_off(seed: u64) {
    let runtime = Runtime::new().unwrap();
    let mut round = runtime.block_on(async {
        let root = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let round = Round::start(seed, &Handle::current(), &root);
        let micros = round.world.roll(5_000) as u64;
        sleep(Duration::from_micros(micros)).await;
        round
    });
    drop(runtime);
    round.join_threads();
    round.assert_nothing_is_left();
}

/// Runs rounds until the time is over. Prints the seed of a round that fails or hangs.
fn stress(mut round: impl FnMut(u64)) {
    let number = |name| env::var(name).ok().map(|value| value.parse().unwrap());
    let duration = Duration::from_secs(number("WATERWHEEL_STRESS_SECONDS").unwrap_or(3));
    let fixed_seed = number("WATERWHEEL_STRESS_SEED");
    let (watch, watched) = channel();
    thread::spawn(move || watch_rounds(&watched));
    let mut seeds = Dice(RandomState::new().hash_one(0));
    let begin = Instant::now();
    while begin.elapsed() < duration {
        let seed = fixed_seed.unwrap_or_else(|| seeds.roll());
        watch.send(seed).unwrap();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| round(seed))) {
            eprintln!("WATERWHEEL_STRESS_SEED={seed} has failed");
            resume_unwind(panic);
        }
    }
}

fn watch_rounds(seeds: &Receiver<u64>) {
    let mut seed = None;
    loop {
        match seeds.recv_timeout(ROUND_MAX) {
            Ok(next) => seed = Some(next),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                // The test harness captures the output of `eprintln`, and an abort loses it.
                let report = format!(
                    "WATERWHEEL_STRESS_SEED={} hangs\n",
                    seed.unwrap_or_default()
                );
                drop(io::stderr().write_all(report.as_bytes()));
                process::abort();
            }
        }
    }
}

/// Returns the bytes of memory that this process has resident.
fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn no_wake_is_lost_and_no_task_is_left_over() {
    let runtime = Runtime::new().unwrap();
    let (mut rounds, mut warm_bytes) = (0, 0);
    stress(|seed| {
        run_round(&runtime, seed);
        rounds += 1;
        if rounds == ROUNDS_UNTIL_WARM {
            warm_bytes = resident_bytes();
        }
    });
    if rounds > ROUNDS_UNTIL_WARM {
        let grown = resident_bytes().saturating_sub(warm_bytes);
        assert!(
            grown < GROWTH_BYTES_MAX,
            "{grown} more bytes after {rounds} rounds"
        );
    }
}

#[test]
fn a_runtime_that_ends_while_threads_wake_it_drops_everything() {
    stress(run_round_that_breaks_off);
}
