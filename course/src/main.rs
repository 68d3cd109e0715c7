//! `cargo run -p course`: tells the learner what is next.

use std::env;
use std::io;
use std::process::ExitCode;

use course::stages::{STAGES, Stage};
use course::{check, guide, trace};

const USAGE: &str = "\
cargo run -p course                   tests the stages in order, and tells what is next
cargo run -p course -- list           lists the stages and their pages
cargo run -p course -- answers 3      prints the answers to the exercises of stage 3
cargo run -p course -- trace 3        makes a picture of stage 3 at work: its polls, its wakes, its sleep
cargo run -p course -- trace all      makes the pictures of all stages, and a page that lists them
cargo run -p course -- diff 3         shows the given code that is new in stage 3
cargo run -p course -- reset 3        writes the start of stage 3 again: your work there is lost
cargo run -p course -- solution 3     writes the solution of stage 3 over your work

For those who change the course:
cargo run -p course -- starts         writes all starts, which are made of the solutions
cargo run -p course -- check          checks that each stage fails on its start and passes on its solution
cargo run -p course -- parts [3]      checks that each TODO has a claim of its own (takes minutes)
";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> io::Result<()> {
    match *words {
        [] => guide::next(),
        ["list"] => {
            guide::list();
            Ok(())
        }
        ["answers", number] => guide::answers(stage(number)?),
        ["trace", "all"] => trace::trace_all(),
        ["trace", number] => trace::trace(stage(number)?),
        ["diff", number] => guide::diff(stage(number)?),
        ["reset", number] => guide::reset(stage(number)?),
        ["solution", number] => guide::solution(stage(number)?),
        ["starts"] => check::write_starts(),
        ["check"] => check::check(),
        ["parts"] => check::check_parts(None),
        ["parts", number] => check::check_parts(Some(stage(number)?.number)),
        _ => {
            print!("{USAGE}");
            Ok(())
        }
    }
}

fn stage(number: &str) -> io::Result<&'static Stage> {
    let found = STAGES
        .iter()
        .find(|stage| stage.number.to_string() == number);
    found.ok_or_else(|| {
        io::Error::other(format!("there is no stage {number}: 1 to {}", STAGES.len()))
    })
}
