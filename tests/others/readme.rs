//! Each snippet of README works for a reader who copies it into a new project.
//!
//! The test makes such projects below the target folder, with the lines of the TOML snippets up to each program.
//! It replaces two things: the path of this repository, and port 8080 by a free one. A program that prints
//! `listening on http://…` is a server, and must answer a request and end well on SIGTERM.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// No program needs longer to answer or to end.
const DEADLINE: Duration = Duration::from_secs(30);

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// A block of code of README.
struct Snippet {
    line: usize,
    language: String,
    code: String,
}

fn snippets(markdown: &str) -> Vec<Snippet> {
    let mut found: Vec<Snippet> = Vec::new();
    let mut inside = false;
    for (at, line) in markdown.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside;
            if inside {
                found.push(Snippet {
                    line: at + 1,
                    language: language.to_owned(),
                    code: String::new(),
                });
            }
        } else if inside {
            let snippet = found.last_mut().unwrap();
            snippet.code.push_str(line);
            snippet.code.push('\n');
        }
    }
    found
}

/// Makes the project of a program, and returns the program.
fn build(name: &str, dependencies: &str, code: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let project = target.join("tmp/readme").join(name);
    fs::create_dir_all(project.join("src")).unwrap();
    let head = format!("[workspace]\n\n[package]\nname = \"{name}\"\nedition = \"2024\"\n\n");
    fs::write(project.join("Cargo.toml"), head + dependencies).unwrap();
    fs::write(project.join("src/main.rs"), code).unwrap();
    // The versions of this repository, which are on this machine already. The target folder is shared, so that
    // they are built once.
    fs::copy(
        Path::new(REPOSITORY).join("Cargo.lock"),
        project.join("Cargo.lock"),
    )
    .unwrap();
    let cargo = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet", "--target-dir"])
        .arg(target)
        .current_dir(&project)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&cargo.stderr);
    assert!(cargo.status.success(), "{name}:\n{text}");
    assert!(text.is_empty(), "{name} has warnings:\n{text}");
    target.join("debug").join(name)
}

/// A running program. It is killed if the test fails.
struct Program(Child);

impl Program {
    fn wait_for_success(&mut self, name: &str) {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Some(status) = self.0.try_wait().unwrap() {
                assert!(status.success(), "{name}: {status}");
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{name} does not end");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn run(name: &str, program: &Path) {
    let child = Command::new(program).stdout(Stdio::piped()).spawn();
    let mut program = Program(child.unwrap());
    let mut output = BufReader::new(program.0.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    // The rest is read, so that the program can print.
    thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    if let Some(address) = line.trim_end().strip_prefix("listening on http://") {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n"),
            "{name}: {answer}"
        );
        kill_process(Pid::from_child(&program.0), Signal::TERM).unwrap();
    }
    program.wait_for_success(name);
}

#[test]
fn each_snippet_of_readme_is_a_program_that_runs_in_a_new_project() {
    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md")).unwrap();
    let mut dependencies = String::from("[dependencies]\n");
    let mut servers = 0;
    let mut programs = 0;
    for Snippet {
        line,
        language,
        code,
    } in snippets(&readme)
    {
        match language.as_str() {
            "toml" => {
                let lines = code.strip_prefix("[dependencies]\n").unwrap();
                let path = format!("path = {REPOSITORY:?}");
                dependencies += &lines.replace("path = \"../waterwheel\"", &path);
            }
            "rust" | "rust,no_run" => {
                let name = format!("readme-line-{line}");
                let code = code.replace("127.0.0.1:8080", "127.0.0.1:0");
                let program = build(&name, &dependencies, &code);
                run(&name, &program);
                programs += 1;
                servers += usize::from(code.contains("listening on http://"));
            }
            other => assert_eq!(other, "sh", "README, line {line}"),
        }
    }
    assert!(
        programs >= 5 && servers >= 3,
        "{programs} programs, {servers} servers"
    );
}

/// Supervisors and scripts call them.
#[test]
fn the_two_commands_of_readme_stand_alone() {
    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md")).unwrap();
    let snippets = snippets(&readme);
    let commands: Vec<_> = snippets
        .iter()
        .filter(|snippet| snippet.language == "sh")
        .collect();
    let commands: Vec<_> = commands.iter().map(|snippet| snippet.code.trim()).collect();
    assert_eq!(
        commands,
        [
            "cargo run --release --example hello",
            "cargo test --workspace"
        ]
    );
}

#[test]
fn readme_leads_to_each_example() {
    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md")).unwrap();
    let mut missing = Vec::new();
    for entry in fs::read_dir(Path::new(REPOSITORY).join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_example = path.extension().is_some_and(|extension| extension == "rs");
        if is_example && !readme.contains(&format!("](examples/{name})")) {
            missing.push(name.to_owned());
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
