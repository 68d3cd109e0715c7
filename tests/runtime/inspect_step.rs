//! The step mode: a runtime that another thread stops, and its clock.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant as StdInstant};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use waterwheel::runtime::inspect::{self, Control, ControlState, EventKind, Explain};
use waterwheel::runtime::net::TcpListener;
use waterwheel::runtime::signal::{self, Signal};
use waterwheel::runtime::time::{self, Instant, sleep};
use waterwheel::runtime::{Runtime, spawn, spawn_blocking, task, yield_now};

use crate::inspect::recorded;
use crate::support::process::alone;
use crate::support::runtime::{OnDrop, within_deadline};

const PATIENCE: Duration = Duration::from_secs(10);

/// Lets the runtime run on when it drops, so that a test that fails does not hang.
struct Resumes(Control);

impl Drop for Resumes {
    fn drop(&mut self) {
        self.0.resume();
    }
}

/// Starts the thread that controls the runtime.
fn lecture<T: Send + 'static>(
    control: &Control,
    lecture: impl FnOnce(&Control) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let control = Resumes(control.clone());
    thread::spawn(move || {
        let control = control;
        lecture(&control.0)
    })
}

/// Takes one step, and waits for the next stop.
fn step(control: &Control) -> ControlState {
    assert!(control.step(), "{:?}", control.state());
    control.wait(PATIENCE)
}

/// Takes steps until this state.
fn step_to(control: &Control, wanted: impl Fn(ControlState) -> bool) -> usize {
    for steps in 0..1000 {
        let state = control.wait(PATIENCE);
        if wanted(state) {
            return steps;
        }
        step(control);
    }
    panic!("1000 steps do not lead there: {:?}", control.state());
}

#[test]
fn a_step_polls_exactly_one_task() {
    let (runtime, recorder) = recorded();
    let control = recorder.control();
    assert_eq!(control.state(), ControlState::Running);
    assert!(!control.step());
    control.pause();
    let lecturer = lecture(&control, move |control| {
        let polls = || recorder.trace().polls().count();
        let before = polls();
        for taken in 0..20 {
            assert!(matches!(
                control.wait(PATIENCE),
                ControlState::BeforePoll(_)
            ));
            assert_eq!(polls(), before + taken);
            // It stays stopped.
            thread::sleep(Duration::from_millis(1));
            assert_eq!(polls(), before + taken);
            assert!(control.step());
        }
        control.wait(PATIENCE);
        control.resume();
    });
    runtime.block_on(async {
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                spawn(async {
                    for _ in 0..5 {
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for _ in 0..20 {
            yield_now().await;
        }
    });
    lecturer.join().unwrap();
}

#[test]
fn the_state_names_the_task_of_the_next_poll() {
    let (runtime, recorder) = recorded();
    let control = recorder.control();
    let named = task::Builder::new().name("named");
    let task = runtime.block_on(async move {
        let task = named.spawn(sleep(Duration::from_millis(1)));
        Some(task) // not awaited here: `block_on` would wait for it
    });
    let task = task.unwrap();
    let id = task.id();
    control.pause();
    let lecturer = lecture(&control, move |control| {
        step_to(control, |state| state == ControlState::BeforePoll(id));
        control.resume();
    });
    runtime.block_on(task).unwrap();
    lecturer.join().unwrap();
    assert_eq!(control.state(), ControlState::Running);
}

/// Stops a runtime for `stop` as soon as it waits, and lets it go on.
fn stop_for(control: &Control, stop: Duration) {
    control.pause();
    assert!(!matches!(control.wait(PATIENCE), ControlState::Stopping));
    thread::sleep(stop);
    control.resume();
}

#[test]
fn no_deadline_passes_while_the_runtime_is_stopped() {
    let (runtime, recorder) = recorded();
    let control = recorder.control();
    let stop = Duration::from_millis(600);
    let began = StdInstant::now();
    let lecturer = lecture(&control, move |control| {
        thread::sleep(Duration::from_millis(20));
        stop_for(control, stop);
    });
    runtime.block_on(async {
        let at_first = Instant::now();
        let hurried = time::timeout(
            Duration::from_millis(300),
            sleep(Duration::from_millis(200)),
        );
        hurried
            .await
            .expect("the stop does not count for the timeout");
        let lasted = at_first.elapsed();
        assert!(lasted >= Duration::from_millis(200), "{lasted:?}");
        assert!(lasted < Duration::from_millis(590), "{lasted:?}");
        assert!(Instant::of_turn() <= Instant::now());
    });
    lecturer.join().unwrap();
    assert!(began.elapsed() >= stop + Duration::from_millis(200));
    // The clock of the events has stood, too.
    let trace = recorder.trace();
    let events = trace.events();
    let longest = events
        .windows(2)
        .map(|pair| pair[1].at.saturating_sub(pair[0].at))
        .max();
    assert!(longest < Some(stop), "{longest:?}");
}

#[test]
fn a_stopped_runtime_loses_no_connection() {
    let (runtime, recorder) = recorded();
    let control = recorder.control();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_address().unwrap();
    control.pause();
    let lecturer = lecture(&control, move |control| {
        // Clients that come while the server takes single steps.
        let mut clients: Vec<_> = (0..3)
            .map(|_| net::TcpStream::connect(address).unwrap())
            .collect();
        for client in &mut clients {
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client.write_all(b"abc").unwrap();
        }
        // The server may be done before that, and then it does not stop any more.
        for _ in 0..30 {
            thread::sleep(Duration::from_millis(5));
            if !control.step() {
                break;
            }
            control.wait(Duration::from_millis(500));
        }
        control.resume();
        for client in &mut clients {
            let mut bytes = [0; 3];
            client.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"abc");
        }
    });
    runtime.block_on(async move {
        let mut served = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            served.push(spawn(async move {
                let mut bytes = [0; 3];
                let read = time::timeout(Duration::from_secs(1), stream.read_exact(&mut bytes));
                read.await.expect("the stops do not count").unwrap();
                stream.write_all(&bytes).await.unwrap();
            }));
        }
        for task in served {
            task.await.unwrap();
        }
    });
    lecturer.join().unwrap();
}

#[test]
fn a_step_before_a_wait_delivers_or_ends_soon() {
    let (runtime, recorder) = recorded();
    let control = recorder.control();
    control.pause();
    let lecturer = lecture(&control, move |control| {
        step_to(control, |state| state == ControlState::BeforeWait);
        // No event comes, so the step is a short wait. A signal to another test of this process may end a wait at once
        // (`epoll_wait(2)`, EINTR), so the longest of three counts.
        let wait = |_| {
            let began = StdInstant::now();
            assert_eq!(step(control), ControlState::BeforeWait);
            began.elapsed()
        };
        let longest = (0..3).map(wait).max().unwrap();
        assert!(
            longest >= Duration::from_millis(50) && longest < Duration::from_secs(5),
            "{longest:?}"
        );
        // The steps let the clock run, so the deadline comes.
        let steps = step_to(control, |state| {
            matches!(state, ControlState::BeforePoll(_))
        });
        assert!((1..=15).contains(&steps), "{steps}");
    });
    runtime.block_on(sleep(Duration::from_secs(1)));
    lecturer.join().unwrap();
}

#[test]
fn steps_move_a_paused_clock_from_deadline_to_deadline() {
    let (runtime, recorder) = recorded();
    let control = recorder.control();
    let lecturer = lecture(&control, move |control| {
        thread::sleep(Duration::from_millis(10));
        control.pause();
        control.wait(PATIENCE);
        for _ in 0..7 {
            if control.state() == ControlState::Running {
                break;
            }
            step(control);
        }
        control.resume();
        recorder.trace()
    });
    let ticks = Rc::new(Cell::new(0));
    runtime.block_on(async {
        time::pause();
        let begin = Instant::now();
        // The clock is not moved before the first stop, because this future is always ready.
        let real = StdInstant::now();
        poll_fn(|cx| {
            if real.elapsed() > Duration::from_millis(50) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })
        .await;
        for _ in 0..100 {
            sleep(Duration::from_secs(1)).await;
            ticks.set(ticks.get() + 1);
        }
        assert_eq!(begin.elapsed(), Duration::from_secs(100));
    });
    assert_eq!(ticks.get(), 100);
    let trace = lecturer.join().unwrap();
    assert!(
        trace
            .events()
            .iter()
            .any(|event| matches!(event.kind, EventKind::PollStart { .. }))
    );
}

#[test]
fn a_runtime_that_waits_for_a_long_time_stops_at_once() {
    let (runtime, recorder) = recorded();
    let control = recorder.control();
    let (sender, receiver) = std::sync::mpsc::channel();
    let lecturer = lecture(&control, move |control| {
        let waker: std::task::Waker = receiver.recv().unwrap();
        thread::sleep(Duration::from_millis(20));
        control.pause();
        let began = StdInstant::now();
        assert_ne!(control.wait(PATIENCE), ControlState::Stopping);
        assert!(began.elapsed() < Duration::from_secs(5));
        // A message that comes during the stop is not lost.
        waker.wake();
        control.resume();
    });
    let mut polls = 0;
    runtime.block_on(poll_fn(|cx| {
        polls += 1;
        if polls == 1 {
            sender.send(cx.waker().clone()).unwrap();
            return Poll::Pending;
        }
        Poll::Ready(())
    }));
    lecturer.join().unwrap();
}

#[test]
fn the_dump_of_a_stopped_runtime_stands_still() {
    let poll_max = Duration::from_millis(40);
    let runtime = Runtime::builder()
        .explain(Explain::default().poll_max(poll_max))
        .inspect(inspect::Options::default())
        .build()
        .unwrap();
    let (recorder, sleeper, queued) = runtime.block_on(async {
        let sleeper = task::Builder::new().name("sleeper");
        let sleeper = sleeper.spawn(sleep(Duration::from_millis(500)));
        yield_now().await;
        let queued = task::Builder::new().name("queued").spawn(yield_now());
        (inspect::recorder().unwrap(), sleeper, queued)
    });
    let control = recorder.control();
    control.pause();
    let id = queued.id();
    let lecturer = lecture(&control, move |control| {
        step_to(control, |state| state == ControlState::BeforePoll(id));
        let early = recorder.dump();
        thread::sleep(Duration::from_millis(600));
        let late = recorder.dump();
        (early.to_json(), late.to_json())
    });
    runtime.block_on(async {
        queued.await.unwrap();
        sleeper.await.unwrap();
    });
    let (early, late) = lecturer.join().unwrap();
    assert!(!late.contains("starved task"), "{late}");
    assert_eq!(early, late);
}

#[test]
fn a_stopped_runtime_can_be_dropped_with_its_tasks_and_its_jobs() {
    let (runtime, recorder) = recorded();
    let control = recorder.control();
    let dropped: Rc<Cell<u32>> = Rc::default();
    let guard = |dropped: &Rc<Cell<u32>>| {
        let dropped = dropped.clone();
        OnDrop(move || dropped.set(dropped.get() + 1))
    };
    let (waits, asks) = (guard(&dropped), guard(&dropped));
    runtime.block_on(async move {
        spawn(async move {
            let _guard = waits;
            sleep(Duration::from_secs(60)).await;
        })
        .detach();
        spawn(async move {
            let _guard = asks;
            drop(spawn_blocking(|| thread::sleep(Duration::from_millis(20))).await);
        })
        .detach();
        yield_now().await;
    });
    control.pause();
    within_deadline(|| drop(runtime));
    assert_eq!(dropped.get(), 2);
    // The control of a runtime that is gone waits no longer than it was told to, and steps nothing.
    assert_eq!(
        control.wait(Duration::from_millis(1)),
        ControlState::Stopping
    );
    assert!(!control.step());
    assert_eq!(recorder.dump().tasks(), 0);
    control.resume();
    assert_eq!(control.state(), ControlState::Running);
}

#[test]
fn a_runtime_whose_last_control_is_dropped_runs_on() {
    let (runtime, recorder) = recorded();
    let first = recorder.control();
    let second = recorder.control();
    first.pause();
    drop(first.clone());
    drop(first);
    assert_eq!(second.state(), ControlState::Stopping, "one is left");
    let lecturer = thread::spawn(move || {
        assert!(matches!(second.wait(PATIENCE), ControlState::BeforePoll(_)));
        drop(second);
    });
    // Without the end of the stop, this waits for ever.
    runtime.block_on(yield_now());
    lecturer.join().unwrap();
    assert_eq!(recorder.control().state(), ControlState::Running);
}

fn raise(signal: Signal) {
    signal_hook::low_level::raise(signal.as_raw()).unwrap();
}

/// Waits until the runtime runs, for a limited time. Resumes it if it does not.
fn runs_on(control: &Control) -> bool {
    let began = StdInstant::now();
    while began.elapsed() < Duration::from_secs(3) {
        if control.state() == ControlState::Running {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    control.resume();
    false
}

#[test]
fn a_signal_that_asks_the_program_to_end_ends_a_pause() {
    alone(|| {
        let (runtime, recorder) = recorded();
        let control = recorder.control();
        let mut shutdown = signal::shutdown();
        for wanted in [Signal::INTERRUPT, Signal::TERMINATE, Signal::INTERRUPT] {
            control.pause();
            let lecturer = lecture(&control, move |control| {
                step_to(control, |state| state == ControlState::BeforeWait);
                assert_eq!(control.ended_by(), None);
                raise(wanted);
                assert!(runs_on(control), "{wanted}");
            });
            let came = runtime.block_on(shutdown.recv()).unwrap();
            lecturer.join().unwrap();
            assert_eq!(came, wanted);
            assert_eq!(control.ended_by(), Some(wanted));
        }
        control.pause();
        control.resume();
        assert_eq!(control.ended_by(), None, "the last pause counts");
    });
}

#[test]
fn a_signal_that_comes_before_the_stop_ends_the_pause_too() {
    alone(|| {
        let (runtime, recorder) = recorded();
        let control = recorder.control();
        let mut shutdown = signal::shutdown();
        control.pause();
        raise(Signal::TERMINATE);
        // A second click on the button must not hide it.
        control.pause();
        let lecturer = lecture(&control, |control| assert!(runs_on(control)));
        let came = runtime.block_on(shutdown.recv()).unwrap();
        lecturer.join().unwrap();
        assert_eq!(came, Signal::TERMINATE);
    });
}

#[test]
fn an_old_signal_and_one_with_another_meaning_end_no_pause() {
    alone(|| {
        let (runtime, recorder) = recorded();
        let control = recorder.control();
        let all = [Signal::INTERRUPT, Signal::USER1, Signal::WINDOW_CHANGE];
        let mut signals = signal::listen(&all).unwrap();
        raise(Signal::INTERRUPT);
        control.pause();
        let lecturer = lecture(&control, move |control| {
            step_to(control, |state| state == ControlState::BeforeWait);
            raise(Signal::USER1);
            raise(Signal::WINDOW_CHANGE);
            thread::sleep(Duration::from_millis(200));
            assert_eq!(control.state(), ControlState::BeforeWait);
            control.resume();
        });
        runtime.block_on(async {
            for wanted in [Signal::INTERRUPT, Signal::USER1, Signal::WINDOW_CHANGE] {
                assert_eq!(signals.recv().await.unwrap(), wanted);
            }
        });
        lecturer.join().unwrap();
        assert_eq!(control.ended_by(), None);
    });
}
