//! A child process that was started.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::process::{Child as StdChild, ExitStatus, Output};

use futures_io::AsyncRead;
use rustix::process::{Pid, kill_process};

use super::exit::Exit;
use crate::io::{PipeReader, PipeWriter, copy};
use crate::join::join;
use crate::signal::Signal;

/// A process that was started by [`Command::spawn`](super::Command::spawn).
///
/// If it is dropped, the process runs on, or is killed if
/// [`kill_on_drop`](super::Command::kill_on_drop) was set. In both cases the runtime asks for its exit status
/// when it has ended, so no zombie is left.
///
/// # Examples
///
/// ```
/// use std::process::Stdio;
/// use waterwheel::runtime::{block_on, process::Command};
///
/// block_on(async {
///     let mut child = Command::new("sleep").arg("60").spawn()?;
///     println!("process {}", child.id());
///     assert!(child.try_wait()?.is_none());
///     child.kill()?;
///     assert!(!child.wait().await?.success());
///
///     let child = Command::new("echo").arg("water").stdout(Stdio::piped()).spawn()?;
///     assert_eq!(child.wait_with_output().await?.stdout, b"water\n");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// The standard input, if it is a pipe.
    pub stdin: Option<PipeWriter>,
    /// The standard output, if it is a pipe.
    pub stdout: Option<PipeReader>,
    /// The standard error, if it is a pipe.
    pub stderr: Option<PipeReader>,
    exit: Exit,
    kills_on_drop: bool,
}

impl Child {
    /// Takes a process and its pipes over.
    pub(super) fn of(mut child: StdChild, kills_on_drop: bool) -> io::Result<Self> {
        // Taken out, because the wait of the standard library would close them.
        let stdin = child
            .stdin
            .take()
            .map(|end| PipeWriter::from_fd(end.into()));
        let stdout = child
            .stdout
            .take()
            .map(|end| PipeReader::from_fd(end.into()));
        let stderr = child
            .stderr
            .take()
            .map(|end| PipeReader::from_fd(end.into()));
        let mut child = Self {
            stdin: None,
            stdout: None,
            stderr: None,
            exit: Exit::of(child)?,
            // Until all is well: an error means that no child runs.
            kills_on_drop: true,
        };
        child.stdin = stdin.transpose()?;
        child.stdout = stdout.transpose()?;
        child.stderr = stderr.transpose()?;
        child.kills_on_drop = kills_on_drop;
        Ok(child)
    }

    /// Returns the number of the process.
    pub fn id(&mut self) -> u32 {
        self.exit.child().id()
    }

    /// Waits for the end of the process, and returns its status. It first closes the standard input, so that a
    /// process that reads to the end does not wait for ever. A later call returns the same status.
    ///
    /// # Errors
    ///
    /// Returns the errors of `waitpid(2)`: other code has taken the status, or the process ignores SIGCHLD.
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside a runtime, or inside another runtime than the first one.
    ///
    /// # Cancel safety
    ///
    /// Safe, but for the closed input.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        // As the standard library does.
        self.stdin = None;
        Pin::new(&mut self.exit).await
    }

    /// Returns the status of the process if it has ended.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.exit.child().try_wait()
    }

    /// Waits for the end of the process, and returns its status and all that it has written into pipes. It reads
    /// both pipes at once, so the process never waits for room.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`wait`](Self::wait), and those of `read(2)`.
    ///
    /// # Cancel safety
    ///
    /// Not safe: dropping the future loses the output, and drops the child.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        self.stdin = None;
        let (out, err) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = join(read_all(out), read_all(err)).await;
        // The outputs end when all writers have closed them, which may be later than the end of the process.
        Ok(Output {
            status: self.wait().await?,
            stdout: stdout?,
            stderr: stderr?,
        })
    }

    /// Kills the process (SIGKILL). This does not wait for its end. It has no effect if the status is known.
    ///
    /// # Errors
    ///
    /// Returns the errors of `kill(2)`.
    pub fn kill(&mut self) -> io::Result<()> {
        self.exit.child().kill()
    }

    /// Sends a signal to the process, for example a request to end ([`Signal::TERMINATE`]). It has no effect if the
    /// process has ended.
    ///
    /// # Errors
    ///
    /// Returns the errors of `kill(2)`: `InvalidInput` if there is no such signal, `PermissionDenied` if the process
    /// runs as another user now.
    ///
    /// # Examples
    ///
    /// Asks a process to end, and kills it if it does not:
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::{block_on, process::Command, signal::Signal, time::timeout};
    ///
    /// block_on(async {
    ///     let mut child = Command::new("sleep").arg("60").spawn()?;
    ///     child.signal(Signal::TERMINATE)?;
    ///     if timeout(Duration::from_secs(10), child.wait()).await.is_err() {
    ///         child.kill()?;
    ///     }
    ///     println!("{}", child.wait().await?);
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        let signal = rustix::process::Signal::from_named_raw(signal.as_raw());
        let signal = signal.ok_or(ErrorKind::InvalidInput)?;
        let child = self.exit.child();
        // Once the status is known, the id may be that of another process.
        if child.try_wait()?.is_none() {
            kill_process(Pid::from_child(child), signal)?;
        }
        Ok(())
    }
}

/// Reads all bytes of a pipe, if there is one.
async fn read_all(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        copy(pipe, &mut bytes).await?;
    }
    Ok(bytes)
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.kills_on_drop {
            // It fails only for a process that has ended. The drop of `exit` asks for its status.
            drop(self.kill());
        }
    }
}
