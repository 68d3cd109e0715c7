//! The checks of the maintainers: starts and solutions do not drift apart.

use std::fs;
use std::io;
use std::time::Instant;

use crate::markers::{self, Form};
use crate::run::{self, Outcome};
use crate::stages::{self, STAGES, Stage};

/// Writes the starts of all stages.
///
/// # Errors
///
/// Fails if a file cannot be read or written.
pub fn write_starts() -> io::Result<()> {
    STAGES.iter().try_for_each(|stage| stage.write(Form::Start))
}

/// Checks that the tests of each stage fail on the start and pass on the solution.
///
/// # Errors
///
/// Fails if they do not.
pub fn check() -> io::Result<()> {
    let begin = Instant::now();
    for stage in STAGES {
        let made = stage.files(Form::Start)?;
        for (name, text) in made {
            let path = stage.home().join(&name);
            if fs::read_to_string(&path).ok() != Some(text) {
                return fault(
                    &stage,
                    &format!(
                        "{} is not the start: cargo run -p course -- starts",
                        name.display()
                    ),
                );
            }
        }
    }
    let solutions = STAGES.iter().map(Stage::solution_package);
    let packages: Vec<_> = solutions.chain(STAGES.iter().map(Stage::package)).collect();
    run::build(&packages)?;
    for stage in STAGES {
        let Outcome::Ran { passed, failed } = run::test(&stage.solution_package())? else {
            return fault(&stage, "the solution does not compile");
        };
        if let Some(first) = failed.first() {
            return fault(
                &stage,
                &format!("the solution fails: {}\n{}", first.name, first.output),
            );
        }
        let claims = passed.len();
        let Outcome::Ran { failed, .. } = run::test(&stage.package())? else {
            return fault(&stage, "the start does not compile");
        };
        // A claim about a part that is still to do cannot hold. One claim of a stage may be about given code.
        if failed.len() + 1 < claims {
            return fault(
                &stage,
                &format!("only {} of {claims} claims fail on the start", failed.len()),
            );
        }
        println!("{:2}  {:32} {claims} claims", stage.number, stage.title);
    }
    println!("checked in {:.0?}", begin.elapsed());
    Ok(())
}

/// Checks that each part that is left to the learner has a failing claim, if all other parts are done.
///
/// This writes over the learner's crates, and takes minutes.
///
/// # Errors
///
/// Fails if a part has no such claim.
pub fn check_parts(only: Option<usize>) -> io::Result<()> {
    let mut without_claim = Vec::new();
    for stage in STAGES {
        if only.is_some_and(|only| only != stage.number) {
            continue;
        }
        let mut parts = Vec::new();
        for path in stages::files_in(&stage.solution().join("src"))? {
            parts.extend(markers::parts(&fs::read_to_string(path)?));
        }
        parts.sort_unstable();
        parts.dedup();
        for part in parts {
            stage.write(Form::Without(part))?;
            let outcome = run::test(&stage.package())?;
            let (verdict, names) = match &outcome {
                Outcome::DoesNotCompile => ("does not compile", Vec::new()),
                Outcome::Ran { failed, .. } => {
                    let names = failed.iter().map(|failed| failed.name.as_str()).collect();
                    if outcome.is_pass() {
                        ("no claim fails", names)
                    } else {
                        ("ok", names)
                    }
                }
            };
            println!("stage {} TODO {part}: {verdict} {names:?}", stage.number);
            if verdict != "ok" {
                without_claim.push((stage.number, part));
            }
        }
        stage.write(Form::Start)?;
    }
    if without_claim.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "without a claim: {without_claim:?}"
        )))
    }
}

fn fault(stage: &Stage, text: &str) -> io::Result<()> {
    Err(io::Error::other(format!("stage {}: {text}", stage.number)))
}
