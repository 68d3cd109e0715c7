//! Cores, CPU time and memory of this process.

use rustix::param::page_size;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;
use std::time::Duration;

/// The cores that this process may use, as they were when it began.
fn cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(|| {
        let allowed = sched_getaffinity(None).expect("a process can ask for its own cores");
        let is_allowed = |core: &usize| allowed.is_set(*core);
        (0..CpuSet::MAX_CPU).filter(is_allowed).collect()
    })
}

fn move_to(core: usize) {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).expect("the core is one that this process may use");
}

/// Moves this thread, and all threads that it starts, to the first core.
pub(crate) fn move_to_first_core() {
    move_to(cores()[0]);
}

/// Moves this thread to the second core, if there is one.
pub(crate) fn move_to_other_core() {
    if let Some(core) = other_core() {
        move_to(core);
    }
}

/// The second core, if there is one.
pub(crate) fn other_core() -> Option<usize> {
    cores().get(1).copied()
}

/// A point in the CPU time of this process: of all its threads, in user code and in the kernel.
///
/// It stands still while another program has the core, and while all threads wait.
pub(crate) struct CpuInstant(Duration);

impl CpuInstant {
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Self(time.try_into().expect("CPU time is not negative"))
    }

    /// The CPU time since then.
    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// The resident memory of this process, from `/proc/self/statm` (proc(5)).
#[allow(clippy::cast_precision_loss, reason = "it is far below 2^52")]
pub(crate) fn resident_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages: Option<usize> = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    (pages.expect("the second number is the resident pages") * page_size()) as f64
}
