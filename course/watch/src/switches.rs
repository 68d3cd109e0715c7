//! The number of times that a thread has slept.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;

thread_local! {
    /// Open all the time, because each look for it costs a walk through the folders.
    static STATUS: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// Returns how often this thread has given up the processor because it had to wait (`voluntary_ctxt_switches`, see
/// proc_pid_status(5)). A thread that loses the processor to another one is not counted. Returns zero where the kernel
/// does not tell.
pub fn switches() -> u64 {
    STATUS.with_borrow_mut(|status| {
        if status.is_none() {
            *status = File::open("/proc/thread-self/status").ok();
        }
        let mut text = [0; 4096];
        let length = status
            .as_ref()
            .and_then(|file| file.read_at(&mut text, 0).ok());
        let text = str::from_utf8(&text[..length.unwrap_or_default()]).unwrap_or_default();
        let number = text
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        number
            .and_then(|number| number.trim().parse().ok())
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::{Duration, Instant};

    #[test]
    fn a_sleep_is_counted_and_a_busy_loop_is_not() {
        let before = switches();
        thread::sleep(Duration::from_millis(2));
        let slept = switches();
        assert!(slept > before);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(2) {}
        assert_eq!(switches(), slept);
    }
}
