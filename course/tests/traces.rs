//! The traces of the course: each one is made, can be read, and shows what the page of its stage promises.

use std::collections::BTreeSet;
use std::fs;

use course::stages::{STAGES, Stage};
use course::trace::{self, Made, Scene};
use serde_json::Value;

/// Returns a text with one space between its words, because a line may end within a sentence.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ids(events: &[Value], kind: &str) -> BTreeSet<String> {
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind.map(|event| event["task"].to_string()).collect()
}

/// A record has the form of `waterwheel-trace`: times rise, polls have an end, and each id has an entry.
fn check_form(made: &Made) {
    let trace: Value = serde_json::from_str(&made.json).expect("the record is JSON");
    assert_eq!(trace["format"], "waterwheel-trace");
    assert_eq!(trace["version"], 1);
    assert_eq!(trace["overflow"], 0);
    let events = trace["events"].as_array().expect("there are events");
    let times: Vec<_> = events
        .iter()
        .map(|event| event["at"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted());
    let count = |kind: &str| events.iter().filter(|event| event["kind"] == kind).count();
    assert!(count("poll_start") > 0);
    assert_eq!(count("poll_start"), count("poll_end"));
    assert_eq!(count("park"), count("unpark"));
    let tasks = trace["tasks"].as_array().unwrap();
    let known: BTreeSet<_> = tasks.iter().map(|task| task["id"].to_string()).collect();
    assert!(ids(events, "poll_start").is_subset(&known));
    assert!(ids(events, "wake").is_subset(&known));
    // All tasks end, but none ends twice.
    assert_eq!(count("end"), known.len());
}

/// Records the scene of a solution. The waits of a scene are short, so a thread may come too late for one while other
/// programs keep the processors busy. Then the scene is played again.
fn record(stage: &Stage) -> Made {
    const ATTEMPTS: usize = 10;
    let attempt = || {
        let scene = trace::record(&stage.solution_package()).expect("cargo can be started");
        let Scene::Ran(made) = scene else {
            panic!("{}: {scene:?}", stage.folder);
        };
        made
    };
    let holds = |made: &Made| made.fault.is_none() && made.claims.iter().all(|(holds, _)| *holds);
    (1..ATTEMPTS)
        .map(|_| attempt())
        .find(holds)
        .unwrap_or_else(attempt)
}

#[test]
fn the_trace_of_each_stage_shows_what_its_page_promises() {
    for stage in STAGES {
        let made = record(&stage);
        assert_eq!(made.fault, None, "{}", stage.folder);
        check_form(&made);
        let page = in_one_line(&fs::read_to_string(stage.page()).unwrap());
        let command = format!("`cargo run -p course -- trace {}`", stage.number);
        assert!(page.contains(&command), "{}", stage.folder);
        assert!(made.claims.len() >= 2, "{}", stage.folder);
        for (holds, sentence) in &made.claims {
            assert!(holds, "{}: {sentence}\n{}", stage.folder, made.json);
            assert!(page.contains(sentence), "{}: {sentence}", stage.folder);
        }
    }
}

#[test]
fn a_page_has_its_records_and_asks_no_server() {
    let records = [("one", "{}"), ("two", "{\"name\":\"</script>\"}")];
    let page = trace::page(&records.map(|(title, json)| (title.to_owned(), json.to_owned())));
    assert!(page.contains(
        r#"{"title":"one","trace":{}},{"title":"two","trace":{"name":"\u003c/script>"}}"#
    ));
    assert!(!page.contains("@waterwheel-data@"));
}
