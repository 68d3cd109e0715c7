//! The limits and the times of processes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit on descriptors as far as possible. Returns the new limit, or `None` for no limit.
pub(crate) fn raise_limit() -> Option<u64> {
    let limits = getrlimit(Resource::Nofile);
    let current = limits.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limits }).unwrap();
    current
}

/// Returns the CPU time of a process so far, in user and in kernel mode, in clock ticks of 10 ms.
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    ticks(&format!("/proc/{pid}/stat"))
}

/// Returns the CPU time of this thread.
pub(crate) fn own_ticks() -> u64 {
    ticks("/proc/thread-self/stat")
}

fn ticks(path: &str) -> u64 {
    let stat = std::fs::read_to_string(path).unwrap();
    let fields = stat.rsplit(')').next().unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|field| field.parse::<u64>().unwrap()).sum()
}
