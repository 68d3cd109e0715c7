//! The commands of the learner: the next step, a reset, a solution, the answers.

use std::fs;
use std::io;
use std::process::Command;

use crate::markers::{self, Form};
use crate::run::{self, Outcome};
use crate::stages::{self, STAGES, Stage};

/// Tests the stages in order, and tells what to do for the first that fails.
///
/// # Errors
///
/// Fails if cargo cannot be started, or a file cannot be read.
pub fn next() -> io::Result<()> {
    for stage in STAGES {
        let outcome = run::test(&stage.package())?;
        if outcome.is_pass() {
            println!("  done  {:2}  {}", stage.number, stage.title);
            continue;
        }
        println!("  next  {:2}  {}\n", stage.number, stage.title);
        return tell(&stage, &outcome);
    }
    println!("\nAll stages are done. Read ARCHITECTURE.md now: you know its words.");
    Ok(())
}

/// Tells what to read, what to edit, and what fails.
fn tell(stage: &Stage, outcome: &Outcome) -> io::Result<()> {
    println!("Read    {}", stages::shown(&stage.page()));
    let open = open_todos(stage)?;
    for (place, part) in &open {
        println!("Edit    {place}  {part}");
    }
    println!("Check   cargo run -p course");
    if stage.number > 1 {
        println!("Compare cargo run -p course -- diff {}", stage.number);
    }
    match outcome {
        Outcome::DoesNotCompile => println!("\nThe code does not compile. See the messages above."),
        Outcome::Ran { passed, failed } => {
            let all = passed.len() + failed.len();
            println!(
                "\n{} of {all} claims hold. The first that fails:\n",
                passed.len()
            );
            if let Some(first) = failed.first() {
                println!("  {}", first.name);
                for line in first.output.lines().filter(|line| !line.is_empty()) {
                    println!("    {line}");
                }
                if let Some(part) = first.also_needs() {
                    let place = open
                        .iter()
                        .find(|(_, name)| *name == format!("TODO {part}"));
                    let place = place.map_or_else(String::new, |(place, _)| format!(": {place}"));
                    println!("\n  This claim also needs TODO {part}{place}");
                }
                if first.output.contains("the test has not ended") {
                    println!(
                        "\n  See where it stops: cargo run -p course -- trace {}",
                        stage.number
                    );
                }
                println!(
                    "\nThe claims are in {}",
                    stages::shown(&stage.home().join("tests/claims.rs"))
                );
            }
        }
    }
    Ok(())
}

/// Returns the parts that are still as they were at the start: the place, and the first words of the text.
fn open_todos(stage: &Stage) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for solution in stages::files_in(&stage.solution().join("src"))? {
        let open =
            markers::open_parts(&fs::read_to_string(&solution)?).map_err(io::Error::other)?;
        let name = solution
            .strip_prefix(stage.solution())
            .map_err(io::Error::other)?;
        let path = stage.home().join(name);
        let own = fs::read_to_string(&path).unwrap_or_default();
        for (part, lines) in open {
            let Some(at) = own.find(&lines) else {
                continue;
            };
            let line = own[..at].lines().count() + 1;
            found.push((part, format!("{}:{line}", stages::shown(&path))));
        }
    }
    // The parts have an order of their own, which is not that of the files.
    found.sort();
    Ok(found
        .into_iter()
        .map(|(part, place)| (place, format!("TODO {part}")))
        .collect())
}

/// Prints the titles of all stages.
pub fn list() {
    for stage in STAGES {
        println!(
            "{:4}  {:32} {}",
            stage.number,
            stage.title,
            stages::shown(&stage.page())
        );
    }
}

/// Writes the start of a stage again. The work of the learner is lost.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn reset(stage: &Stage) -> io::Result<()> {
    stage.write(Form::Start)?;
    println!("{} is as at the start.", stages::shown(&stage.home()));
    Ok(())
}

/// Writes the solution of a stage over the work of the learner.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn solution(stage: &Stage) -> io::Result<()> {
    stage.write(Form::Finished)?;
    println!("{} has the solution now.", stages::shown(&stage.home()));
    Ok(())
}

/// Prints the answers to the exercises of a stage.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub fn answers(stage: &Stage) -> io::Result<()> {
    print!("{}", fs::read_to_string(stage.answers())?);
    Ok(())
}

/// Shows the code that is new in the start of a stage, compared with the solution of the stage before.
///
/// # Errors
///
/// Fails if a file cannot be written, or if there is no program `diff`.
pub fn diff(stage: &Stage) -> io::Result<()> {
    let Some(before) = STAGES
        .iter()
        .find(|before| before.number + 1 == stage.number)
    else {
        println!("The first stage has no stage before it.");
        return Ok(());
    };
    let scratch = std::env::temp_dir().join(format!("course-{}", std::process::id()));
    for (folder, stage, form) in [
        ("before", before, Form::Finished),
        ("start", stage, Form::Start),
    ] {
        for (name, text) in stage.files(form)? {
            if name.starts_with("src") {
                let path = scratch.join(folder).join(name);
                fs::create_dir_all(path.parent().unwrap_or(&path))?;
                fs::write(path, text)?;
            }
        }
    }
    // Its status is 1 if the files differ, and they do.
    Command::new("diff")
        .args(["-ruN", "before/src", "start/src"])
        .current_dir(&scratch)
        .status()?;
    fs::remove_dir_all(scratch)
}
