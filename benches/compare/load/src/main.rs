//! A load generator that checks every answer.
//!
//! One thread, edge-triggered over mio, closed loop by default: a connection sends a batch of
//! requests in one write, waits for all their answers, and sends the next. With `--rate` it is an
//! open loop instead: requests fall due by the clock whether or not the server keeps up, and a
//! latency counts from the moment its request was due, so that a stalled server cannot hide its
//! stall (coordinated omission); what is unanswered at the end counts with the time it has waited. That
//! clock stands still while the machine runs something else in the generator's place (`own_clock`).
//! With `--flood` one more connection pipelines flat out meanwhile. Prints one line of JSON.

mod answer;
mod connect;
mod connection;
mod cpu;
mod flooder;
mod options;
mod own_clock;
mod report;
mod request;
mod run;

use options::Options;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_arguments()?;
    cpu::raise_descriptor_limit()?;
    if options.hold {
        connect::hold(&options)
    } else {
        report::print(&run::run(&options)?)
    }
}
