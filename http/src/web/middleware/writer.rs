//! Lines written by a thread of their own, so that nobody waits for a disk or a terminal.
//!
//! # Invariants
//!
//! - Always: whole lines, in the order in which they came.
//! - Never: more than [`LINES_MAX`] in memory. What does not fit is left out, and how many lines that
//!   were is said in their place.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// How many lines may wait to be written.
const LINES_MAX: usize = 8 * 1024;

/// How much is written at once.
const BATCH_BYTES: usize = 64 * 1024;

/// Writes lines on a thread of its own.
///
/// Dropping it writes what is left, and waits for that.
#[derive(Debug)]
pub struct LineWriter {
    /// Until it is dropped.
    lines: Option<SyncSender<String>>,
    left_out: Cell<u64>,
    thread: Option<JoinHandle<()>>,
}

impl LineWriter {
    /// Writes to `target`. An error there costs the lines it hits, and nothing else.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
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

    /// Queues a line; its end is added. Where there is no room for it, it is left out.
    pub fn write(&self, line: impl fmt::Display) {
        let left_out = self.left_out.get();
        if left_out > 0 && self.queue(format!("({left_out} lines left out)\n")) {
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

/// A thread's life: as many lines as there are at once, until there will be no more.
fn write_all(lines: &Receiver<String>, mut target: impl Write) {
    while let Ok(mut batch) = lines.recv() {
        while batch.len() < BATCH_BYTES
            && let Ok(line) = lines.try_recv()
        {
            batch.push_str(&line);
        }
        // There is nobody to tell but the log, and that is this.
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
            // A writer that panicked has said so.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Passes on what is written, and waits behind the first of it.
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
    fn lines_wait_up_to_a_number_and_what_is_left_out_is_counted() {
        let (sender, written) = channel();
        let (go, wait) = channel();
        let lines = LineWriter::new(Pipe(sender, wait)).expect("a thread can be started");
        let go = go; // goes first, should an assertion fail: else the writer would wait for ever
        lines.write("first");
        assert_eq!(written.recv().as_deref(), Ok(&b"first\n"[..]));
        // The writer is busy from here on.
        for number in 0..LINES_MAX + 100 {
            lines.write(number);
        }
        assert_eq!(lines.left_out.get(), 100);
        drop(go);
        let numbers: Vec<_> = (0..LINES_MAX).map(|number| format!("{number}\n")).collect();
        let numbers = numbers.concat();
        assert!(numbers.len() < BATCH_BYTES);
        assert_eq!(written.recv(), Ok(numbers.into_bytes()));
        // There is room again.
        lines.write("last");
        drop(lines);
        let rest = String::from_utf8(written.iter().flatten().collect());
        assert_eq!(rest.as_deref(), Ok("(100 lines left out)\nlast\n"));
    }
}
