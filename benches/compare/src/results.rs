//! Everything that was measured, as it is written, read again and merged.

use crate::figures::{Build, Floor, LeftOut, Measured};
use crate::parts::Part;
use crate::run::Run;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

/// Everything measured, by one run or by several that came after each other.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// The runs that measured it, the latest last.
    pub(crate) runs: Vec<Run>,
    /// Which of the runs measured a part.
    pub(crate) parts: BTreeMap<String, usize>,
    /// The floor, by work.
    pub(crate) floors: BTreeMap<String, Floor>,
    /// Everyone measured.
    pub(crate) servers: Vec<Measured>,
    /// What Waterwheel itself takes to build, without features and with all.
    pub(crate) builds: BTreeMap<String, Build>,
    /// What benches say that print tables of their own.
    pub(crate) tables: BTreeMap<String, String>,
    /// What was left out, and why.
    pub(crate) left_out: Vec<LeftOut>,
}

impl Results {
    /// Reads results written before.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes them; who reads the file meanwhile sees the old or the new, and never a part.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(std::fs::rename(new, path)?)
    }

    /// The server of this name, or a fresh entry for it.
    pub(crate) fn server(&mut self, name: &str) -> &mut Measured {
        let known = self.servers.iter().position(|server| server.name == name);
        let index = known.unwrap_or_else(|| {
            self.servers.push(Measured {
                name: name.to_owned(),
                ..Measured::default()
            });
            self.servers.len() - 1
        });
        &mut self.servers[index]
    }

    /// Begins a part anew: what is known of it counts no more.
    pub(crate) fn begin(&mut self, part: Part) {
        let name = part.name();
        self.forget_left_out(name);
        self.parts.remove(name);
        self.tables.remove(name);
        match part {
            Part::Cpu(_) => drop(self.floors.remove(name)),
            Part::Builds => self.builds.clear(),
            _ => {}
        }
        for server in &mut self.servers {
            server.forget(part);
        }
    }

    /// Forgets what was left out of a part.
    pub(crate) fn forget_left_out(&mut self, part: &str) {
        self.left_out.retain(|left| left.part != part);
    }

    /// Keeps what was measured, or the reason why it was not.
    pub(crate) fn keep<T, E: ToString>(
        &mut self,
        part: &str,
        server: &str,
        found: Result<T, E>,
    ) -> Option<T> {
        found
            .map_err(|error| {
                self.left_out.push(LeftOut {
                    part: part.to_owned(),
                    server: server.to_owned(),
                    reason: error.to_string(),
                });
            })
            .ok()
    }

    /// A part is done, by the latest run.
    pub(crate) fn done(&mut self, part: &str) {
        let latest = self.runs.len().saturating_sub(1);
        self.parts.insert(part.to_owned(), latest);
        if let Some(run) = self.runs.last_mut() {
            run.ended = crate::run::now();
        }
    }

    /// The run that measured a part.
    pub(crate) fn run_of(&self, part: &str) -> Option<&Run> {
        self.runs.get(*self.parts.get(part)?)
    }

    /// Forgets runs of which nothing is left.
    pub(crate) fn forget_stale_runs(&mut self) {
        let used: BTreeSet<usize> = self.parts.values().copied().collect();
        let runs = used
            .iter()
            .filter_map(|&index| self.runs.get(index).cloned());
        self.runs = runs.collect();
        for index in self.parts.values_mut() {
            *index = used.range(..*index).count();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Results;
    use crate::parts::Part;
    use crate::run::Run;
    use std::collections::BTreeMap;

    #[test]
    fn a_part_begun_anew_has_no_figures_and_the_others_keep_theirs() {
        let mut results = Results::default();
        let of_both = [("runtimes", "old"), ("gate", "kept")];
        results.tables = BTreeMap::from(of_both.map(|(part, table)| (part.into(), table.into())));
        results
            .server("hyper")
            .instructions
            .insert("single".to_owned(), 1.0);
        for part in ["runtimes", "gate", "instructions"] {
            results.done(part);
        }
        results.begin(Part::Runtimes);
        results.begin(Part::Instructions);
        assert!(results.server("hyper").instructions.is_empty());
        assert!(results.parts.keys().eq(["gate"]));
        assert!(results.tables.keys().eq(["gate"]));
    }

    #[test]
    fn a_run_is_forgotten_when_all_its_parts_are_measured_again() {
        let mut results = Results::default();
        let run = |command: &str| Run {
            began: String::new(),
            ended: String::new(),
            machine: String::new(),
            commit: String::new(),
            compiler: String::new(),
            command: command.to_owned(),
        };
        for (command, part) in [("a", "x"), ("b", "y"), ("c", "x")] {
            results.runs.push(run(command));
            results.done(part);
        }
        results.forget_stale_runs();
        assert_eq!(results.runs.len(), 2);
        let command_of = |part| results.run_of(part).map(|run| run.command.as_str());
        assert_eq!((command_of("x"), command_of("y")), (Some("c"), Some("b")));
    }
}
