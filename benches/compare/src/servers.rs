//! One server: where it comes from, how it is built and what starts it.

use crate::bounded;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a build may take.
const BUILD_TIME_MAX: Duration = Duration::from_secs(1_800);

/// Where a server comes from.
#[derive(Clone)]
pub(crate) enum Source {
    /// A package of this workspace.
    Package(&'static str),
    /// The example `plaintext` of the project this folder belongs to.
    Project,
    /// `servers/NAME/run`, and `servers/NAME/build` if it is compiled; they say what they need.
    Script(&'static str),
    /// Any command; the address is appended.
    Command(Vec<String>),
}

/// How often a server has its turn when there is not time for everything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Ours, and those that may be as fast: in every work.
    Contender,
    /// Those that are measured at the main works, as often.
    Peer,
    /// Those that are slow anyway, measured at the main works in fewer rounds.
    Slow,
    /// The floor, and whoever is named by a command.
    Other,
}

/// Someone to be measured.
#[derive(Clone)]
pub(crate) struct Server {
    /// Its name in the results.
    pub(crate) name: String,
    /// Where it comes from.
    pub(crate) source: Source,
    /// What it is told behind the address.
    pub(crate) arguments: Vec<String>,
    /// What it is asked for when its memory is measured.
    pub(crate) path: &'static str,
    /// The crate whose version is told.
    pub(crate) crates: &'static str,
    /// How often it has its turn.
    pub(crate) class: Class,
    /// What is to be told beside its figures.
    pub(crate) remark: &'static str,
}

impl Server {
    /// A server from `NAME=COMMAND`, whose words are split at spaces.
    ///
    /// # Errors
    /// Without a name or a command.
    pub(crate) fn from_command(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("a server is NAME=COMMAND")?;
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err(format!("{name} has no command"));
        }
        Ok(Self {
            name: name.to_owned(),
            source: Source::Command(words),
            arguments: Vec::new(),
            path: "/plaintext",
            crates: "",
            class: Class::Other,
            remark: "",
        })
    }

    /// Whether this is the floor, which takes the arguments of a work.
    pub(crate) fn is_floor(&self) -> bool {
        matches!(self.source, Source::Package("floor"))
    }

    /// Builds it, if it is built here.
    ///
    /// # Errors
    /// With the first error of the build.
    pub(crate) fn build(&self) -> Result<(), Box<dyn Error>> {
        if let Some(arguments) = self.cargo_arguments() {
            return cargo("build", &arguments, &self.target()?);
        }
        if let Source::Script(name) = self.source {
            let build = script(name, "build");
            if build.exists() {
                bounded::text(&mut Command::new(build), BUILD_TIME_MAX)?;
            }
        }
        Ok(())
    }

    /// What cargo must be told to find it, if it is built by cargo.
    pub(crate) fn cargo_arguments(&self) -> Option<Vec<String>> {
        let (manifest, choice) = match &self.source {
            Source::Package(package) => (folder().join("Cargo.toml"), ["--package", package]),
            Source::Project => (
                folder().join("../../Cargo.toml"),
                ["--example", "plaintext"],
            ),
            Source::Script(_) | Source::Command(_) => return None,
        };
        let manifest = ["--manifest-path".to_owned(), manifest.display().to_string()];
        Some(
            manifest
                .into_iter()
                .chain(choice.map(str::to_owned))
                .collect(),
        )
    }

    /// Where its binary is below a target folder, if it is built by cargo.
    pub(crate) fn binary_in(&self, target: &Path) -> Option<PathBuf> {
        match &self.source {
            Source::Package(package) => Some(target.join("release").join(package)),
            Source::Project => Some(target.join("release/examples/plaintext")),
            Source::Script(_) | Source::Command(_) => None,
        }
    }

    /// The words that start it, but for the address, which comes next, and its own arguments.
    ///
    /// # Errors
    /// If the target folder is unknown.
    pub(crate) fn words(&self) -> Result<Vec<String>, Box<dyn Error>> {
        Ok(match &self.source {
            Source::Command(words) => words.clone(),
            Source::Script(name) => vec![script(name, "run").display().to_string()],
            Source::Package(_) | Source::Project => {
                let binary = self.binary_in(&self.target()?).ok_or("no binary")?;
                vec![binary.display().to_string()]
            }
        })
    }

    /// The target folder: the project has one of its own below this workspace's.
    fn target(&self) -> Result<PathBuf, Box<dyn Error>> {
        let own = target_folder()?;
        Ok(if matches!(self.source, Source::Project) {
            own.join("project")
        } else {
            own
        })
    }

    /// Its version: of its crate as locked here, or as `servers/NAME/version` tells it.
    pub(crate) fn version(&self) -> Option<String> {
        let limit = Duration::from_secs(30);
        if let Source::Script(name) = self.source {
            let said = bounded::text(&mut Command::new(script(name, "version")), limit).ok()?;
            return Some(said.lines().next()?.trim().to_owned());
        }
        let manifest = match self.source {
            Source::Package(_) => folder().join("Cargo.toml"),
            Source::Project | Source::Script(_) | Source::Command(_) => return None,
        };
        let mut tree = Command::new("cargo");
        tree.args([
            "tree",
            "--depth",
            "1",
            "--prefix",
            "none",
            "--manifest-path",
        ])
        .arg(manifest);
        if let Source::Package(package) = self.source {
            tree.args(["--package", package]);
        }
        let text = bounded::text(&mut tree, limit).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(self.crates)?.strip_prefix(" v"))?;
        Some(line.split(' ').next()?.to_owned())
    }
}

fn script(server: &str, name: &str) -> PathBuf {
    folder().join("servers").join(server).join(name)
}

/// Runs cargo quietly on a release build.
///
/// # Errors
/// With the first error of the build.
pub(crate) fn cargo(verb: &str, arguments: &[String], target: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new("cargo");
    cargo.args([verb, "--release", "--quiet"]).args(arguments);
    cargo.arg("--target-dir").arg(target);
    bounded::text(&mut cargo, BUILD_TIME_MAX).map(drop)
}

/// This workspace's folder.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The target folder this program was built in.
///
/// # Errors
/// If it was moved elsewhere.
pub(crate) fn target_folder() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let target = program
        .parent()
        .and_then(Path::parent)
        .ok_or("not started from a target folder")?;
    Ok(target.to_owned())
}
