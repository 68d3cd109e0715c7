//! The program of a trace: a scene, and the claims about its record.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;
use std::{env, fs, process, thread};

use crate::record::{self, Record};

/// A sentence about a record, and the check of it.
pub type Claim = (&'static str, fn(&Record) -> bool);

/// The time that a scene may take. Each one waits for less than a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held while a record is written: by the scene at its end, or by the guard of its time.
static WRITING: Mutex<()> = Mutex::new(());

/// Runs a scene, and writes its record to the path in the first argument. Prints a line for each claim: `holds` or
/// `fails`, and the sentence.
///
/// A scene that panics, or does not end within five seconds, has a record, too: it shows where the scene came to a
/// stop. Its exit code is not zero.
///
/// # Panics
///
/// Panics if the record cannot be written.
pub fn main(scene: impl FnOnce(), claims: &[Claim]) -> ExitCode {
    record::begin();
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        let _writing = WRITING.lock();
        if let Some(record) = record::end_of_hang() {
            write(&record);
            println!("hangs   The scene has not ended after {PATIENCE:?}.");
            process::exit(2);
        }
    });
    let end = catch_unwind(AssertUnwindSafe(scene));
    let _writing = WRITING.lock();
    let Some(record) = record::end() else {
        return ExitCode::from(2);
    };
    write(&record);
    if end.is_err() {
        println!("panics  The scene has panicked.");
        return ExitCode::from(2);
    }
    for (sentence, check) in claims {
        let verdict = if check(&record) { "holds" } else { "fails" };
        println!("{verdict}   {sentence}");
    }
    ExitCode::SUCCESS
}

fn write(record: &Record) {
    let path = env::args_os().nth(1).unwrap_or("trace.json".into());
    fs::write(path, record.to_json()).expect("the record can be written");
}
