//! Claims about signals: their names, their order and their cost. A signal concerns the whole process, so each
//! test uses a signal of its own.

use std::cell::Cell;
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::process::alone;
use crate::support::runtime::run;
use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use rustix::process::{Resource, Rlimit, getpid, getrlimit, kill_process, setrlimit};
use waterwheel::runtime::signal::{self, Signal, Signals};
use waterwheel::runtime::{descriptors, spawn};

/// Sends a signal to this thread. The handler of the signal has run when this returns.
fn raise(signal: Signal) {
    signal_hook::low_level::raise(signal.as_raw()).unwrap();
}

fn raise_all<const N: usize>(signals: [Signal; N]) {
    signals.into_iter().for_each(raise);
}

/// Receives all pending signals, in their order.
async fn pending(signals: &mut Signals) -> Vec<Signal> {
    let mut received = Vec::new();
    while let Some(signal) = poll_once(signals.recv()).await {
        received.push(signal.unwrap());
    }
    received
}

#[test]
fn two_signals_before_the_loop_runs_are_both_received_by_name() {
    alone(|| {
        let mut shutdown = signal::shutdown();
        raise(Signal::INTERRUPT);
        raise(Signal::TERMINATE);
        run(async {
            assert_eq!(shutdown.recv().await.unwrap(), Signal::INTERRUPT);
            assert_eq!(shutdown.recv().await.unwrap(), Signal::TERMINATE);
            assert!(poll_once(shutdown.recv()).await.is_none());
        });
    });
}

#[test]
fn signals_complete_a_future_one_after_the_other() {
    alone(|| {
        run(async {
            let mut shutdown = signal::shutdown();
            raise(Signal::INTERRUPT);
            assert_eq!(shutdown.recv().await.unwrap(), Signal::INTERRUPT);
            assert!(poll_once(&mut shutdown).await.is_none());
            raise(Signal::TERMINATE);
            assert_eq!(shutdown.recv().await.unwrap(), Signal::TERMINATE);
            assert!(poll_once(&mut shutdown).await.is_none());
        });
    });
}

#[test]
fn every_signal_that_has_a_name_can_be_received() {
    alone(|| {
        let named = [
            (Signal::HANGUP, "SIGHUP"),
            (Signal::INTERRUPT, "SIGINT"),
            (Signal::QUIT, "SIGQUIT"),
            (Signal::USER1, "SIGUSR1"),
            (Signal::USER2, "SIGUSR2"),
            (Signal::PIPE, "SIGPIPE"),
            (Signal::ALARM, "SIGALRM"),
            (Signal::TERMINATE, "SIGTERM"),
            (Signal::CHILD, "SIGCHLD"),
            (Signal::CONTINUE, "SIGCONT"),
            (Signal::TERMINAL_STOP, "SIGTSTP"),
            (Signal::URGENT, "SIGURG"),
            (Signal::WINDOW_CHANGE, "SIGWINCH"),
            (Signal::IO, "SIGIO"),
        ];
        let all = named.map(|(signal, _)| signal);
        run(async {
            let mut signals = signal::listen(&all).unwrap();
            for (signal, name) in named {
                assert_eq!(signal.to_string(), name);
                assert_eq!(Signal::from_raw(signal.as_raw()), signal);
                raise(signal);
                assert_eq!(signals.recv().await.unwrap(), signal);
            }
            assert!(pending(&mut signals).await.is_empty());
        });
    });
}

#[test]
fn a_signal_without_a_name_is_received_by_its_number() {
    alone(|| {
        // The real-time signals (`signal(7)`) without the two that the C library uses.
        let numbers: Vec<_> = (34..=64).map(Signal::from_raw).collect();
        run(async {
            let mut signals = signal::listen(&numbers).unwrap();
            numbers.iter().copied().for_each(raise);
            assert_eq!(pending(&mut signals).await, numbers);
            assert_eq!(numbers[0].to_string(), "signal 34");
            assert_eq!(format!("{:?}", Signal::HANGUP), "SIGHUP");
        });
    });
}

#[test]
fn signals_that_are_pending_together_are_received_lowest_number_first() {
    alone(|| {
        let ascending = [
            Signal::HANGUP,
            Signal::USER1,
            Signal::USER2,
            Signal::TERMINATE,
        ];
        let mut descending = ascending;
        descending.reverse();
        run(async {
            let mut signals = signal::listen(&descending).unwrap();
            raise_all(descending);
            assert_eq!(pending(&mut signals).await, ascending);
        });
    });
}

#[test]
fn a_signal_that_is_raised_twice_before_it_is_received_is_received_once() {
    alone(|| {
        run(async {
            let mut signals = signal::listen(&[Signal::USER1, Signal::USER2]).unwrap();
            raise_all([Signal::USER1, Signal::USER2, Signal::USER1]);
            let received = pending(&mut signals).await;
            assert_eq!(received, [Signal::USER1, Signal::USER2]);
            raise(Signal::USER1);
            assert_eq!(signals.recv().await.unwrap(), Signal::USER1);
            assert!(pending(&mut signals).await.is_empty());
        });
    });
}

#[test]
fn every_receiver_gets_every_signal() {
    alone(|| {
        run(async {
            let both = [Signal::USER1, Signal::TERMINATE];
            let tasks = [(); 3].map(|()| {
                let mut signals = signal::listen(&both).unwrap();
                spawn(async move { [signals.recv().await.unwrap(), signals.recv().await.unwrap()] })
            });
            let shutdown = spawn(signal::shutdown());
            raise_all(both);
            for task in tasks {
                assert_eq!(task.await.unwrap(), both);
            }
            assert_eq!(shutdown.await.unwrap().unwrap(), Signal::TERMINATE);
        });
    });
}

#[test]
fn a_receive_that_is_dropped_loses_no_signal() {
    alone(|| {
        run(async {
            let all = [Signal::HANGUP, Signal::USER1, Signal::USER2];
            let mut signals = signal::listen(&all).unwrap();
            // One receive is never polled, and one is polled and has to wait.
            drop(signals.recv());
            assert!(poll_once(signals.recv()).await.is_none());
            {
                let mut receive = pin!(signals.recv());
                assert!(poll_once(receive.as_mut()).await.is_none());
                raise_all(all);
            }
            // The signals are received one by one, with dropped receives in between.
            for signal in all {
                drop(signals.recv());
                assert_eq!(signals.recv().await.unwrap(), signal);
            }
            assert!(pending(&mut signals).await.is_empty());
        });
    });
}

#[test]
fn a_burst_of_ten_thousand_neither_blocks_nor_hides_the_last_signal() {
    alone(|| {
        let mut shutdown = signal::shutdown();
        run(async {
            // One burst comes before the receiver waits, and one while it waits.
            for _ in 0..3 {
                for _ in 0..10_000 {
                    raise(Signal::INTERRUPT);
                }
                raise(Signal::TERMINATE);
                assert_eq!(shutdown.recv().await.unwrap(), Signal::INTERRUPT);
                assert_eq!(shutdown.recv().await.unwrap(), Signal::TERMINATE);
                assert!(poll_once(shutdown.recv()).await.is_none());
            }
        });
    });
}

#[test]
fn a_signal_sent_to_the_process_wakes_a_runtime_that_waits() {
    alone(|| {
        let mut signals = signal::listen(&[Signal::USER1]).unwrap();
        // The kernel may run the handler on any thread, at any time.
        let sender = thread::spawn(|| kill_process(getpid(), rustix::process::Signal::USR1));
        run(async { assert_eq!(signals.recv().await.unwrap(), Signal::USER1) });
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn a_signal_that_comes_again_and_again_does_not_hide_another_one() {
    alone(|| {
        run(async {
            let all = [Signal::HANGUP, Signal::TERMINATE];
            let mut signals = signal::listen(&all).unwrap();
            raise_all(all);
            for signal in [Signal::HANGUP, Signal::TERMINATE, Signal::HANGUP] {
                raise(Signal::HANGUP);
                assert_eq!(signals.recv().await.unwrap(), signal);
            }
        });
    });
}

#[test]
fn a_task_that_receives_without_end_lets_others_run() {
    alone(|| {
        run(async {
            let ran = Rc::new(Cell::new(false));
            let other = spawn({
                let ran = ran.clone();
                async move { ran.set(true) }
            });
            let mut signals = signal::listen(&[Signal::USER1]).unwrap();
            let mut received = 0;
            while !ran.get() {
                raise(Signal::USER1);
                assert_eq!(signals.recv().await.unwrap(), Signal::USER1);
                received += 1;
                assert!(received <= 1_000, "the other task never runs");
            }
            other.await.unwrap();
        });
    });
}

#[test]
fn signals_are_a_stream_without_an_end() {
    alone(|| {
        run(async {
            let both = [Signal::HANGUP, Signal::USER1];
            let mut signals = signal::listen(&both).unwrap();
            raise_all(both);
            let received: Vec<_> = (&mut signals).take(2).map(Result::unwrap).collect().await;
            assert_eq!(received, both);
            assert!(poll_once(signals.next()).await.is_none());
        });
    });
}

#[test]
fn a_receiver_costs_two_descriptors_however_many_signals_it_listens_for() {
    alone(|| {
        run(async {
            let before = descriptors::open().unwrap();
            let shutdown = signal::shutdown();
            assert_eq!(descriptors::open().unwrap() - before, 2);
            let many: Vec<_> = (34..=64).map(Signal::from_raw).collect();
            let mut signals = signal::listen(&many).unwrap();
            assert_eq!(descriptors::open().unwrap() - before, 4);
            assert!(pending(&mut signals).await.is_empty());
            drop((shutdown, signals));
            assert_eq!(descriptors::open().unwrap(), before);
        });
    });
}

#[test]
fn a_signal_without_receivers_is_ignored_and_can_be_received_again() {
    alone(|| {
        run(async {
            drop(signal::listen(&[Signal::TERMINATE]).unwrap());
            // The default action would end the process.
            raise(Signal::TERMINATE);
            let mut signals = signal::listen(&[Signal::TERMINATE]).unwrap();
            assert!(pending(&mut signals).await.is_empty());
            raise(Signal::TERMINATE);
            assert_eq!(signals.recv().await.unwrap(), Signal::TERMINATE);
        });
    });
}

#[test]
fn dropping_a_receiver_while_its_signal_comes_raises_no_sigpipe() {
    alone(|| {
        let mut broken_pipes = signal::listen(&[Signal::PIPE]).unwrap();
        let first = signal::listen(&[Signal::USER1]).unwrap();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    kill_process(getpid(), rustix::process::Signal::USR1).unwrap();
                }
            });
            for _ in 0..2_000 {
                drop(signal::listen(&[Signal::USER1]).unwrap());
            }
            over.store(true, Ordering::Relaxed);
        });
        drop(first);
        run(async { assert!(pending(&mut broken_pipes).await.is_empty()) });
    });
}

#[test]
fn a_signal_that_cannot_be_handled_is_an_error_with_a_reason() {
    alone(|| {
        let before = descriptors::open().unwrap();
        for (number, text) in [
            (9, "cannot listen for SIGKILL: no process can handle it"),
            (19, "cannot listen for SIGSTOP: no process can handle it"),
            (4, "cannot listen for SIGILL: it reports a fault"),
            (7, "cannot listen for SIGBUS: it reports a fault"),
            (8, "cannot listen for SIGFPE: it reports a fault"),
            (11, "cannot listen for SIGSEGV: it reports a fault"),
            (0, "cannot listen for signal 0: there is no such signal"),
            (-1, "cannot listen for signal -1: there is no such signal"),
            (i32::MIN, "there is no such signal"),
            (i32::MAX, "there is no such signal"),
            (128, "cannot listen for signal 128: there is no such signal"),
            // The kernel has 64 signals, and the C library uses two of them.
            (65, "cannot listen for signal 65: "),
            (32, "cannot listen for signal 32: "),
        ] {
            let error = signal::listen(&[Signal::USER1, Signal::from_raw(number)]);
            let error = error.map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
        let error = signal::listen(&[]).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "there is no signal to listen for");
        assert_eq!(descriptors::open().unwrap(), before);
    });
}

#[test]
fn without_descriptors_listen_and_the_first_await_of_shutdown_fail() {
    alone(|| {
        run(async {
            let limit = getrlimit(Resource::Nofile);
            let none_left = Rlimit {
                current: Some(0),
                ..limit
            };
            setrlimit(Resource::Nofile, none_left).unwrap();
            let listen = signal::listen(&[Signal::USER1]).map(drop);
            let mut shutdown = signal::shutdown();
            setrlimit(Resource::Nofile, limit).unwrap();
            for error in [
                listen.unwrap_err(),
                shutdown.recv().await.unwrap_err(),
                shutdown.await.unwrap_err(),
            ] {
                let text = error.to_string();
                assert!(text.starts_with("cannot listen for signals: "), "{text}");
                assert!(text.contains("os error 24"), "{text}");
            }
        });
    });
}
