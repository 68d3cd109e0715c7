//! The pages of the course: each is whole, and names only things that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use course::markers::{self, Form};
use course::stages::{self, STAGES, Stage};

const SECTIONS: [&str; 4] = [
    "\n## Build it\n",
    "\n## Exercises\n",
    "\n## Watch it\n",
    "\n## Where this lives in the real code\n",
];

fn page(stage: &Stage) -> String {
    fs::read_to_string(stage.page()).expect("each stage has a page")
}

/// Returns the text of a section, without its heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, after) = page
        .split_once(heading)
        .expect("each page has this section");
    after.split("\n## ").next().unwrap_or_default()
}

/// Returns the texts between back-ticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Returns the numbers of the parts that the learner writes.
fn parts(stage: &Stage) -> BTreeSet<u32> {
    let files = stages::files_in(&stage.solution().join("src")).expect("the solution has files");
    let of_file = |path: &std::path::PathBuf| {
        markers::parts(&fs::read_to_string(path).expect("a source is text"))
    };
    files.iter().flat_map(of_file).collect()
}

#[test]
fn each_page_has_its_title_and_its_sections() {
    for stage in STAGES {
        let page = page(&stage);
        assert!(
            page.starts_with(&format!("# Stage {}: ", stage.number)),
            "{}",
            stage.folder
        );
        for heading in SECTIONS {
            assert!(page.contains(heading), "{}: {heading}", stage.folder);
        }
    }
}

#[test]
fn each_part_is_explained_and_stands_in_the_table_of_its_page() {
    for stage in STAGES {
        let page = page(&stage);
        let table = section(&page, SECTIONS[0]);
        // A row may name several parts: "TODO 1, 2".
        let named: BTreeSet<u32> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| TODO "))
            .filter_map(|line| line.split('|').next())
            .flat_map(|numbers| numbers.split(", "))
            .filter_map(|number| number.trim().parse().ok())
            .collect();
        assert_eq!(named, parts(&stage), "{}", stage.folder);
        // A line may end within the words.
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts(&stage) {
            assert!(
                page.contains(&format!("**TODO {part}**")),
                "{}: TODO {part}",
                stage.folder
            );
        }
    }
}

#[test]
fn the_files_to_edit_exist() {
    for stage in STAGES {
        for name in code(section(&page(&stage), SECTIONS[0])) {
            if name.starts_with("src/") {
                assert!(stage.home().join(name).exists(), "{}: {name}", stage.folder);
            }
        }
    }
}

#[test]
fn the_real_code_that_a_page_names_exists() {
    let repository = stages::root().join("..");
    for stage in STAGES {
        let page = page(&stage);
        let mut files = 0;
        for name in code(&page) {
            if name.starts_with("runtime/src/") || name.starts_with("http/src/") {
                assert!(repository.join(name).exists(), "{}: {name}", stage.folder);
                files += 1;
            }
        }
        assert!(files > 0, "{} names no file of the real code", stage.folder);
    }
}

#[test]
fn each_exercise_has_its_answer() {
    let count = |text: &str| {
        (1..)
            .take_while(|number| text.contains(&format!("\n{number}. ")))
            .count()
    };
    for stage in STAGES {
        let page = page(&stage);
        let exercises = section(&page, SECTIONS[1]);
        let command = format!("cargo run -p course -- answers {}`", stage.number);
        assert!(exercises.contains(&command), "{}", stage.folder);
        let answers = fs::read_to_string(stage.answers()).expect("each stage has answers");
        assert!(count(exercises) >= 3, "{}", stage.folder);
        assert_eq!(count(exercises), count(&answers), "{}", stage.folder);
    }
}

#[test]
fn the_names_of_claims_in_a_page_exist() {
    for stage in STAGES {
        let claims = fs::read_to_string(stage.home().join("tests/claims.rs"));
        let claims = claims.expect("each stage has claims");
        let texts = [
            page(&stage),
            fs::read_to_string(stage.answers()).unwrap_or_default(),
        ];
        for name in texts.iter().flat_map(|text| code(text)) {
            let claim = name.trim_start_matches('…');
            let is_claim = name.starts_with('…') || name.starts_with("todo_");
            if is_claim && !claim.contains(char::is_uppercase) {
                assert!(claims.contains(claim), "{}: {name}", stage.folder);
            }
        }
    }
}

#[test]
fn each_page_leads_to_the_next_one_and_the_index_to_all() {
    let index =
        fs::read_to_string(stages::root().join("README.md")).expect("the course has a page");
    for stage in STAGES {
        assert!(index.contains(&format!("(stages/{}/README.md)", stage.folder)));
        assert!(
            index.contains(&format!("[{}]", stage.title)),
            "{}",
            stage.title
        );
    }
    for (stage, next) in STAGES.iter().zip(&STAGES[1..]) {
        assert!(
            page(stage).contains(&format!("(../{}/README.md)", next.folder)),
            "{}",
            stage.folder
        );
    }
}

#[test]
fn no_stage_is_left_out() {
    for folder in ["stages", "solutions"] {
        let mut found: Vec<_> = fs::read_dir(stages::root().join(folder))
            .expect("the folder exists")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        found.sort();
        assert_eq!(found, STAGES.map(|stage| stage.folder), "{folder}");
    }
}

/// Returns the lines of code and text of a finished stage.
fn lines(stage: &Stage) -> Vec<String> {
    let files = stage.files(Form::Finished).expect("the marks are right");
    let sources = files.iter().filter(|(name, _)| name.starts_with("src"));
    let lines = sources.flat_map(|(_, text)| text.lines());
    let full = lines.map(str::trim).filter(|line| !line.is_empty());
    full.map(str::to_owned).collect()
}

/// A stage keeps the code of the one before. The first two stages have futures that only they need.
#[test]
fn each_stage_grows_from_the_one_before() {
    for (before, stage) in STAGES.iter().zip(&STAGES[1..]) {
        let (old, mut new) = (lines(before), lines(stage));
        let mut kept = 0;
        for line in &old {
            if let Some(at) = new.iter().position(|other| other == line) {
                new.swap_remove(at);
                kept += 1;
            }
        }
        let percent = 100 * kept / old.len();
        let percent_min = if stage.number <= 3 { 40 } else { 80 };
        assert!(
            percent >= percent_min,
            "{} keeps {percent} % of the lines",
            stage.folder
        );
    }
}

/// The compiler does not report a file that no module declares.
#[test]
fn each_file_of_a_solution_is_a_module() {
    for stage in STAGES {
        let sources = stage.solution().join("src");
        let root = fs::read_to_string(sources.join("lib.rs")).expect("each stage is a library");
        for path in stages::files_in(&sources).expect("the solution has files") {
            let name = path
                .file_stem()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let is_declared = root.contains(&format!("mod {name};"));
            assert!(name == "lib" || is_declared, "{}", path.display());
        }
    }
}

/// The last stage is the runtime in small: its files have the names of the real ones.
#[test]
fn the_last_stage_has_the_files_of_the_real_runtime() {
    let last = STAGES[STAGES.len() - 1].solution().join("src");
    let real = stages::root().join("../runtime/src");
    let mut own = Vec::new();
    for path in stages::files_in(&last).expect("the solution has files") {
        let name = path.strip_prefix(&last).expect("it is below the folder");
        let places = ["", "time", "sync", "net"].map(|folder| real.join(folder).join(name));
        if !places.iter().any(|place| Path::exists(place)) {
            own.push(name.display().to_string());
        }
    }
    // `net` is a folder there, `channel` is `sync::mpsc`, and HTTP is a crate of its own.
    own.retain(|name| {
        ![
            "channel.rs",
            "http.rs",
            "net.rs",
            "registration.rs",
            "server.rs",
        ]
        .contains(&name.as_str())
    });
    assert!(own.is_empty(), "{own:?}");
}
