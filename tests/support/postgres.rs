//! A PostgreSQL of a test's own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::programs;
use super::skip::skip;

/// A server of its own, in a folder of its own.
pub(crate) struct Postgres {
    process: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    programs: PathBuf,
}

impl Postgres {
    /// Starts a server with the user `miller` and the database `mill`. Returns `None` if it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let programs = programs_of_postgres()?;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        if geteuid().is_root() {
            for path in [folder.path(), &data] {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let mut init = command(&programs.join("initdb"), &data);
        init.args([
            "--no-sync",
            "--auth=trust",
            "--username=miller",
            "--locale=C",
        ]);
        programs::run(&mut init).expect_success();
        // Another process can take a free port first.
        let mut servers = (0..10).filter_map(|_| Self::listen(&programs, &folder, &data));
        let (process, port) = servers.next().expect("a free port");
        let server = Self {
            process,
            port,
            folder,
            programs,
        };
        server.execute("postgres", "create database mill");
        Some(server)
    }

    /// Starts the server at a free port. Returns `None` if the port is not free any more.
    fn listen(programs: &Path, folder: &TempDir, data: &Path) -> Option<(Child, u16)> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = command(&programs.join("postgres"), data);
        command.args(["-F", "-c", "listen_addresses=127.0.0.1"]);
        command.arg("-p").arg(port.to_string());
        command.arg("-k").arg(folder.path());
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while log.read_line(&mut line).unwrap() > 0 {
            if line.contains("ready to accept connections") {
                // A full pipe would block the server.
                thread::spawn(move || log.read_to_end(&mut Vec::new()));
                return Some((process, port));
            }
        }
        process.wait().unwrap();
        assert!(line.contains("could not"), "{line}");
        None
    }

    /// Executes statements.
    pub(crate) fn execute(&self, database: &str, statements: &str) {
        let mut command = Command::new(self.programs.join("psql"));
        command.args([
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            "--username=miller",
            "--host=127.0.0.1",
        ]);
        command.arg("--port").arg(self.port.to_string());
        command.args(["--dbname", database, "--command", statements]);
        programs::run(&mut command).expect_success();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate end of this process, which ends its children. It may have ended by itself.
        kill_process(Pid::from_child(&self.process), Signal::QUIT).ok();
        drop(self.process.wait());
    }
}

/// PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

fn command(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg("-D")
        .arg(data)
        .current_dir(data)
        .env("LC_ALL", "C");
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Returns the folder of the server's programs, which is not on a user's path.
fn programs_of_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok();
    let mut folders = versions
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"));
    let found = folders.find(|folder| folder.join("initdb").is_file());
    let found = found.or_else(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
    });
    if found.is_none() {
        skip("PostgreSQL is not installed");
    }
    found
}
