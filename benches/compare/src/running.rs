//! A server that runs: started on its core, found ready, and ended when dropped.

use crate::pin;
use crate::servers::Server;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to start; under valgrind, and where a script compiles first, it takes long.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// How long it may take to end before it is killed.
const END_TIME_MAX: Duration = Duration::from_secs(10);

/// A server process, which ends with this value.
pub(crate) struct Running {
    child: Child,
    /// The process that serves: the child, or the child's child under strace.
    pub(crate) pid: i32,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts a server on a core, with further arguments.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) fn start(
        server: &Server,
        arguments: &[&str],
        core: usize,
    ) -> Result<Self, Box<dyn Error>> {
        Self::start_under(&[], server, arguments, core)
    }

    /// Starts a server as the argument of another program.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) fn start_under(
        wrapper: &[String],
        server: &Server,
        arguments: &[&str],
        core: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let address = free_address()?;
        let words: Vec<String> = wrapper.iter().cloned().chain(server.words()?).collect();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .arg(address.to_string())
            .args(&server.arguments)
            .args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child =
            pin::spawn_on(core, &mut command).map_err(|error| format!("{}: {error}", words[0]))?;
        let pid = i32::try_from(child.id())?;
        let mut running = Self {
            child,
            pid,
            address,
        };
        running.wait_until_ready()?;
        Ok(running)
    }

    /// Waits for the line that it listens, and then until it does.
    fn wait_until_ready(&mut self) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + START_TIME_MAX;
        let output = self.child.stdout.take().ok_or("no standard output")?;
        let errors = self.child.stderr.take().ok_or("no standard error")?;
        let last_error =
            thread::spawn(move || BufReader::new(errors).lines().map_while(Result::ok).last());
        let (said, hears) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.starts_with("listening on") {
                    said.send(()).ok();
                }
            }
        });
        match hears.recv_timeout(START_TIME_MAX) {
            Ok(()) => {}
            Err(mpsc::RecvTimeoutError::Timeout) => return Err("did not start in time".into()),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let reason = last_error
                    .join()
                    .ok()
                    .flatten()
                    .unwrap_or_else(|| "ended at once".to_owned());
                return Err(reason.into());
            }
        }
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > deadline {
                return Err("says it listens, but does not".into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// How long its threads were ready to run until now, but something else ran on their core: the second
    /// number of `/proc/PID/task/TID/schedstat`. Zero where the kernel does not tell.
    pub(crate) fn waited(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid));
        let of_task = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        let nanoseconds = tasks.map_or(0, |tasks| tasks.filter_map(of_task).sum());
        Duration::from_nanos(nanoseconds)
    }

    /// The processes started by this one, for wrappers that stay.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn children(&self) -> Result<Vec<i32>, Box<dyn Error>> {
        let id = self.child.id();
        let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        Ok(text
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?)
    }

    /// Ends it and waits for its end.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub(crate) fn end(&mut self) -> Result<(), Box<dyn Error>> {
        kill(Pid::from_raw(self.pid), Signal::SIGTERM).ok();
        let deadline = Instant::now() + END_TIME_MAX;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                kill(Pid::from_raw(self.pid), Signal::SIGKILL).ok();
                self.child.kill()?;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("could not end process {}: {error}", self.pid);
        }
    }
}

/// An address on the loopback that no one listens on.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
