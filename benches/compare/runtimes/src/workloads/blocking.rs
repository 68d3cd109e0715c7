//! A task that awaits one small blocking job after another. An operation is one job. The thread that
//! runs it shares the runtime's core, like all threads that a runtime starts.

use super::{IoWorkload, Size, nanos_each};
use crate::machine::CpuInstant;
use crate::runtimes::WithIo;

#[derive(Clone, Copy)]
pub(super) struct ThereAndBack;

impl IoWorkload for ThereAndBack {
    fn run<R: WithIo>(self, size: Size) -> f64 {
        let jobs = size.of(3_000);
        let work = async move {
            let mut sum = 0;
            // The first job starts the thread, which is not counted.
            let mut start = CpuInstant::now();
            for number in 0..=jobs {
                sum += R::blocking(move || number).await;
                if number == 0 {
                    start = CpuInstant::now();
                }
            }
            (start.elapsed(), sum)
        };
        let (time, sum) = R::block_on(async { R::join(R::spawn(work)).await });
        assert_eq!(sum, jobs * (jobs + 1) / 2, "every job has run once");
        nanos_each(time, jobs)
    }
}
