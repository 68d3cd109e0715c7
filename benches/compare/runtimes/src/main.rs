//! Waterwheel's runtime beside tokio (`current_thread` and `LocalSet`), smol and futures' `LocalPool`.
//!
//! ```sh
//! cargo run --release --manifest-path benches/compare/Cargo.toml -p runtimes -- \
//!     [--only TEXT,...] [--rounds 25] [--quick] [--json FILE]
//! ```
//!
//! `--quick` takes less than a minute, a whole run some two minutes. Progress goes to standard error, the
//! tables to standard output.
//!
//! How it works:
//!
//! - A row's work is written once, against the traits in `runtimes/mod.rs`, and runs in a fresh runtime each
//!   time. The runtimes take turns (A B C D E, B C D E A, …), so that noise of the machine meets all of them.
//!   The figure is the median of the rounds, beside the middle half.
//! - The program runs on one core, with all threads that the runtimes start. Only the thread that wakes tasks
//!   from outside has another core.
//! - Each workload checks its counts at the end, so that work which was not done is not a fast result.
//! - Time is the CPU time of the process, kernel and all threads included, so that other programs on the
//!   machine disturb it little. Only a wake from a thread is measured by the clock. Bytes are resident memory
//!   in a process of its own.
//!
//! `cargo test --manifest-path benches/compare/Cargo.toml -p runtimes` does a fraction of all work.

mod machine;
mod measure;
mod runtimes;
mod tables;
mod workloads;

use clap::Parser;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

/// Waterwheel's runtime beside others.
#[derive(Parser)]
struct Options {
    /// Measures the rows whose titles contain one of these texts.
    #[arg(long, value_delimiter = ',', default_value = "")]
    only: Vec<String>,
    /// How often each runtime has its turn.
    #[arg(long, default_value_t = 25)]
    rounds: usize,
    /// Five rounds.
    #[arg(long)]
    quick: bool,
    /// Also writes all figures to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Does a row's work once in one runtime and prints the figure.
    #[arg(long, num_args = 2, value_names = ["TITLE", "RUNTIME"])]
    once: Option<Vec<String>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    machine::move_to_first_core();
    if let Some([title, runtime]) = options.once.as_deref() {
        println!(
            "{}",
            measure::named(title, runtime).ok_or("no such row or runtime")?
        );
        return Ok(());
    }
    let rounds = if options.quick {
        5
    } else {
        options.rounds.max(1)
    };
    let is_asked = |title: &str| {
        let title = title.to_lowercase();
        options
            .only
            .iter()
            .any(|text| title.contains(&text.to_lowercase()))
    };
    let mut measured = Vec::new();
    for row in workloads::rows().iter().filter(|row| is_asked(row.title)) {
        let start = Instant::now();
        measured.push(measure::measure(row, rounds)?);
        eprintln!("{} ({:.1} s)", row.title, start.elapsed().as_secs_f64());
    }
    print!("{}\n{}", tables::short(&measured), tables::long(&measured));
    if let Some(file) = options.json {
        std::fs::write(file, serde_json::to_string_pretty(&measured)? + "\n")?;
    }
    Ok(())
}
