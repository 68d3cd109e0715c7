//! The parts of a run. Each is measured as a whole, and can be measured again alone.

use crate::options::{Options, Parts};
use crate::servers::{Class, Server};
use serde::Deserialize;
use std::sync::LazyLock;

/// A work, from `works.toml`.
#[derive(Deserialize)]
pub(crate) struct Work {
    pub(crate) name: String,
    /// Its name in words.
    pub(crate) title: String,
    /// Its name at the head of a column.
    pub(crate) short: String,
    /// Arguments of the load generator.
    pub(crate) load: String,
    #[serde(default)]
    floor: String,
    pub(crate) goal: Option<f64>,
    #[serde(default)]
    pub(crate) needs: String,
    tier: Tier,
}

/// How much a work matters.
#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tier {
    Main,
    Close,
    Second,
}

impl Work {
    /// Arguments of a server: the floor must know the work.
    pub(crate) fn arguments_of(&self, server: &Server) -> &str {
        if server.is_floor() { &self.floor } else { "" }
    }

    /// Returns true if each request has a connection of its own.
    pub(crate) fn closes(&self) -> bool {
        self.load.contains("--close")
    }
}

/// The works at which calls and instructions are counted. The others are like one of these.
pub(crate) const COUNTED: [&str; 3] = ["single", "pipelined", "close"];

/// A part: CPU time at a work, or one of the others.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) work: Option<&'static Work>,
}

/// All works.
pub(crate) static WORKS: LazyLock<Vec<Work>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        work: Vec<Work>,
    }
    let file: File = toml::from_str(include_str!("../works.toml")).expect("works.toml is right");
    file.work
});

/// All parts, in the order in which they are measured.
static PARTS: LazyLock<Vec<Part>> = LazyLock::new(|| {
    let works = WORKS.iter().map(|work| Part {
        name: &work.name,
        work: Some(work),
    });
    let others = [
        "latency",
        "fairness",
        "calls",
        "instructions",
        "memory",
        "wrk",
        "builds",
        "runtimes",
        "routes",
        "gate",
        "tls",
        "websocket",
        "gzip",
        "footprint",
    ];
    works
        .chain(others.map(|name| Part { name, work: None }))
        .collect()
});

/// Returns the work of this name.
pub(crate) fn work(name: &str) -> &'static Work {
    let work = WORKS.iter().find(|work| work.name == name);
    work.expect("works.toml has this work")
}

/// Returns the parts of these names: `all`, `none`, `cpu` (all works), or names with commas between them.
pub(crate) fn named(names: &str) -> Result<Parts, String> {
    let mut parts: Vec<&'static Part> = Vec::new();
    for name in names.split(',').filter(|name| *name != "none") {
        let is_named = |part: &&Part| match name {
            "all" => true,
            "cpu" => part.work.is_some(),
            name => part.name == name,
        };
        let before = parts.len();
        parts.extend(PARTS.iter().filter(is_named));
        if parts.len() == before {
            let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
            return Err(format!(
                "no part has this name; there are: {}",
                known.join(", ")
            ));
        }
    }
    Ok(parts.into())
}

impl Part {
    /// Returns true if a program of its own measures it and prints the tables.
    pub(crate) fn has_program(&self) -> bool {
        ["runtimes", "routes", "gate", "tls", "websocket", "gzip"].contains(&self.name)
    }

    /// Returns true if it measures servers of `peers.toml`.
    pub(crate) fn has_servers(&self) -> bool {
        self.name != "builds" && !self.has_program()
    }

    /// Returns true if a server takes part in the run for README.
    pub(crate) fn takes(&self, server: &Server, is_thorough: bool) -> bool {
        let name = server.name.as_str();
        if server.is_floor() {
            // CPU time is measured beside the floor anyway.
            return self.work.is_none() && !["wrk", "footprint"].contains(&self.name);
        }
        match (self.name, self.work) {
            // Under callgrind they take minutes to start, or fail.
            ("instructions", _) if ["node", "python", "go"].contains(&name) => false,
            _ if is_thorough => true,
            (_, Some(work)) => work.tier == Tier::Main || server.class == Class::Contender,
            ("calls" | "instructions", _) => server.class != Class::Slow,
            ("footprint", _) => ["waterwheel", "hyper"].contains(&name),
            ("wrk", _) => ["waterwheel", "hyper", "nginx"].contains(&name),
            _ => true,
        }
    }

    /// Sets the rounds and times of the run for README. Together they take three quarters of an hour.
    pub(crate) fn shorten(&self, options: &mut Options) {
        options.warm_up = 0.2;
        let tier = self.work.map(|work| &work.tier);
        (options.rounds, options.slow_rounds, options.seconds) = match (self.name, tier) {
            (_, Some(Tier::Close)) => (7, 1, 0.6),
            (_, Some(Tier::Second)) => (3, 1, 0.6),
            ("many" | "close", _) => (5, 3, 1.0),
            ("latency", _) => (36, 5, 0.5),
            ("fairness", _) => (2, 1, 1.5),
            _ => (5, 2, 1.0),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{PARTS, named};

    #[test]
    fn every_part_is_found_by_its_name() {
        for part in PARTS.iter() {
            let found = named(part.name).map(|parts| parts.len());
            assert_eq!(found, Ok(1), "{}", part.name);
        }
        assert!(named("unknown").is_err());
        assert_eq!(named("none").map(|parts| parts.len()), Ok(0));
    }
}
