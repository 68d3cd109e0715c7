//! Claims about child processes: pipes without a deadlock, statuses, kills, and no zombies.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use crate::support::process::alone;
use crate::support::runtime::run;
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use waterwheel::runtime::process::{Child, Command};
use waterwheel::runtime::signal::Signal;
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{Runtime, spawn};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Returns the state of a process (`proc_pid_stat(5)`): `S` sleeps, `Z` is a zombie. `None` if it is gone.
fn state(id: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ").unwrap().1.chars().next()
}

/// Waits until a process is neither running nor a zombie.
async fn gone(id: u32) {
    while state(id).is_some() {
        sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_child_has_its_arguments_its_environment_and_its_folder() {
    run(async {
        let mut command = shell("echo $0 $WHEEL $HOME; pwd");
        command
            .arg("zero")
            .env_clear()
            .env("WHEEL", "water")
            .env("GONE", "x");
        command.env_remove("GONE").current_dir("/tmp");
        let output = command.output().await.unwrap();
        let folder = std::fs::canonicalize("/tmp").unwrap();
        let expected = format!("zero water\n{}\n", folder.display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert!(output.status.success());
        // The same command starts again, and writes to the output of this process.
        assert!(command.status().await.unwrap().success());
        assert_eq!(command.output().await.unwrap().stdout, output.stdout);
    });
}

#[test]
fn the_status_is_the_exit_code_or_the_signal_and_stays() {
    run(async {
        let mut child = shell("exit 7").spawn().unwrap();
        for _ in 0..3 {
            assert_eq!(child.wait().await.unwrap().code(), Some(7));
            assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
        }
        child.kill().unwrap();
        let signalled = shell("kill -TERM $$").status().await.unwrap();
        assert_eq!(signalled.signal(), Some(15));
    });
}

#[test]
fn a_program_that_does_not_exist_is_an_error() {
    run(async {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

/// If one pipe were read after the other, the child would wait for room in the second one for ever.
#[test]
fn both_outputs_are_read_at_once() {
    run(async {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; echo end >&2";
        let output = shell(script).output().await.unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (300_000, 300_004)
        );
    });
}

#[test]
fn a_wait_closes_the_input_so_that_a_reader_of_it_ends() {
    run(async {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        assert!(child.stdin.is_some());
        assert!(child.wait().await.unwrap().success());
        // The input of `output` is empty, and not that of this process.
        assert_eq!(Command::new("cat").output().await.unwrap().stdout, b"");
    });
}

#[test]
fn bytes_pass_through_a_child_in_both_directions() {
    run(async {
        let mut command = Command::new("tr");
        let command = command
            .args(["a-z", "A-Z"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let write = spawn(async move {
            for _ in 0..1000 {
                input.write_all(&[b'w'; 1000]).await.unwrap();
            }
        });
        let mut received = Vec::new();
        output.read_to_end(&mut received).await.unwrap();
        write.await.unwrap();
        assert_eq!(received.len(), 1_000_000);
        assert!(received.iter().all(|letter| *letter == b'W'));
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn a_write_to_a_child_that_has_ended_is_an_error() {
    run(async {
        let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        child.wait().await.unwrap();
        // A child of another test has all descriptors for a moment, between its fork and its exec.
        let error = loop {
            match input.write_all(b"too late").await {
                Ok(()) => sleep(Duration::from_millis(1)).await,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_dropped_wait_loses_no_status() {
    run(async {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        for _ in 0..3 {
            assert!(poll_once(child.wait()).await.is_none());
            assert!(
                timeout(Duration::from_millis(2), child.wait())
                    .await
                    .is_err()
            );
        }
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
    });
}

#[test]
fn a_signal_reaches_a_child_that_lives_and_no_other_process() {
    run(async {
        let mut child = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut ready).await.unwrap();
        child.signal(Signal::TERMINATE).unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        child.signal(Signal::TERMINATE).unwrap();

        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let error = child.signal(Signal::from_raw(0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        // Not SIGINT, which a shell lets its background jobs ignore, and they their children.
        child.signal(Signal::TERMINATE).unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(15));
        // It has ended, and its status was not asked for.
        let mut child = Command::new("true").spawn().unwrap();
        while state(child.id()) != Some('Z') {
            sleep(Duration::from_millis(1)).await;
        }
        child.signal(Signal::HANGUP).unwrap();
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn many_children_end_at_once_and_each_has_its_own_status() {
    run(async {
        let waits: Vec<_> = (0..40)
            .map(|code| {
                let mut child = shell(&format!("sleep 0.05; exit {code}")).spawn().unwrap();
                (code, spawn(async move { child.wait().await }))
            })
            .collect();
        for (code, wait) in waits {
            assert_eq!(wait.await.unwrap().unwrap().code(), Some(code));
        }
    });
}

#[test]
fn a_dropped_child_runs_on_and_leaves_no_zombie() {
    run(async {
        let mut child = Command::new("sleep").arg("0.05").spawn().unwrap();
        let id = child.id();
        drop(child);
        assert!(matches!(state(id), Some(state) if state != 'Z'));
        gone(id).await;
        // A child that has been waited for before the drop, and one that has ended meanwhile.
        let mut child = Command::new("sleep").arg("0.01").spawn().unwrap();
        assert!(poll_once(child.wait()).await.is_none());
        let id = child.id();
        while state(id) != Some('Z') {
            sleep(Duration::from_millis(1)).await;
        }
        drop(child);
        assert_eq!(state(id), None);
    });
}

#[test]
fn a_child_that_is_killed_by_its_drop_leaves_no_zombie() {
    run(async {
        let mut command = Command::new("sleep");
        let mut child = command.arg("600").kill_on_drop(true).spawn().unwrap();
        let id = child.id();
        drop(child);
        gone(id).await;
        let mut child = command.spawn().unwrap();
        let id = child.id();
        let waits = timeout(Duration::from_millis(2), async move { child.wait().await });
        assert!(waits.await.is_err());
        gone(id).await;
    });
}

#[test]
fn a_child_that_survives_its_runtime_is_reaped_by_the_next_start() {
    // Any start of another test would ask for these children, too.
    alone(|| {
        let start = || -> Child { Command::new("sleep").arg("0.05").spawn().unwrap() };
        let runtime = Runtime::new().unwrap();
        let mut ids = Vec::new();
        let outside = runtime.block_on(async {
            // Dropped in the runtime, by the end of the runtime, and outside of any runtime.
            let mut children = [start(), start(), start()];
            ids.extend(children.iter_mut().map(Child::id));
            let [dropped, mut kept, outside] = children;
            drop(dropped);
            spawn(async move { kept.wait().await }).detach();
            outside
        });
        drop(runtime);
        drop(outside);
        let zombies = || ids.iter().filter(|id| state(**id) == Some('Z')).count();
        while zombies() < 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
        run(async { Command::new("true").status().await }).unwrap();
        assert!(ids.iter().all(|id| state(*id).is_none()));
    });
}

/// A pipe that no task reads is full after 64 KiB.
#[test]
fn a_status_waits_for_no_reader_of_the_output() {
    run(async {
        let mut command = shell("head -c 200000 /dev/zero; head -c 200000 /dev/zero >&2");
        let long = Duration::from_secs(20);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().await.unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (200_000, 200_000)
        );
        timeout(long, command.status())
            .await
            .expect("it ends")
            .unwrap();
        let mut reads = Command::new("cat");
        reads.stdin(Stdio::piped()).stdout(Stdio::piped());
        let status = timeout(long, reads.status()).await.expect("it ends");
        assert!(status.unwrap().success());
    });
}

#[test]
fn a_folder_and_a_file_without_permission_are_no_programs() {
    run(async {
        for path in ["/", "/proc/self/status"] {
            let error = Command::new(path).spawn().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{path}");
        }
        assert!(Command::new("a\0b").spawn().is_err());
        let in_no_folder = shell("true").current_dir("/no/such/folder").spawn();
        assert_eq!(in_no_folder.unwrap_err().kind(), io::ErrorKind::NotFound);
    });
}

/// Returns the processes that this one has started and not asked for their status.
fn children() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of_task = |task: io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default()
    };
    tasks.map(of_task).collect()
}

#[test]
fn a_start_that_fails_for_want_of_descriptors_leaves_neither_a_child_nor_a_descriptor() {
    alone(|| {
        let limit = getrlimit(Resource::Nofile);
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        run(async {
            // The first child opens what all of them share.
            assert!(shell("true").status().await.unwrap().success());
            let before = open();
            let (mut failed, mut started) = (0, 0);
            for free in 0..14 {
                let mut command = Command::new("sleep");
                command.arg("60").kill_on_drop(true);
                command
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped());
                // `open` has counted its own descriptor, too.
                let current = Some((before - 1 + free) as u64);
                setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
                let child = command.spawn();
                setrlimit(Resource::Nofile, limit).unwrap();
                match child {
                    Ok(child) => {
                        started += 1;
                        drop(child);
                    }
                    Err(_) => failed += 1,
                }
            }
            assert!(
                failed > 0 && started > 0,
                "{failed} failed, {started} started"
            );
            // A later start asks for the status of those that were killed.
            timeout(Duration::from_secs(20), async {
                while !children().is_empty() {
                    sleep(Duration::from_millis(2)).await;
                    shell("true").status().await.unwrap();
                }
            })
            .await
            .expect("no child is left");
            assert_eq!(open(), before);
        });
    });
}

#[test]
fn a_child_that_was_started_outside_a_runtime_is_waited_for_inside_one() {
    let mut command = shell("cat; echo end >&2; exit 3");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (mut child, unused) = (command.spawn().unwrap(), command.spawn().unwrap());
    drop(unused);
    run(async move {
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"rye").await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"rye"[..], &b"end\n"[..])
        );
    });
}

#[test]
fn a_hundred_dropped_children_leave_no_zombie() {
    alone(|| {
        run(async {
            for round in 0..100 {
                let mut command = shell(if round % 2 == 0 {
                    "exit 1"
                } else {
                    "exec sleep 60"
                });
                let child = command.kill_on_drop(round % 4 != 0).spawn().unwrap();
                if round % 3 == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
                drop(child);
            }
            timeout(Duration::from_secs(60), async {
                while !children().is_empty() {
                    sleep(Duration::from_millis(2)).await;
                }
            })
            .await
            .expect("no child is left");
        });
    });
}

#[test]
fn the_pipes_of_an_output_are_gone_in_the_next_start() {
    run(async {
        let mut command = shell("exit 4");
        assert!(command.output().await.unwrap().stdout.is_empty());
        let mut child = command.spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        assert_eq!(child.wait().await.unwrap().code(), Some(4));
    });
}
