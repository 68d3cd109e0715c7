//! Cores, CPU time and memory of this process.

use core_affinity::CoreId;
use std::sync::OnceLock;

/// A point in the CPU time of this process: of all its threads, in user code and in the kernel.
///
/// It stands still while another program has the core, and while all threads wait.
pub(crate) use cpu_time::ProcessTime as CpuInstant;

/// The cores that this process could use when it began.
fn cores() -> &'static [CoreId] {
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().expect("a process has cores"))
}

/// Moves this thread, and all threads that it starts, to the first core.
pub(crate) fn move_to_first_core() {
    assert!(
        core_affinity::set_for_current(cores()[0]),
        "the core is allowed"
    );
}

/// Moves this thread to the second core, if there is one.
pub(crate) fn move_to_other_core() {
    if let Some(core) = other_core() {
        assert!(core_affinity::set_for_current(core), "the core is allowed");
    }
}

/// The second core, if there is one.
pub(crate) fn other_core() -> Option<CoreId> {
    cores().get(1).copied()
}

/// The resident memory of this process.
#[expect(clippy::cast_precision_loss, reason = "bytes stay far below 2^52")]
pub(crate) fn resident_bytes() -> f64 {
    let memory = memory_stats::memory_stats();
    memory.expect("/proc is mounted").physical_mem as f64
}
