//! A server process, its CPU time and its memory.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use rustls::pki_types::CertificateDer;

use crate::gzip;

/// How long a server may take to start, with its installation or compilation.
const START_TIME_MAX: Duration = Duration::from_secs(300);

/// How long a client waits for an answer.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A folder with the files of all servers: the certificate, its key, and the bodies to compress.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    pub(crate) root: CertificateDer<'static>,
}

impl Folder {
    pub(crate) fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.map_err(io::Error::other)?;
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        write("cert.pem", &made.cert.pem())?;
        write("key.pem", &made.signing_key.serialize_pem())?;
        for (name, text) in gzip::bodies() {
            write(name, &text)?;
        }
        let root = made.cert.der().clone();
        Ok(Self { folder, root })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A server process. It ends when its value is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `peers/NAME.sh`, or else the binary `features-NAME`, on the first core.
    pub(crate) fn start(name: &str, folder: &Folder, word: &str) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?; // it is free now
        let release = std::env::current_exe()?.with_file_name("");
        let script = format!("{}/peers/{name}.sh", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0"]);
        if fs::exists(&script)? {
            command.arg("sh").arg(script).env("TARGET", &release);
        } else {
            command.arg(release.join(format!("features-{name}")));
        }
        command.arg(address.to_string()).arg(folder.path());
        let mut server = Self {
            process: command.arg(word).spawn()?,
            address,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if server.process.try_wait()?.is_some() || begun.elapsed() > START_TIME_MAX {
                return Err(io::Error::other("it does not listen"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    fn id(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// Returns the CPU time so far of all threads.
    fn cpu(&self) -> io::Result<Duration> {
        let used = clock_gettime(clock_getcpuclockid(Pid::from_raw(self.id()))?)?;
        Ok(TimeSpec::into(used))
    }

    /// Returns the CPU microseconds of one of the `count` operations of `step`.
    #[expect(clippy::cast_precision_loss, reason = "a turn is short")]
    pub(crate) fn micros(
        &self,
        count: usize,
        step: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<f64> {
        let before = self.cpu()?;
        step()?;
        Ok(self.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / count as f64)
    }

    /// Returns the resident memory of its own, without files (`proc_pid_status(5)`).
    fn resident_bytes(&self) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kibibytes = line.unwrap_or_default().trim().trim_end_matches(" kB");
        Ok(kibibytes.parse::<f64>().map_err(io::Error::other)? * 1024.0)
    }

    /// Opens connections and returns the growth of the server's memory for each of the last `count`.
    #[expect(clippy::cast_precision_loss, reason = "some thousand connections")]
    pub(crate) fn bytes_per_idle<C>(
        &self,
        count: usize,
        open: impl Fn() -> io::Result<C>,
    ) -> io::Result<f64> {
        let mut idle = Vec::new();
        let mut add = |count: usize| -> io::Result<f64> {
            for _ in 0..count {
                idle.push(open()?);
            }
            thread::sleep(Duration::from_millis(200));
            self.resident_bytes()
        };
        let before = add(500)?;
        Ok((add(count)? - before) / count as f64)
    }

    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
