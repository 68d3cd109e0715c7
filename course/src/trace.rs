//! The traces: a scene of each stage, recorded, in the player of the real runtime.
//!
//! The scene is `examples/trace.rs` of each solution, and so of each stage. The crate `watch` records it from outside,
//! so the learner's code needs no part for that.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::run;
use crate::stages::{self, STAGES, Stage};

/// The page without a record: the one of `Trace::to_html` in the real runtime.
const PLAYER: &str = include_str!("../../runtime/src/inspect/player.html");

/// The stand-in for a record in the page.
const STAND_IN: &str = "\"@waterwheel-data@\"";

/// A record of a scene.
#[derive(Clone, Debug)]
pub struct Made {
    /// The record, as `Trace::to_json` of the real runtime writes it.
    pub json: String,
    /// The sentences about the record, each with true if it holds.
    pub claims: Vec<(bool, String)>,
    /// The reason why the scene came to no end.
    pub fault: Option<String>,
}

/// The outcome of a scene.
#[derive(Clone, Debug)]
pub enum Scene {
    DoesNotCompile,
    /// A `todo!()` stops it.
    IsToDo,
    Ran(Made),
}

/// Runs the scene of a crate.
///
/// # Errors
///
/// Fails if cargo cannot be started, or a file cannot be read.
pub fn record(package: &str) -> io::Result<Scene> {
    let example = format!("{package}-trace");
    if !run::build_example(package, &example)? {
        return Ok(Scene::DoesNotCompile);
    }
    let folder = folder();
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{package}.json"));
    let output = run::example(package, &example, &path)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("not yet implemented: TODO") {
        // A second panic, in a destructor, ends the process before it writes.
        _ = fs::remove_file(path);
        return Ok(Scene::IsToDo);
    }
    let json = fs::read_to_string(&path)?;
    fs::remove_file(path)?;
    let (mut claims, mut fault) = (Vec::new(), None);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (verdict, sentence) = line.split_once(' ').unwrap_or((line, ""));
        let sentence = sentence.trim().to_owned();
        match verdict {
            "holds" => claims.push((true, sentence)),
            "fails" => claims.push((false, sentence)),
            "hangs" | "panics" => fault = Some(sentence),
            _ => {}
        }
    }
    Ok(Scene::Ran(Made {
        json,
        claims,
        fault,
    }))
}

/// Records one stage, and writes its page. The page has the record of the learner's code if that runs, and the record
/// of the solution.
///
/// # Errors
///
/// Fails if cargo cannot be started, a file cannot be written, or the solution does not run.
pub fn trace(stage: &Stage) -> io::Result<()> {
    let path = write_page(stage)?;
    write_index()?;
    println!("Open    {}", stages::shown(&path));
    Ok(())
}

/// Records all stages, and writes their pages and an index.
///
/// # Errors
///
/// Fails as [`trace`] does.
pub fn trace_all() -> io::Result<()> {
    for stage in STAGES {
        write_page(&stage)?;
    }
    let index = write_index()?;
    println!("Open    {}", stages::shown(&index));
    Ok(())
}

fn folder() -> PathBuf {
    stages::root().join("traces")
}

fn page_of(stage: &Stage) -> PathBuf {
    folder().join(format!("{}.html", stage.folder))
}

fn write_page(stage: &Stage) -> io::Result<PathBuf> {
    println!("Stage {}: {}", stage.number, stage.title);
    let mut records = Vec::new();
    match record(&stage.package())? {
        Scene::DoesNotCompile => println!("Your code does not compile, so this is the solution."),
        Scene::IsToDo => println!("Your stage is not done yet, so this is the solution."),
        Scene::Ran(made) => {
            println!("Your code:");
            tell(&made);
            records.push((format!("Stage {}: yours", stage.number), made.json));
        }
    }
    let Scene::Ran(made) = record(&stage.solution_package())? else {
        return Err(io::Error::other("the solution does not run"));
    };
    if records.is_empty() {
        tell(&made);
    }
    let whose = if records.is_empty() {
        stage.title
    } else {
        "the solution"
    };
    records.push((format!("Stage {}: {whose}", stage.number), made.json));
    let path = page_of(stage);
    fs::write(&path, page(&records))?;
    Ok(path)
}

/// Prints what the record shows.
fn tell(made: &Made) {
    for (holds, sentence) in &made.claims {
        println!("  {}  {sentence}", if *holds { "yes" } else { "no " });
    }
    if let Some(fault) = &made.fault {
        println!("  {fault} The record shows where.");
    }
}

/// Puts records with their titles into the player.
pub fn page(records: &[(String, String)]) -> String {
    let entry =
        |(title, json): &(String, String)| format!("{{\"title\":\"{title}\",\"trace\":{json}}}");
    let entries: Vec<_> = records.iter().map(entry).collect();
    let data = format!("{{\"traces\":[{}]}}", entries.join(","));
    // `<` could end the script element. In JSON it stands only inside strings, where this escape means the same.
    PLAYER.replacen(STAND_IN, &data.replace('<', "\\u003c"), 1)
}

/// Writes the page that lists the pages which exist.
fn write_index() -> io::Result<PathBuf> {
    let row = |stage: &Stage| {
        let (number, title, folder) = (stage.number, stage.title, stage.folder);
        format!(
            "<li value=\"{number}\"><a href=\"{folder}.html\">{title}</a> \
             <a class=\"text\" href=\"../stages/{folder}/README.md\">text</a></li>\n"
        )
    };
    let made = STAGES.iter().filter(|stage| page_of(stage).exists());
    let rows: String = made.map(row).collect();
    let path = folder().join("index.html");
    fs::write(&path, INDEX.replace("@rows@", &rows))?;
    Ok(path)
}

const INDEX: &str = include_str!("index.html");
