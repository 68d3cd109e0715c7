//! The servers: where each comes from, how it is built and what starts it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a server comes from.
#[derive(Clone)]
enum Source {
    /// A package of this workspace.
    Package(&'static str),
    /// The example `plaintext` of the project this folder belongs to.
    Project,
    /// `servers/NAME/run`, which needs what it names.
    Script(&'static str),
    /// Any command; the address is appended.
    Command(Vec<String>),
}

/// Someone to be measured.
#[derive(Clone)]
pub(crate) struct Server {
    /// Its name in the results.
    pub(crate) name: String,
    source: Source,
    arguments: Vec<String>,
    /// What its own author or its answers leave out, to be told beside its figures.
    pub(crate) remark: &'static str,
}

/// The ways of the floor.
pub(crate) const FLOORS: [&str; 3] = ["floor-level", "floor-edge", "floor-mio"];

/// Everyone but the floor.
const PEERS: [(&str, Source, &str); 18] = [
    ("waterwheel", Source::Project, ""),
    ("hyper", Source::Package("server-hyper"), ""),
    ("axum", Source::Package("server-axum"), ""),
    ("actix-web", Source::Package("server-actix"), ""),
    ("ntex", Source::Package("server-ntex"), ""),
    ("may_minihttp", Source::Package("server-may-minihttp"), ""),
    ("xitca-web", Source::Package("server-xitca"), ""),
    ("smol-hyper", Source::Package("server-smol-hyper"), ""),
    ("rouille", Source::Package("server-rouille"), ""),
    ("tiny_http", Source::Package("server-tiny-http"), ""),
    (
        "mini-async-http",
        Source::Package("server-mini-async-http"),
        "",
    ),
    ("nginx", Source::Script("nginx"), ""),
    ("node", Source::Script("node"), ""),
    ("python", Source::Script("python"), ""),
    ("go", Source::Script("go"), ""),
    ("nim", Source::Script("nim"), ""),
    (
        "floor-level-eager",
        Source::Package("floor"),
        "floor that reads straight after accept",
    ),
    (
        "floor-mio-eager",
        Source::Package("floor"),
        "floor that reads straight after accept",
    ),
];

/// The servers of these names; `floor` stands for its three ways, `all` for everyone.
///
/// # Errors
/// For a name that none has.
pub(crate) fn named(names: &str) -> Result<Vec<Server>, String> {
    let mut servers = Vec::new();
    for name in names.split(',') {
        match name {
            "all" => servers.extend(PEERS.iter().map(|(name, ..)| *name).filter_map(peer)),
            "floor" => servers.extend(FLOORS.map(floor)),
            name if FLOORS.contains(&name) => servers.push(floor(name)),
            name => servers.push(peer(name).ok_or_else(|| format!("no such server: {name}"))?),
        }
    }
    Ok(servers)
}

fn peer(name: &str) -> Option<Server> {
    let (_, source, remark) = PEERS.iter().find(|(known, ..)| *known == name)?;
    let arguments = match name
        .strip_prefix("floor-")
        .and_then(|rest| rest.strip_suffix("-eager"))
    {
        Some(mode) => vec!["--mode".to_owned(), mode.to_owned(), "--eager".to_owned()],
        None => Vec::new(),
    };
    Some(Server {
        name: name.to_owned(),
        source: source.clone(),
        arguments,
        remark,
    })
}

/// One way of the floor.
pub(crate) fn floor(name: &str) -> Server {
    let mode = name.trim_start_matches("floor-").to_owned();
    let arguments = vec!["--mode".to_owned(), mode];
    Server {
        name: name.to_owned(),
        source: Source::Package("floor"),
        arguments,
        remark: "",
    }
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
        match self.cargo_arguments() {
            Some(arguments) => cargo("build", &arguments, &self.target()?),
            None => Ok(()),
        }
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

    /// The words that start it, but for the address.
    ///
    /// # Errors
    /// If the target folder is unknown.
    pub(crate) fn words(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let mut words = match &self.source {
            Source::Command(words) => words.clone(),
            Source::Script(name) => vec![
                folder()
                    .join("servers")
                    .join(name)
                    .join("run")
                    .display()
                    .to_string(),
            ],
            Source::Package(_) | Source::Project => {
                let binary = self.binary_in(&self.target()?).ok_or("no binary")?;
                vec![binary.display().to_string()]
            }
        };
        words.extend(self.arguments.iter().cloned());
        Ok(words)
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
}

/// Runs cargo quietly on a release build.
///
/// # Errors
/// With the first error of the build.
pub(crate) fn cargo(verb: &str, arguments: &[String], target: &Path) -> Result<(), Box<dyn Error>> {
    let output = Command::new("cargo")
        .args([verb, "--release", "--quiet"])
        .args(arguments)
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text
        .lines()
        .find(|line| line.starts_with("error"))
        .unwrap_or("the build failed");
    Err(line.to_owned().into())
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
