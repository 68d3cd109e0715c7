//! Waterwheel's runtime beside tokio (`current_thread` and `LocalSet`), smol and futures' `LocalPool`.
//!
//! ```sh
//! cargo run --release --manifest-path benches/compare/Cargo.toml -p runtimes -- \
//!     [--only TEXT,...] [--rounds 25] [--quick] [--json FILE]
//! ```
//!
//! `--only` measures the rows whose titles contain one of the texts. `--rounds` sets how often each
//! runtime has its turn. `--quick` is five rounds, and less than a minute in all; a whole run takes some two minutes. `--json` also
//! writes all figures to a file. Progress goes to standard error, the tables to standard output.
//!
//! How it works:
//!
//! - A row's work is written once, against the traits in `runtimes/mod.rs`, and runs in a fresh
//!   runtime each time. The runtimes take turns (A B C D E, B C D E A, …), so that noise of the machine
//!   meets all of them. The figure is the median of the rounds, beside the middle half and the least.
//! - The program runs on one core, with all threads that the runtimes start. Only the thread that wakes
//!   tasks from outside has another core.
//! - Each workload checks its counts at the end, so that work which was not done is not a fast result.
//! - Time is the CPU time of the process, kernel and all threads included, so that other programs on
//!   the machine disturb it little. Only a wake from a thread is counted by the clock. Bytes are
//!   resident memory in a process of its own.
//!
//! `cargo test --manifest-path benches/compare/Cargo.toml -p runtimes` does a fraction of all work.

mod machine;
mod measure;
mod runtimes;
mod tables;
mod workloads;

use lexopt::ValueExt;
use lexopt::prelude::Long;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;
use workloads::{RUNTIMES, Row};

const USAGE: &str = "runtimes [--only TEXT,...] [--rounds 25] [--quick] [--json FILE]";

/// The command line.
struct Options {
    /// Texts, one of which a row's title contains, in lower case.
    only: Vec<String>,
    rounds: usize,
    json: Option<PathBuf>,
    /// A row's title and a runtime: do it once and print the figure alone.
    once: Option<[String; 2]>,
}

impl Options {
    /// # Errors
    /// For an unknown option or a value that is none.
    fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            only: vec![String::new()],
            rounds: 25,
            json: None,
            once: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("only") => {
                    let texts = parser.value()?.string()?.to_lowercase();
                    options.only = texts.split(',').map(str::to_owned).collect();
                }
                Long("rounds") => options.rounds = parser.value()?.parse()?,
                Long("quick") => options.rounds = 5,
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("once") => {
                    options.once = Some([parser.value()?.string()?, parser.value()?.string()?]);
                }
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }

    fn names(&self, row: &Row) -> bool {
        let title = row.title.to_lowercase();
        self.only.iter().any(|text| title.contains(text))
    }
}

/// Does one row's work once and prints the figure.
fn print_once(title: &str, runtime: &str) -> Result<(), Box<dyn Error>> {
    let rows = workloads::rows();
    let row = rows.iter().find(|row| row.title == title);
    let column = RUNTIMES.iter().position(|name| *name == runtime);
    let cell = row
        .zip(column)
        .and_then(|(row, column)| row.cells[column].as_ref());
    println!("{}", measure::once(cell.ok_or("no such row or runtime")?));
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_arguments()?;
    machine::move_to_first_core();
    if let Some([title, runtime]) = &options.once {
        return print_once(title, runtime);
    }
    let mut measured = Vec::new();
    for row in workloads::rows().iter().filter(|row| options.names(row)) {
        let start = Instant::now();
        measured.push(measure::measure(row, options.rounds.max(1))?);
        eprintln!("{} ({:.1} s)", row.title, start.elapsed().as_secs_f64());
    }
    print!("{}\n{}", tables::short(&measured), tables::long(&measured));
    if let Some(file) = options.json {
        std::fs::write(file, format!("{:#}\n", tables::json(&measured)))?;
    }
    Ok(())
}
