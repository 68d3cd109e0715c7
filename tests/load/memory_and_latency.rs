//! The memory of the server under load, and the latency of polite clients beside it.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::PIECE_BYTES;
use crate::client::{
    Client, Flood, Framing, Latencies, Pipeliner, Slow, Slowness, answered, download, drip, upload,
};
use crate::in_turn;
use crate::server::{Deadlines, LARGE_BYTES, Process, SHORT, Sink};
use crate::support::system::raise_limit;

const MEBIBYTE: usize = 1024 * 1024;
const GIBIBYTE: usize = 1024 * MEBIBYTE;

/// The number of bytes by which memory may grow.
const GROWTH_MAX: u64 = 4 * MEBIBYTE as u64;

/// Asserts that the server's memory grows by at most [`GROWTH_MAX`] during `load`.
fn assert_little_growth(server: &Process, name: &str, load: impl FnOnce()) {
    server.reset_peak();
    let before = server.resident_bytes();
    let start = Instant::now();
    load();
    let growth = server.peak_bytes().saturating_sub(before);
    println!(
        "{name}: {} KiB more than {} KiB at the peak, {:?}",
        growth / 1024,
        before / 1024,
        start.elapsed()
    );
    assert!(growth < GROWTH_MAX, "{name}: {growth} bytes more");
}

/// Moves a few bytes first, so that code and buffers are in place, and then a gibibyte.
fn assert_streams(name: &str, transfer: impl Fn(&Process, usize)) {
    in_turn(|| {
        let server = Process::start(Deadlines::Usual);
        transfer(&server, 4 * MEBIBYTE / PIECE_BYTES);
        assert_little_growth(&server, name, || transfer(&server, GIBIBYTE / PIECE_BYTES));
    });
}

#[test]
fn an_upload_of_a_gibibyte_needs_the_memory_of_a_piece() {
    assert_streams("upload, sized", |server, pieces| {
        upload(server, Framing::Sized, pieces);
    });
    assert_streams("upload, chunked", |server, pieces| {
        upload(server, Framing::Chunked, pieces);
    });
}

#[test]
fn a_download_of_a_gibibyte_needs_the_memory_of_a_piece() {
    assert_streams("download, sized", |server, pieces| {
        download(server, "/sized", Framing::Sized, pieces);
    });
    assert_streams("download, chunked", |server, pieces| {
        download(server, "/chunked", Framing::Chunked, pieces);
    });
}

#[test]
fn a_download_of_a_file_of_a_gibibyte_needs_the_memory_of_a_window() {
    assert_streams("download, file", |server, pieces| {
        download(server, "/file", Framing::Sized, pieces);
    });
}

#[test]
fn clients_that_do_not_read_cost_little_memory() {
    const PIPELINED: usize = 100_000;
    const DEAF: usize = 200;
    in_turn(|| {
        let server = Process::start(Deadlines::Usual);
        for target in ["/", "/page", "/large"] {
            Client::new(&server).ask(target);
        }
        let mut pipeliner = None;
        let mut deaf: Vec<_> = Vec::new();
        assert_little_growth(&server, "clients that do not read", || {
            pipeliner = Some(Pipeliner::start(&server, "/page", PIPELINED));
            deaf.extend((0..DEAF).map(|_| Client::new(&server)));
            deaf.iter_mut().for_each(|client| client.send("/large"));
            wait_until_still(&server);
        });
        let answers = answered(&server);
        assert!(
            answers < PIPELINED,
            "{answers} answers that no client reads"
        );
        // No answer was lost.
        pipeliner.unwrap().read_answers(PIPELINED);
        for mut client in deaf {
            assert_eq!(client.read_answer().len(), LARGE_BYTES);
        }
    });
}

/// Waits until the server has no work left while its clients do not read.
fn wait_until_still(server: &Process) {
    let mut before = 0;
    loop {
        thread::sleep(Duration::from_millis(200));
        let now = answered(server);
        // The request of this function counts, too.
        if now == before + 1 {
            return;
        }
        before = now;
    }
}

#[test]
fn a_client_that_pipelines_without_pause_does_not_delay_a_polite_one() {
    const P99_MAX: Duration = Duration::from_millis(10);
    in_turn(|| {
        let server = Process::start(Deadlines::Usual);
        let flood = Flood::start(&server);
        assert_once(10, || {
            let before = answered(&server);
            let latencies =
                Latencies::of(&server, &mut Client::new(&server), Duration::from_secs(1));
            let others = answered(&server) - before - latencies.len();
            println!("beside {others} answers: {latencies}");
            assert!(
                others > 20 * latencies.len(),
                "the client has sent too few requests"
            );
            latencies.p99() < P99_MAX
        });
        drop(flood);
    });
}

#[test]
fn many_large_answers_at_once_do_not_delay_a_polite_client() {
    const LARGE_ANSWERS: usize = 300;
    const LATENCY_MAX: Duration = Duration::from_millis(100);
    in_turn(|| {
        let server = Process::start(Deadlines::Usual);
        assert_once(10, || {
            let mut polite = Client::new(&server);
            let mut others: Vec<_> = (0..LARGE_ANSWERS).map(|_| Client::new(&server)).collect();
            polite.ask("/");
            let latencies = thread::scope(|scope| {
                scope.spawn(|| others.iter_mut().for_each(|client| client.send("/large")));
                Latencies::of(&server, &mut polite, Duration::from_secs(1))
            });
            println!("beside {LARGE_ANSWERS} large answers: {latencies}");
            latencies.longest() < LATENCY_MAX
        });
    });
}

#[test]
fn a_thousand_slow_clients_do_not_delay_a_polite_one_and_are_cut() {
    /// The time that other work of the machine may take.
    const INTERRUPT: Duration = Duration::from_micros(50);
    raise_limit();
    in_turn(|| {
        let server = Process::start(Deadlines::Short);
        // The best of all rounds, because noise makes both values longer, at different times.
        let [mut quiet_p99, mut loaded_p99] = [Duration::MAX; 2];
        assert_once(4, || {
            let quiet = latencies_beside_slow_sockets(&server);
            let loaded = latencies_beside_slow_clients(&server);
            println!("quiet: {quiet}\nbeside slow clients: {loaded}");
            quiet_p99 = quiet_p99.min(quiet.p99_in_calm());
            loaded_p99 = loaded_p99.min(loaded.p99_in_calm());
            loaded_p99 <= (2 * quiet_p99).max(quiet_p99 + INTERRUPT)
        });
    });
}

/// Returns the latencies of a polite client beside as many slow clients of sockets that no server reads. The
/// machine needs this time without any server.
fn latencies_beside_slow_sockets(server: &Process) -> Latencies {
    let sink = Sink::new();
    let mut clients = slow_clients(|| sink.connect());
    let duration = Duration::from_secs(2);
    thread::scope(|scope| {
        scope.spawn(|| drip(&mut clients, duration, Instant::now() + duration));
        Latencies::of(server, &mut Client::new(server), duration)
    })
}

/// Returns the latencies of a polite client from the arrival of all slow clients until the first of them is
/// cut. Afterwards, all of them must be cut.
fn latencies_beside_slow_clients(server: &Process) -> Latencies {
    let first = Instant::now();
    let mut clients = slow_clients(|| server.connect_from_afar());
    let last = Instant::now();
    let mut good = Client::new(server);
    good.ask("/");
    let latencies = thread::scope(|scope| {
        scope.spawn(|| drip(&mut clients, SHORT, last + SHORT));
        let slow = (first + SHORT).saturating_duration_since(Instant::now());
        Latencies::of(server, &mut good, slow)
    });
    let cut = Latencies::of(server, &mut good, Duration::from_millis(200));
    println!("beside clients that are cut: {cut}");
    clients.into_iter().for_each(Slow::assert_cut);
    latencies
}

fn slow_clients(connect: impl Fn() -> TcpStream) -> Vec<Slow> {
    let kinds = [Slowness::Head, Slowness::Body, Slowness::Reading];
    let thousand = kinds.into_iter().cycle().take(1000);
    thousand
        .map(|slowness| Slow::new(slowness, &connect))
        .collect()
}

/// Asserts that `holds` is true in one of so many rounds. Other work of the machine makes latencies longer,
/// never shorter.
fn assert_once(rounds: usize, holds: impl FnMut() -> bool) {
    let mut results = std::iter::repeat_with(holds).take(rounds);
    assert!(results.any(|holds| holds), "not in any of {rounds} rounds");
}
