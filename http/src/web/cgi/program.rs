//! A running program: its process group, its output, its errors, and its time.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};

use futures_io::AsyncRead;
use rustix::process::{Pid, Signal, kill_process_group};
use waterwheel_runtime::io::{PipeReader, PipeWriter};
use waterwheel_runtime::process::{Child, Command};
use waterwheel_runtime::{race, spawn};

use super::ProgramInput;
use crate::error::Result;
use crate::shared::reasons;
use crate::web::gateway::Watch;

/// A program that runs. Dropping it kills its process group.
pub(super) struct Program {
    child: Child,
    group: Option<Pid>,
    status: Option<ExitStatus>,
}

impl Program {
    /// Starts a program. Returns it with its input, unless that is empty, and with its output.
    pub(super) fn start(
        command: &mut Command,
        input: &ProgramInput<'_>,
    ) -> io::Result<(Self, Option<PipeWriter>, ProgramOutput)> {
        let has_input = !matches!(input, ProgramInput::Empty);
        let stdin = if has_input {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        command.stdin(stdin).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).kill_on_drop(true);
        // A shell that is killed leaves its own children behind. A signal to the group reaches all of them.
        command.as_std_mut().process_group(0);
        let mut child = command.spawn()?;
        if let Some(stderr) = child.stderr.take() {
            // A task of its own, because a program may close its output and go on.
            spawn(reasons::named("errors of program", log_lines(stderr))).detach();
        }
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let output = ProgramOutput::new(stdout.ok_or(io::ErrorKind::BrokenPipe)?);
        let id = i32::try_from(child.id()).ok();
        let group = id.and_then(Pid::from_raw);
        let program = Self {
            child,
            group,
            status: None,
        };
        Ok((program, stdin, output))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.status.is_some()
    }

    /// Waits until the program has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let status = self.child.wait().await?;
        self.status = Some(status);
        Ok(status)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The number of a program whose status is known may be that of another group.
        if self.status.is_none()
            && let Some(group) = self.group
        {
            // It fails only if no process of the group is left.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The standard output, and the bytes of it that are not used yet.
pub(super) struct ProgramOutput {
    stdout: PipeReader,
    buffer: Vec<u8>,
    /// Where the unused bytes are in the buffer.
    unused: Range<usize>,
}

/// The number of bytes that are read at once. A pipe of Linux holds four times as many.
const PIECE_BYTES: usize = 16 * 1024;

impl ProgramOutput {
    fn new(stdout: PipeReader) -> Self {
        Self {
            stdout,
            buffer: Vec::new(),
            unused: 0..0,
        }
    }

    /// Returns the bytes that are not used yet.
    pub(super) fn piece(&self) -> &[u8] {
        &self.buffer[self.unused.clone()]
    }

    /// Marks bytes as used.
    pub(super) fn consume(&mut self, count: usize) {
        self.unused.start += count;
        if self.unused.is_empty() {
            self.unused = 0..0;
        }
    }

    /// Reads more bytes behind those that are not used yet, and returns their number. Returns 0 at the end: that of
    /// the output, or that of the program when its bytes have been read.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn fill(&mut self, program: &mut Program, watch: &Watch) -> Result<usize> {
        let filled = self.unused.end;
        if self.buffer.len() < filled + PIECE_BYTES {
            self.buffer.resize(filled + PIECE_BYTES, 0);
        }
        let room = &mut self.buffer[filled..];
        let read = async {
            let stdout = &mut self.stdout;
            poll_fn(|cx| Pin::new(&mut *stdout).poll_read(cx, room))
                .await
                .map(Some)
        };
        // Without the end of the program, a child that it leaves behind would hold the answer open.
        let ended = async { program.ended().await.map(|_| None) };
        let count = match race(read, ended).biased().await? {
            Some(count) => count,
            // The program has ended. Its last bytes are in the pipe.
            None => match self.stdout.try_read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                read => read?,
            },
        };
        watch.progress();
        self.unused.end += count;
        Ok(count)
    }
}

/// The longest line of the standard error that is one line of the log. A longer one is split.
const LINE_BYTES_MAX: usize = 1024;

/// Logs the lines of a program's standard error, until it is closed.
async fn log_lines(mut stderr: PipeReader) {
    let mut line = Vec::new();
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = poll_fn(|cx| Pin::new(&mut stderr).poll_read(cx, &mut bytes)).await
    {
        for byte in &bytes[..count] {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() == LINE_BYTES_MAX {
                log_line(&mut line);
            }
        }
    }
    log_line(&mut line);
}

fn log_line(line: &mut Vec<u8>) {
    if !line.is_empty() {
        // Escaped, because a program may repeat bytes of its client.
        let text = line.escape_ascii().to_string();
        tracing::warn!(text, "a program writes to its standard error");
        line.clear();
    }
}
