//! The servers: where each comes from, how it is built, and the command that starts it.

use crate::options::Servers;
use crate::process::{bounded, text};
use serde::Deserialize;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The name under which Waterwheel is measured.
pub(crate) const OURS: &str = "waterwheel";

/// The plain floor: one `read` and one `write` per readiness, level-triggered. Goals are ratios to it.
pub(crate) const PLAIN_FLOOR: &str = "floor-read";

/// The cheaper ways of the floor, by `recv` and `send`. The work decides which is the fastest.
pub(crate) const FLOORS: [&str; 3] = ["floor-level", "floor-edge", "floor-mio"];

/// The ways that read straight after accept. They count if each request has a connection of its own.
pub(crate) const EAGER_FLOORS: [&str; 2] = ["floor-level-eager-defer", "floor-mio-eager-defer"];

/// How often a server has its turn when there is no time for all.
#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    /// Ours, and the servers that may be as fast: in every work.
    Contender,
    /// Measured at the main works, as often.
    Peer,
    /// Measured at the main works, in fewer rounds.
    Slow,
    /// The floor, and servers of the command line.
    #[default]
    Other,
}

/// A server, from `peers.toml`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Server {
    pub(crate) name: String,
    cargo: Option<String>,
    example: Option<String>,
    run: Option<String>,
    build: Option<String>,
    version: Option<String>,
    #[serde(rename = "crate")]
    crate_name: Option<String>,
    pub(crate) class: Class,
    large: Option<Large>,
    pub(crate) remark: String,
    /// The target of the requests when memory is measured.
    path: Option<String>,
    /// Arguments after the address.
    #[serde(skip)]
    arguments: Vec<String>,
}

/// How a server gets a handler whose future holds 4 KiB.
#[derive(Clone, Deserialize)]
struct Large {
    cargo: Option<String>,
    argument: Option<String>,
    path: Option<String>,
}

static PEERS: LazyLock<Vec<Server>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        peer: Vec<Server>,
    }
    let file: File = toml::from_str(include_str!("../peers.toml")).expect("peers.toml is right");
    file.peer
});

/// Returns the servers of these names, with commas between them. `floor` is the plain floor and its cheaper
/// ways, `all` is every server but the floor.
pub(crate) fn named(names: &str) -> Result<Servers, String> {
    let mut servers = Vec::new();
    for name in names.split(',') {
        match name {
            "all" => servers.extend(PEERS.iter().cloned()),
            "floor" => servers.extend(
                [&[PLAIN_FLOOR][..], &FLOORS]
                    .concat()
                    .into_iter()
                    .map(floor),
            ),
            name if name.starts_with("floor-") => servers.push(floor(name)),
            name => {
                let peer = PEERS.iter().find(|peer| peer.name == name);
                servers.push(
                    peer.ok_or_else(|| format!("no server has the name {name}"))?
                        .clone(),
                );
            }
        }
    }
    Ok(servers.into())
}

/// Returns the place of a server in `peers.toml`, which orders servers without a CPU time.
pub(crate) fn rank(name: &str) -> usize {
    let known = PEERS.iter().position(|peer| peer.name == name);
    known.unwrap_or(PEERS.len())
}

/// One way of the floor: `floor-mio-eager` is `floor --mode mio --eager`.
pub(crate) fn floor(name: &str) -> Server {
    let words = name.trim_start_matches("floor-").replace('-', " --");
    Server {
        name: name.to_owned(),
        arguments: format!("--mode {words}")
            .split(' ')
            .map(str::to_owned)
            .collect(),
        ..Server::default()
    }
}

impl Server {
    /// A server of the command line, from `NAME=COMMAND`.
    pub(crate) fn from_command(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("a server is NAME=COMMAND")?;
        Ok(Self {
            name: name.to_owned(),
            run: Some(format!("exec {command}")),
            ..Self::default()
        })
    }

    pub(crate) fn is_floor(&self) -> bool {
        self.name.starts_with("floor-") && self.run.is_none()
    }

    /// Returns the target of the requests when memory is measured.
    pub(crate) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/plaintext")
    }

    /// Returns the same server with a handler whose future holds 4 KiB, if its handlers are futures.
    pub(crate) fn large(&self) -> Option<Self> {
        let large = self.large.clone()?;
        Some(Self {
            example: None,
            cargo: large.cargo.or(self.cargo.clone()),
            arguments: large.argument.into_iter().collect(),
            path: large.path,
            ..self.clone()
        })
    }

    /// Builds it, if it is built here.
    pub(crate) fn build(&self) -> Result<(), Box<dyn Error>> {
        let release = target()?.join("release");
        if let Some(example) = &self.example {
            let words = format!("--example {example}");
            text(&mut build(project(), &target()?.join("project"), &words))?;
        } else if let Some(choice) = self.choice() {
            text(&mut build(folder(), &target()?, &(choice + &self.binary())))?;
        } else if let Some(build) = &self.build {
            let mut shell = bounded(600, "sh -c");
            shell.arg(build).current_dir(folder().join("servers"));
            text(shell.env("TARGET", release))?;
        }
        Ok(())
    }

    /// Returns the words with which cargo selects the package and its features, if cargo builds it.
    pub(crate) fn choice(&self) -> Option<String> {
        if self.is_floor() {
            return Some("--package floor ".to_owned());
        }
        let feature = self.cargo.as_ref()?.trim_end_matches("-large");
        Some(format!("--package servers --features {feature} "))
    }

    /// Returns the words with which cargo selects the binary.
    pub(crate) fn binary(&self) -> String {
        let binary = self.cargo.as_ref();
        binary.map_or(String::new(), |name| format!("--bin server-{name}"))
    }

    /// Returns the command that starts it on a core, as an argument of the words of `wrapper`.
    pub(crate) fn command(
        &self,
        wrapper: &str,
        address: &str,
        core: usize,
    ) -> Result<Command, Box<dyn Error>> {
        let release = target()?.join("release");
        let mut command = Command::new("taskset");
        command
            .args(["--cpu-list", &core.to_string()])
            .args(wrapper.split_whitespace());
        if let Some(run) = &self.run {
            command.args(["sh", "-c", &format!("{run} \"$@\""), &self.name]);
            command.env("TARGET", release);
            if self.class != Class::Other {
                command.current_dir(folder().join("servers"));
            }
        } else if let Some(example) = &self.example {
            command.arg(target()?.join("project/release/examples").join(example));
        } else if let Some(name) = &self.cargo {
            command.arg(release.join(format!("server-{name}")));
        } else {
            command.arg(release.join("floor"));
        }
        command.arg(address).args(&self.arguments);
        Ok(command)
    }

    /// Returns its version: of its crate in `Cargo.lock`, or the output of its command.
    pub(crate) fn version(&self) -> Option<String> {
        if let Some(version) = &self.version {
            let said = text(bounded(30, "sh -c").arg(version)).ok()?;
            return Some(said.lines().next()?.trim().to_owned());
        }
        let lock = std::fs::read_to_string(folder().join("Cargo.lock")).ok()?;
        let name = format!("name = \"{}\"\nversion = \"", self.crate_name.as_ref()?);
        Some(lock.split_once(&name)?.1.split_once('"')?.0.to_owned())
    }
}

/// A release build by cargo in a workspace, into this target folder.
pub(crate) fn build(workspace: &Path, target: &Path, words: &str) -> Command {
    let mut cargo = bounded(1_800, "cargo build --release --quiet --target-dir");
    cargo
        .arg(target)
        .args(words.split_whitespace())
        .current_dir(workspace);
    cargo
}

/// The folder of this workspace.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the project.
pub(crate) fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The target folder in which this program was built.
pub(crate) fn target() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent);
    Ok(target.ok_or("not started from a target folder")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_floor_has_four_ways_and_others_that_can_be_named() {
        let floors = named("floor,floor-mio-eager-defer").expect("all of them exist");
        assert_eq!(floors.len(), 5);
        assert_eq!(floors[0].arguments, ["--mode", "read"]);
        assert_eq!(floors[4].arguments, ["--mode", "mio", "--eager", "--defer"]);
        assert!(named("unknown").is_err());
    }

    #[test]
    fn a_server_whose_handlers_are_not_futures_has_no_large_handler() {
        let servers = named("hyper,nginx").expect("both exist");
        assert!(servers[0].large().is_some());
        assert!(servers[1].large().is_none());
    }
}
