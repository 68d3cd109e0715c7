//! The question before each accept.

use std::time::Duration;

use gungraun::{library_benchmark, library_benchmark_group};
use waterwheel::http::Server;
use waterwheel::runtime::time::advance;

use crate::{counted, world};

/// As assumed by default.
const ROOM: usize = 5;
/// More descriptors than any process may have open.
const CEILING: usize = usize::MAX;

/// So long that the last measurement is out of date.
const LONG: Duration = Duration::from_millis(20);

// Asked again after so long.
#[library_benchmark]
#[bench::room_remembered(ROOM, Duration::ZERO)]
#[bench::room_measured(ROOM, LONG)]
#[bench::ceiling(CEILING, Duration::ZERO)]
fn should_accept_request(assumed: usize, pause: Duration) {
    world::runtime().block_on(async {
        let server = Server::builder().assumed_descriptors_per_request(assumed);
        let server = server.bind("127.0.0.1:0").expect("there is a port");
        assert_eq!(server.should_accept_request(), assumed == ROOM);
        advance(pause).await;
        let yes = counted::call(|| server.should_accept_request());
        assert_eq!(yes, assumed == ROOM);
    });
}

library_benchmark_group!(name = gates, benchmarks = [should_accept_request]);
