//! Prints what this server and hyper make of each file of `corpus/differential`: what is kept in
//! `corpus/differential.txt`, so that a replay needs no hyper.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::fs;
use std::io;

fn main() -> io::Result<()> {
    let mut files = fs::read_dir("corpus/differential")?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let verdicts = waterwheel_fuzz::verdicts(&fs::read(&file)?);
        println!("{name}\t{verdicts}");
    }
    Ok(())
}
