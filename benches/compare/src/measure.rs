//! The order of a whole run.

use crate::options::{Measure, Options};
use crate::results::{Measured, Results};
use crate::servers::{self, Server};
use crate::works::Work;
use crate::{calls, contract, footprint, instructions, memory, rounds, works};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::error::Error;

/// Builds everyone, leaves out who cannot be had, and measures the rest.
///
/// # Errors
/// If the floor or the load generator fail.
pub(crate) fn all(options: &Options) -> Result<Results, Box<dyn Error>> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?; // the servers inherit it
    let manifest = [
        "--manifest-path".to_owned(),
        servers::folder().join("Cargo.toml").display().to_string(),
    ];
    for package in ["floor", "load"] {
        let arguments = [&manifest[..], &["--package".to_owned(), package.to_owned()]].concat();
        servers::cargo("build", &arguments, &servers::target_folder()?)?;
    }
    let mut results = Results::new();
    let present = present(options, &mut results);
    if options.measures.contains(&Measure::Cpu) {
        cpu(&present, options, &mut results)?;
    }
    if options.measures.contains(&Measure::Latency) {
        let work = works::find("single").ok_or("no such work")?;
        let latencies = rounds::latency(work, &present, options);
        for (index, latency) in latencies.into_iter().enumerate() {
            results.servers[index].latency = results.keep(index, "latency", latency);
        }
    }
    for (index, server) in present.iter().enumerate() {
        for measure in &options.measures {
            one(index, server, *measure, options, &mut results);
        }
    }
    Ok(results)
}

/// Who could be built, started and asked.
fn present(options: &Options, results: &mut Results) -> Vec<Server> {
    let mut present = Vec::new();
    for server in &options.servers {
        eprintln!("preparing {}", server.name);
        match server
            .build()
            .and_then(|()| contract::check(server, options))
        {
            Ok(remarks) => {
                present.push(server.clone());
                results.servers.push(Measured {
                    name: server.name.clone(),
                    remarks,
                    ..Measured::default()
                });
            }
            Err(error) => results.left_out.push(format!("{}: {error}", server.name)),
        }
    }
    present
}

fn cpu(present: &[Server], options: &Options, results: &mut Results) -> Result<(), Box<dyn Error>> {
    for work in &options.works {
        let (floor, turns) = rounds::cpu(work, present, options)?;
        results.floors.insert(work.name.to_owned(), floor);
        for (index, cpu) in turns.into_iter().enumerate() {
            if let Some(cpu) = results.keep(index, work.name, cpu) {
                results.servers[index].cpu.insert(work.name.to_owned(), cpu);
            }
        }
    }
    Ok(())
}

/// What is counted for one server alone.
fn one(index: usize, server: &Server, measure: Measure, options: &Options, results: &mut Results) {
    match measure {
        Measure::Cpu | Measure::Latency => {}
        Measure::Calls => {
            for work in counted(options) {
                let found = calls::count(server, work, options);
                if let Some(calls) = results.keep(index, "system calls", found) {
                    results.servers[index]
                        .calls
                        .insert(work.name.to_owned(), calls);
                }
            }
        }
        Measure::Instructions => {
            for work in counted(options) {
                let found = instructions::count(server, work, options);
                if let Some(count) = results.keep(index, "instructions", found) {
                    results.servers[index]
                        .instructions
                        .insert(work.name.to_owned(), count);
                }
            }
        }
        Measure::Memory => {
            results.servers[index].memory =
                results.keep(index, "memory", memory::measure(server, options));
        }
        Measure::Footprint => {
            results.servers[index].footprint = results
                .keep(index, "footprint", footprint::measure(server))
                .flatten();
        }
    }
}

/// The works at which calls and instructions are counted; the others are like one of these.
fn counted(options: &Options) -> impl Iterator<Item = &'static Work> {
    options
        .works
        .iter()
        .copied()
        .filter(|work| ["single", "pipelined", "close"].contains(&work.name))
}

impl Results {
    /// Keeps what was measured, or the reason why it was not.
    fn keep<T, E: ToString>(&mut self, index: usize, what: &str, found: Result<T, E>) -> Option<T> {
        let name = &self.servers[index].name;
        eprintln!("{name}: {what}");
        match found {
            Ok(value) => Some(value),
            Err(error) => {
                self.left_out
                    .push(format!("{name}, {what}: {}", error.to_string()));
                None
            }
        }
    }
}
