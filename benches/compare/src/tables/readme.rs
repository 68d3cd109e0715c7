//! README's numbers: written between two marks, and nowhere else.

use super::sections::{self, Detail};
use super::{goals, tail};
use crate::charts;
use crate::contract::WRONG;
use crate::figures::Measured;
use crate::results::Results;
use crate::text::{grouped, paragraph};
use crate::works::{self, Work};
use std::error::Error;
use std::path::Path;

/// Where the numbers begin and end.
const MARKS: [&str; 2] = ["<!-- numbers -->", "<!-- /numbers -->"];

/// The works that README shows; all of them are in the full tables.
const SHOWN: [&str; 8] = [
    "single",
    "pipelined",
    "many",
    "close",
    "json",
    "echo",
    "varied",
    "varied-pipelined",
];

/// The charts that README shows, of those that were drawn.
const CHARTS: [&str; 3] = ["cpu-single", "cpu-pipelined", "memory"];

/// Replaces what stands between the marks.
///
/// # Errors
/// If the file cannot be read or written, or has no marks.
pub(crate) fn write(results: &Results, readme: &Path) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(readme)?;
    let text = replaced(&text, &render(results)).ok_or("README has no marks for its numbers")?;
    Ok(std::fs::write(readme, text)?)
}

fn replaced(text: &str, numbers: &str) -> Option<String> {
    let [begin, end] = MARKS;
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{numbers}{end}{after}"))
}

/// The numbers, in paragraphs.
fn render(results: &Results) -> String {
    let shown: Vec<&'static Work> = SHOWN.iter().filter_map(|name| works::find(name)).collect();
    let paragraphs = [
        measured(results),
        pictures(results),
        sections::cpu(results, &shown, Detail::Short),
        floor(results),
        goals::floors(results),
        goals::table(results),
        sections::latency(results),
        flood(results),
        tail::compared(results),
        sections::memory(results),
        fairness(results),
        runtimes(results),
        results.tables.get("routes").cloned().unwrap_or_default(),
        sections::builds(results),
        left_out(results),
    ];
    let mut text = String::new();
    for paragraph in paragraphs.iter().filter(|paragraph| !paragraph.is_empty()) {
        text.push_str(paragraph);
        text.push('\n');
    }
    text
}

fn measured(results: &Results) -> String {
    let Some(run) = results.run_of("single").or(results.runs.last()) else {
        return String::new();
    };
    paragraph(&format!(
        "Measured on {} at commit {} on {}, {}.",
        run.day(),
        run.commit,
        run.machine,
        run.compiler
    ))
}

fn pictures(results: &Results) -> String {
    let drawn = charts::names(results);
    let picture = |name: &str| {
        let chart = drawn.iter().find(|chart| chart.file == name)?;
        Some(format!(
            "<picture>\n  <source media=\"(prefers-color-scheme: dark)\" srcset=\"benches/charts/{name}-dark.svg\">\n  \
             <img alt=\"{}\" src=\"benches/charts/{name}-light.svg\">\n</picture>\n",
            chart.title
        ))
    };
    let pictures: Vec<String> = CHARTS.iter().filter_map(|name| picture(name)).collect();
    pictures.join("\n")
}

fn floor(results: &Results) -> String {
    let one = |name: &str| {
        let floor = results.floors.get(name)?;
        let work = works::find(name)?;
        Some(format!(
            "{:.2} µs ({})",
            floor.microseconds.median, work.short
        ))
    };
    let all: Vec<String> = SHOWN.iter().filter_map(|name| one(name)).collect();
    if all.is_empty() {
        return String::new();
    }
    paragraph(&format!(
        "The floor itself: {}. Where a cell is empty, that was not measured: the first four works are \
         everyone's, the others are for those who may be the fastest. In *each head another*, a \
         browser's head of 350 bytes has a new query and a new cookie in every request, so that \
         nothing is gained by having seen one before.",
        all.join(", ")
    ))
}

fn flood(results: &Results) -> String {
    let Some(rate) = results
        .servers
        .iter()
        .find_map(|server| Some(server.latency.as_ref()?.rate))
    else {
        return String::new();
    };
    paragraph(&format!(
        "Latency at {} requests a second over 64 connections, counted from when each request was due; \
         then over 63, alone and beside one that pipelines as fast as it is answered. Whoever hardly \
         answers that one (the last column) has little to delay the others with.",
        grouped(f64::from(u32::try_from(rate).unwrap_or(u32::MAX)))
    ))
}

/// In what the answers differ, in a few lines.
fn fairness(results: &Results) -> String {
    let known: Vec<&Measured> = results
        .servers
        .iter()
        .filter(|server| server.contract.answer_bytes > 0)
        .collect();
    let bytes = || known.iter().map(|server| server.contract.answer_bytes);
    let (Some(fewest), Some(most)) = (bytes().min(), bytes().max()) else {
        return String::new();
    };
    let names = |is_one: &dyn Fn(&Measured) -> bool| {
        let ones = known.iter().filter(|server| is_one(server));
        let ones: Vec<&str> = ones.map(|server| server.name.as_str()).collect();
        if ones.is_empty() {
            "nobody".to_owned()
        } else {
            ones.join(", ")
        }
    };
    let lacks = |what: &'static str| {
        names(&move |server| server.contract.lacks.iter().any(|lack| lack == what))
    };
    let refusing = names(&|server| server.contract.accepts.is_empty());
    let taking = names(&|server| server.contract.accepts.len() > WRONG.len() / 2);
    paragraph(&format!(
        "What is not alike: an answer has {fewest} to {most} bytes, since servers insist on fields of \
         their own. `Date` is left out by {}, `Server` by {}. Of {} requests that the RFCs want refused, \
         all are refused by {refusing}; more than half are answered by {taking}. Whoever checks less \
         does less for each request, and so does whoever has no timeouts. Server by server, with \
         versions and all spreads: \
         [benches/results/NUMBERS.md](benches/results/NUMBERS.md).",
        lacks("date"),
        lacks("server"),
        WRONG.len(),
    ))
}

/// The medians of the runtimes. Their spreads are in the full tables.
fn runtimes(results: &Results) -> String {
    let tables = results.tables.get("runtimes");
    let Some((medians, _)) = tables.and_then(|tables| tables.split_once("\n\n")) else {
        return String::new();
    };
    let text = paragraph(
        "Nanoseconds of CPU time for an operation, or resident bytes for a task: medians of rounds in which \
         the runtimes take turns on one core, each with the same workload. An empty cell is work that the \
         runtime cannot do. `yield_now` is each runtime's own function; a self-wake is the same future on \
         all of them. A wake from a thread is the time until that thread has the answer. \
         `benches/compare/runtimes` is the program; the spreads are in NUMBERS.md.",
    );
    format!("{medians}\n\n{text}")
}

fn left_out(results: &Results) -> String {
    let lines = sections::left_out(results);
    if lines.is_empty() {
        return String::new();
    }
    paragraph(&format!("Left out: {}.", lines.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = "a\n<!-- numbers -->\nold\n<!-- /numbers -->\nb\n";
        let expected = "a\n<!-- numbers -->\nnew\n<!-- /numbers -->\nb\n";
        assert_eq!(replaced(text, "new\n").as_deref(), Some(expected));
        assert_eq!(replaced(expected, "new\n").as_deref(), Some(expected));
        assert_eq!(replaced("no marks", "new"), None);
    }
}
