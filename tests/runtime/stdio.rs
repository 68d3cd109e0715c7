//! Claims about the standard streams: the mode stays, the process can end, no byte is lost.

#![allow(clippy::print_stdout, reason = "a child talks to its parent")]

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::process::again;
use crate::support::runtime::{run, within_deadline};
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use waterwheel::runtime::io::{stderr, stdin, stdout};
use waterwheel::runtime::time::timeout;
use waterwheel::runtime::{Runtime, join};

/// Runs the named test again in a process of its own, with these standard streams.
fn start(test: &str, input: Stdio, output: Stdio) -> Child {
    let mut child = again(test);
    child.arg0("child").env("WATERWHEEL_CHILD", test);
    child.stdin(input).stdout(output).spawn().unwrap()
}

/// Returns true in a process that [`start`] has started for this test.
fn is_child(test: &str) -> bool {
    std::env::var_os("WATERWHEEL_CHILD").is_some_and(|child| child == test)
}

/// The controlling end of a new terminal, and the end for a child.
fn terminal() -> (std::fs::File, OwnedFd) {
    let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&control).unwrap();
    unlockpt(&control).unwrap();
    let name = ptsname(&control, Vec::new()).unwrap();
    let name = std::ffi::OsStr::from_bytes(name.as_bytes()).to_owned();
    let end = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name)
        .unwrap();
    (control.into(), end.into())
}

/// Reads up to this text. Returns all that was read.
fn read_until(stream: &mut impl Read, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0].into());
    }
    seen
}

fn is_blocking(fd: impl AsFd) -> bool {
    !fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// The runtime and the process end although the thread of the input waits for a line that never comes.
#[test]
fn the_process_can_end_while_a_read_of_the_input_waits() {
    const NAME: &str = "stdio::the_process_can_end_while_a_read_of_the_input_waits";
    within_deadline(|| {
        if is_child(NAME) {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let (mut input, mut buffer) = (stdin(), [0; 8]);
                let read = input.read(&mut buffer);
                assert!(timeout(Duration::from_millis(20), read).await.is_err());
            });
            return;
        }
        let mut child = start(NAME, Stdio::piped(), Stdio::null());
        let _open = child.stdin.take();
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_dropped_read_of_the_input_loses_no_byte_and_the_end_comes_once_more() {
    const NAME: &str =
        "stdio::a_dropped_read_of_the_input_loses_no_byte_and_the_end_comes_once_more";
    within_deadline(|| {
        if is_child(NAME) {
            run(async {
                let mut buffer = [0; 4];
                for _ in 0..3 {
                    assert!(poll_once(stdin().read(&mut buffer)).await.is_none());
                }
                println!("reading");
                // Several tasks read at once: each byte goes to one of them.
                let (mut a, mut b) = ([0; 4], [0; 4]);
                let (mut one, mut two) = (stdin(), stdin());
                let (one, two) = join(one.read_exact(&mut a), two.read_exact(&mut b)).await;
                one.unwrap();
                two.unwrap();
                assert!((&a, &b) == (b"0123", b"4567") || (&a, &b) == (b"4567", b"0123"));
                let mut rest = String::new();
                stdin().read_to_string(&mut rest).await.unwrap();
                assert_eq!(rest, "89");
                assert_eq!(stdin().read(&mut buffer).await.unwrap(), 0);
            });
            return;
        }
        let mut child = start(NAME, Stdio::piped(), Stdio::piped());
        let mut output = child.stdout.take().unwrap();
        let mut seen = read_until(&mut output, "reading");
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"0123").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        input.write_all(b"456789").unwrap();
        drop(input);
        output.read_to_string(&mut seen).unwrap();
        assert!(child.wait().unwrap().success(), "{seen}");
    });
}

#[test]
fn the_input_may_be_a_file() {
    const NAME: &str = "stdio::the_input_may_be_a_file";
    within_deadline(|| {
        if is_child(NAME) {
            run(async {
                let mut text = Vec::new();
                stdin().read_to_end(&mut text).await.unwrap();
                assert_eq!(text, std::fs::read("Cargo.toml").unwrap());
            });
            return;
        }
        let file = std::fs::File::open("Cargo.toml").unwrap();
        assert!(
            start(NAME, file.into(), Stdio::null())
                .wait()
                .unwrap()
                .success()
        );
    });
}

/// A shell whose terminal is non-blocking after the program reports errors for its own reads and writes.
#[test]
fn the_terminal_stays_blocking() {
    const NAME: &str = "stdio::the_terminal_stays_blocking";
    within_deadline(|| {
        if is_child(NAME) {
            run(async {
                let mut output = stdout();
                output.write_all(b"a prompt> ").await.unwrap();
                output.flush().await.unwrap();
                let mut line = [0; 16];
                let bytes = stdin().read(&mut line).await.unwrap();
                assert_eq!(&line[..bytes], b"a line\n");
                assert!(is_blocking(std::io::stdin()) && is_blocking(std::io::stdout()));
                output.write_all(b"thanks\n").await.unwrap();
                output.close().await.unwrap();
            });
            return;
        }
        let (mut control, end) = terminal();
        let input = Stdio::from(end.try_clone().unwrap());
        let output = Stdio::from(end.try_clone().unwrap());
        let mut child = start(NAME, input, output);
        for text in ["a prompt> ", "thanks"] {
            read_until(&mut control, text);
            assert!(is_blocking(&end));
            control.write_all(b"a line\n").unwrap();
        }
        // The test harness prints more than the terminal holds back.
        let rest = std::thread::spawn(move || while control.read_exact(&mut [0]).is_ok() {});
        assert!(child.wait().unwrap().success());
        assert!(is_blocking(&end));
        drop(end);
        rest.join().unwrap();
    });
}

#[test]
fn the_end_of_the_runtime_waits_for_the_output() {
    const NAME: &str = "stdio::the_end_of_the_runtime_waits_for_the_output";
    within_deadline(|| {
        if is_child(NAME) {
            run(async {
                let (mut output, mut errors) = (stdout(), stderr());
                for number in 0..100 {
                    output
                        .write_all(format!("<{number}>").as_bytes())
                        .await
                        .unwrap();
                }
                errors.write_all(b"and an error\n").await.unwrap();
            });
            return;
        }
        let child = start(NAME, Stdio::null(), Stdio::piped());
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let numbers: Vec<_> = (0..100).map(|number| format!("<{number}>")).collect();
        assert!(text.contains(&numbers.concat()), "{text}");
    });
}

/// The reader of the output is gone: an error, and no signal that ends the process.
#[test]
fn an_output_without_a_reader_is_an_error() {
    const NAME: &str = "stdio::an_output_without_a_reader_is_an_error";
    within_deadline(|| {
        if is_child(NAME) {
            run(async {
                println!("ready");
                let mut output = stdout();
                let error = loop {
                    if let Err(error) = output.write_all(b"lost\n").await {
                        break error;
                    }
                };
                assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
                std::process::exit(7);
            });
        }
        let mut child = start(NAME, Stdio::null(), Stdio::piped());
        // The test harness of the child prints before the test begins.
        read_until(&mut child.stdout.take().unwrap(), "ready");
        assert_eq!(child.wait().unwrap().code(), Some(7));
    });
}

/// Another process may have made a shared pipe non-blocking: Node does.
#[test]
fn streams_that_are_non_blocking_are_waited_for() {
    const NAME: &str = "stdio::streams_that_are_non_blocking_are_waited_for";
    within_deadline(|| {
        if is_child(NAME) {
            run(async {
                let mut output = stdout();
                output.write_all(b"reading").await.unwrap();
                output.flush().await.unwrap();
                let mut text = String::new();
                stdin().read_to_string(&mut text).await.unwrap();
                for _ in 0..100 {
                    output.write_all(text.repeat(500).as_bytes()).await.unwrap();
                }
                output.flush().await.unwrap();
            });
            return;
        }
        let (input, mut to_child) = std::io::pipe().unwrap();
        let (mut from_child, output) = std::io::pipe().unwrap();
        for end in [input.as_fd(), output.as_fd()] {
            rustix::io::ioctl_fionbio(end, true).unwrap();
        }
        let mut child = start(NAME, input.into(), output.into());
        let mut seen = read_until(&mut from_child, "reading");
        std::thread::sleep(Duration::from_millis(20));
        to_child.write_all(b"water").unwrap();
        drop(to_child);
        std::thread::sleep(Duration::from_millis(20));
        from_child.read_to_string(&mut seen).unwrap();
        assert!(child.wait().unwrap().success(), "{seen}");
        assert_eq!(seen.matches("water").count(), 50_000);
    });
}

#[test]
fn reads_of_the_input_that_are_dropped_keep_no_task_alive() {
    const NAME: &str = "stdio::reads_of_the_input_that_are_dropped_keep_no_task_alive";
    struct Bell;
    impl std::task::Wake for Bell {
        fn wake(self: std::sync::Arc<Self>) {}
    }
    within_deadline(|| {
        if is_child(NAME) {
            run(async {
                let bell = std::sync::Arc::new(Bell);
                for _ in 0..3 {
                    let waker = bell.clone().into();
                    let mut cx = std::task::Context::from_waker(&waker);
                    let mut input = stdin();
                    let mut byte = [0];
                    let read = std::pin::pin!(input.read(&mut byte));
                    assert!(read.poll(&mut cx).is_pending());
                }
                assert_eq!(std::sync::Arc::strong_count(&bell), 1);
            });
            return;
        }
        let mut child = start(NAME, Stdio::piped(), Stdio::null());
        assert!(child.wait().unwrap().success());
    });
}
