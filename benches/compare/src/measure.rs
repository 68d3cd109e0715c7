//! The order of a whole run.

use crate::options::Options;
use crate::parts::Part;
use crate::plan::Step;
use crate::results::Results;
use crate::run::now;
use crate::servers::{self, Server};
use crate::works::Work;
use crate::{
    benches, builds, calls, contract, footprint, instructions, latency, memory, rounds, wrk,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

/// Builds everyone, leaves out who cannot be had, and measures the rest; what is measured is written at once.
///
/// # Errors
/// If the floor or the load generator cannot be built, or results cannot be written.
pub(crate) fn all(
    steps: &[Step],
    results: &mut Results,
    json: &Path,
) -> Result<(), Box<dyn Error>> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?; // the servers inherit it
    let present = prepare(steps, results)?;
    results.write(json)?;
    for (index, step) in steps.iter().enumerate() {
        let part = step.part.name();
        eprintln!("{} · {part}, {} of {}", now(), index + 1, steps.len());
        results.begin(step.part);
        let mut options = step.options.clone();
        options
            .servers
            .retain(|server| present.contains(&server.name));
        if let Err(error) = measure(step.part, &options, results, json) {
            let nobody: Result<(), _> = Err(error);
            results.keep(part, "all", nobody);
        } else {
            results.done(part);
        }
        results.write(json)?;
    }
    Ok(())
}

/// Builds what the steps need and says who could be built, started and asked.
fn prepare(steps: &[Step], results: &mut Results) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut present = BTreeSet::new();
    let needing = || steps.iter().filter(|step| step.part.has_servers());
    if needing().next().is_none() {
        return Ok(present);
    }
    let manifest = servers::folder().join("Cargo.toml").display().to_string();
    for package in ["floor", "load"] {
        let words = ["--manifest-path", &manifest, "--package", package].map(str::to_owned);
        servers::cargo("build", &words, &servers::target_folder()?)?;
    }
    results.forget_left_out("preparation");
    let mut seen = BTreeSet::new();
    for step in needing() {
        for server in &step.options.servers {
            if !seen.insert(server.name.clone()) {
                continue;
            }
            eprintln!("{} · preparing {}", now(), server.name);
            let ready = server
                .build()
                .and_then(|()| contract::check(server, &step.options));
            if let Some(contract) = results.keep("preparation", &server.name, ready) {
                present.insert(server.name.clone());
                let version = server.version();
                let entry = results.server(&server.name);
                entry.contract = contract;
                entry.version = version;
            }
        }
    }
    Ok(present)
}

fn measure(
    part: Part,
    options: &Options,
    results: &mut Results,
    json: &Path,
) -> Result<(), Box<dyn Error>> {
    match part {
        Part::Cpu(work) => {
            let options = &capable(work, options, results);
            let (floor, turns) = rounds::cpu(work, options)?;
            results.floors.insert(work.name.to_owned(), floor);
            for (server, cpu) in options.servers.iter().zip(turns) {
                if let Some(cpu) = results.keep(work.name, &server.name, cpu) {
                    results
                        .server(&server.name)
                        .cpu
                        .insert(work.name.to_owned(), cpu);
                }
            }
        }
        Part::Latency => {
            for (server, found) in options.servers.iter().zip(latency::quiet(options)?) {
                results.server(&server.name).latency =
                    results.keep(part.name(), &server.name, found);
            }
        }
        Part::Fairness => {
            for (server, found) in options.servers.iter().zip(latency::flooded(options)?) {
                results.server(&server.name).fairness =
                    results.keep(part.name(), &server.name, found);
            }
        }
        Part::Builds => results.builds = builds::measure()?,
        Part::Runtimes | Part::Routes | Part::Gate => {
            let table = benches::table(part)?;
            results.tables.insert(part.name().to_owned(), table);
        }
        Part::Calls | Part::Instructions | Part::Memory | Part::Wrk | Part::Footprint => {
            for server in &options.servers {
                eprintln!("{} · {} of {}", now(), part.name(), server.name);
                one(part, server, options, results);
                results.write(json)?;
            }
        }
    }
    Ok(())
}

/// The same options with those servers only that can do the work; the others are left out.
fn capable(work: &Work, options: &Options, results: &mut Results) -> Options {
    let mut options = options.clone();
    options.servers.retain(|server| {
        let lacks = &results.server(&server.name).contract.lacks;
        let is_capable = !lacks.iter().any(|lack| lack == work.needs);
        if !is_capable {
            let reason: Result<(), _> = Err(format!("lacks {}", work.needs));
            results.keep(work.name, &server.name, reason);
        }
        is_capable
    });
    options
}

/// What is counted for one server alone.
fn one(part: Part, server: &Server, options: &Options, results: &mut Results) {
    let name = part.name();
    match part {
        Part::Calls => {
            for work in counted(server, options, results) {
                let found = calls::count(server, work, options);
                if let Some(calls) = results.keep(name, &server.name, found) {
                    let of = &mut results.server(&server.name).calls;
                    of.insert(work.name.to_owned(), calls);
                }
            }
        }
        Part::Instructions => {
            for work in counted(server, options, results) {
                let found = instructions::count(server, work, options);
                if let Some(count) = results.keep(name, &server.name, found) {
                    let of = &mut results.server(&server.name).instructions;
                    of.insert(work.name.to_owned(), count);
                }
            }
        }
        Part::Memory => {
            let found = memory::measure(server, options);
            results.server(&server.name).memory = results.keep(name, &server.name, found);
            if let Some(large) = crate::peers::large(&server.name) {
                let found = large
                    .build()
                    .and_then(|()| memory::measure(&large, options));
                results.server(&server.name).large_memory = results.keep(name, &server.name, found);
            }
        }
        Part::Wrk => {
            let found = wrk::cross_check(server, options);
            results.server(&server.name).wrk = results.keep(name, &server.name, found);
        }
        Part::Footprint => {
            let found = footprint::measure(server);
            let footprint = results.keep(name, &server.name, found);
            results.server(&server.name).footprint = footprint.flatten();
        }
        _ => {}
    }
}

/// The works at which a server's calls and instructions are counted.
fn counted(server: &Server, options: &Options, results: &mut Results) -> Vec<&'static Work> {
    let lacks = &results.server(&server.name).contract.lacks;
    let is_counted =
        |work: &&&Work| work.is_counted() && !lacks.iter().any(|lack| lack == work.needs);
    options.works.iter().filter(is_counted).copied().collect()
}
