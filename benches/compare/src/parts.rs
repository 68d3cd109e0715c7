//! The parts of a run: each is measured as a whole, and can be measured again alone.

use crate::works::{self, Work};

/// One part.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// CPU time per request at a work, as a ratio to the floor.
    Cpu(&'static Work),
    /// Latencies at a fixed rate.
    Latency,
    /// Latencies beside a connection that pipelines flat out.
    Fairness,
    /// System calls per request.
    Calls,
    /// User instructions per request.
    Instructions,
    /// Resident bytes at start and per idle connection.
    Memory,
    /// Answers a second, by wrk too.
    Wrk,
    /// Binary, dependencies and clean build of each server.
    Footprint,
    /// Clean builds of Waterwheel itself.
    Builds,
    /// Waterwheel's runtime beside other runtimes.
    Runtimes,
    /// What a route costs.
    Routes,
    /// What asking the gate costs.
    Gate,
}

/// Those that are not of a work.
const OTHERS: [(&str, Part); 11] = [
    ("latency", Part::Latency),
    ("fairness", Part::Fairness),
    ("calls", Part::Calls),
    ("instructions", Part::Instructions),
    ("memory", Part::Memory),
    ("wrk", Part::Wrk),
    ("builds", Part::Builds),
    ("runtimes", Part::Runtimes),
    ("routes", Part::Routes),
    ("gate", Part::Gate),
    ("footprint", Part::Footprint),
];

impl Part {
    /// All parts, in the order in which they are measured: what matters most comes first.
    pub(crate) fn all() -> Vec<Self> {
        let cpu = works::WORKS.iter().map(Self::Cpu);
        cpu.chain(OTHERS.map(|(_, part)| part)).collect()
    }

    /// Its name on the command line and in the results; a work's part is named like the work.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu(work) => work.name,
            other => {
                let is_it = |(_, part): &&(&str, Part)| {
                    std::mem::discriminant(part) == std::mem::discriminant(&other)
                };
                OTHERS.iter().find(is_it).map_or("", |(name, _)| name)
            }
        }
    }

    /// The parts of these names; `all`, `none`, or `cpu` for all works.
    ///
    /// # Errors
    /// For a name that none has.
    pub(crate) fn named(names: &str) -> Result<Vec<Self>, String> {
        let all = Self::all();
        let mut parts = Vec::new();
        for name in names.split(',').filter(|name| *name != "none") {
            let is_named = |part: &&Self| match (name, part) {
                ("all", _) | ("cpu", Self::Cpu(_)) => true,
                (name, part) => part.name() == name,
            };
            let before = parts.len();
            parts.extend(all.iter().filter(is_named));
            if parts.len() == before {
                let known: Vec<&str> = all.iter().map(|part| part.name()).collect();
                return Err(format!(
                    "no such part: {name} (there are {})",
                    known.join(", ")
                ));
            }
        }
        Ok(parts)
    }

    /// Whether it needs servers at all.
    pub(crate) fn has_servers(self) -> bool {
        !matches!(
            self,
            Self::Builds | Self::Runtimes | Self::Routes | Self::Gate
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Part;
    use std::collections::BTreeSet;

    #[test]
    fn every_part_has_a_name_of_its_own_by_which_it_is_found() {
        let names: BTreeSet<&str> = Part::all().into_iter().map(Part::name).collect();
        assert_eq!(names.len(), Part::all().len());
        for name in names {
            let found = Part::named(name).map(|parts| parts.len());
            assert_eq!(found, Ok(1), "{name}");
        }
        assert!(Part::named("nothing").is_err());
    }
}
