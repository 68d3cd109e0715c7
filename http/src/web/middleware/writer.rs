//! A thread that writes lines, so that no task waits for a disk or a terminal.
//!
//! # Invariants
//!
//! - Always: lines are written whole, and in their order.
//! - Never: more than [`LINES_MAX`] lines are in memory. Further lines are dropped, and a line in their place
//!   has their number.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// The highest number of lines that wait for the thread.
const LINES_MAX: usize = 8 * 1024;

/// The number of bytes that are written at once.
const BATCH_BYTES: usize = 64 * 1024;

/// Writes lines on a thread of its own.
///
/// Dropping it writes the lines that wait, and blocks until they are written. At most 8,192 lines wait. Further lines
/// are dropped, and a line in their place has their number.
///
/// ```
/// use waterwheel::http::web::middleware::LineWriter;
///
/// let lines = LineWriter::new(std::io::sink())?;
/// lines.write("one line");
/// lines.write(format_args!("{} lines", 2));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LineWriter {
    /// `None` only while it is dropped, because the thread ends with the channel.
    lines: Option<SyncSender<String>>,
    left_out: Cell<u64>,
    thread: Option<JoinHandle<()>>,
}

impl LineWriter {
    /// Starts the thread, which writes to `target`. If a write fails, its lines are lost.
    ///
    /// # Errors
    ///
    /// The error of starting a thread.
    pub fn new(target: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, received) = sync_channel(LINES_MAX);
        let thread = thread::Builder::new()
            .name("waterwheel-log".to_owned())
            .spawn(move || write_all(&received, target))?;
        Ok(Self {
            lines: Some(lines),
            left_out: Cell::new(0),
            thread: Some(thread),
        })
    }

    /// Queues a line and adds its line end. The line is dropped if the queue is full.
    pub fn write(&self, line: impl fmt::Display) {
        let left_out = self.left_out.get();
        if left_out > 0 && self.queue(format!("({left_out} lines dropped)\n")) {
            self.left_out.set(0);
        }
        if !self.queue(format!("{line}\n")) {
            self.left_out.set(self.left_out.get() + 1);
        }
    }

    fn queue(&self, line: String) -> bool {
        let Some(lines) = &self.lines else {
            return false;
        };
        match lines.try_send(line) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// The body of the thread: writes all waiting lines at once, until the channel is closed.
fn write_all(lines: &Receiver<String>, mut target: impl Write) {
    while let Ok(mut batch) = lines.recv() {
        while batch.len() < BATCH_BYTES
            && let Ok(line) = lines.try_recv()
        {
            batch.push_str(&line);
        }
        // The log itself has failed, so there is no place to report the error.
        drop(
            target
                .write_all(batch.as_bytes())
                .and_then(|()| target.flush()),
        );
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of the writer.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Passes on the written bytes, and blocks behind the first of them.
    struct Pipe(Sender<Vec<u8>>, Receiver<()>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            let _opened = self.1.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_queue_drops_lines_and_counts_them() {
        let (sender, written) = channel();
        let (go, wait) = channel();
        let lines = LineWriter::new(Pipe(sender, wait)).expect("a thread can be started");
        let go = go; // goes first, should an assertion fail: else the writer would wait for ever
        lines.write("first");
        assert_eq!(written.recv().as_deref(), Ok(&b"first\n"[..]));
        // From here on the writer is busy.
        for number in 0..LINES_MAX + 100 {
            lines.write(number);
        }
        assert_eq!(lines.left_out.get(), 100);
        drop(go);
        let numbers: Vec<_> = (0..LINES_MAX).map(|number| format!("{number}\n")).collect();
        let numbers = numbers.concat();
        assert!(numbers.len() < BATCH_BYTES);
        assert_eq!(written.recv(), Ok(numbers.into_bytes()));
        // The queue has room again.
        lines.write("last");
        drop(lines);
        let rest = String::from_utf8(written.iter().flatten().collect());
        assert_eq!(rest.as_deref(), Ok("(100 lines dropped)\nlast\n"));
    }
}
