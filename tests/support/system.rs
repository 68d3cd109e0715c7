//! Questions of tests to the system: descriptors, and how long a process has worked.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many descriptors as this process may have, and says how many; `None` for no limit.
pub(crate) fn raise_limit() -> Option<u64> {
    let limits = getrlimit(Resource::Nofile);
    let current = limits.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limits }).unwrap();
    current
}

/// CPU time of a process so far, in user and in kernel mode, in clock ticks of 10 ms.
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    ticks(&format!("/proc/{pid}/stat"))
}

/// The same of this thread.
pub(crate) fn own_ticks() -> u64 {
    ticks("/proc/thread-self/stat")
}

fn ticks(path: &str) -> u64 {
    let stat = std::fs::read_to_string(path).unwrap();
    let fields = stat.rsplit(')').next().unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|field| field.parse::<u64>().unwrap()).sum()
}
