//! Cores, CPU time and memory of this process.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::sync::OnceLock;
use std::time::Duration;

/// The calling thread, as `sched_setaffinity(2)` names it.
const THIS: Pid = Pid::from_raw(0);

/// The cores that this process may use, as they were when it began.
fn cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(|| {
        let allowed = sched_getaffinity(THIS).expect("a process can ask for its own cores");
        let is_allowed = |core: &usize| allowed.is_set(*core) == Ok(true);
        (0..CpuSet::count()).filter(is_allowed).collect()
    })
}

fn move_to(core: usize) {
    let mut only = CpuSet::new();
    let moved = only.set(core).and_then(|()| sched_setaffinity(THIS, &only));
    moved.expect("the core is one that this process may use");
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
        let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
        Self(time.expect("every process has that clock").into())
    }

    /// The CPU time since then.
    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// The resident memory of this process, from `/proc/self/status` (`proc_pid_status(5)`).
pub(crate) fn resident_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    1024.0 * kilobytes.expect("a process has resident memory, in kB")
}
