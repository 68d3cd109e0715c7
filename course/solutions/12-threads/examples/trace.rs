//! A scene for the player: a value from another thread.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use solution_12::{block_on, oneshot, spawn};
use watch::Cause;

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let (sender, receiver) = oneshot();
                let thread = thread::spawn(move || {
                    thread::sleep(Duration::from_millis(20));
                    sender.send(7);
                });
                let receiver = spawn(watch::task("receiver", receiver));
                assert_eq!(receiver.await.ok(), Some(7));
                thread.join().unwrap();
            }));
        },
        &[
            (
                "The wake of the receiver comes while the runtime's thread sleeps in epoll. The unpark ends the sleep.",
                |record| record.is_woken_in_a_sleep("receiver"),
            ),
            (
                "The receiver is polled twice, and woken once: by another thread.",
                |record| {
                    record.polls("receiver") == 2 && record.wakes("receiver") == [Cause::Thread]
                },
            ),
            (
                "The end of the receiver wakes the root on the own thread, and no message is sent.",
                |record| record.woken_by("root") == ["receiver"],
            ),
        ],
    )
}
