//! `cargo run -p course`: shows the next stage.

use std::process::ExitCode;

use course::markers::Form;
use course::stages::STAGES;

fn main() -> ExitCode {
    for stage in STAGES {
        if stage.solution().exists() {
            stage.write(Form::Start).unwrap();
        }
    }
    ExitCode::SUCCESS
}
