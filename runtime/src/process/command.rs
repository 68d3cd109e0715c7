//! The builder of child processes.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command as StdCommand, ExitStatus, Output, Stdio};

use super::child::Child;
use super::exit::reap_orphans;

/// Starts a child process. It is [`std::process::Command`] with methods that wait without blocking.
///
/// All options that are not here are set through [`as_std_mut`](Self::as_std_mut).
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use std::process::Stdio;
/// use waterwheel::runtime::{block_on, process::Command};
///
/// block_on(async {
///     let output = Command::new("echo").arg("water").output().await?;
///     assert_eq!(output.stdout, b"water\n");
///
///     let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
///     child.stdin.take().expect("it is piped").write_all(b"wheel").await?;
///     let mut text = String::new();
///     child.stdout.take().expect("it is piped").read_to_string(&mut text).await?;
///     assert_eq!(text, "wheel");
///     assert!(child.wait().await?.success());
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
///
/// Options:
///
/// ```
/// use std::os::unix::process::CommandExt;
/// use std::process::Stdio;
/// use waterwheel::runtime::{block_on, process::Command};
///
/// block_on(async {
///     let mut command = Command::new("sh");
///     command.args(["-c", "echo $FLOUR; pwd"]).current_dir("/");
///     command.env_clear().env("FLOUR", "rye").env("GONE", "x").env_remove("GONE");
///     command.stderr(Stdio::null()).kill_on_drop(true);
///     command.as_std_mut().process_group(0); // Ctrl-C does not reach it
///     assert_eq!(command.output().await?.stdout, b"rye\n/\n");
///     assert!(Command::new("true").status().await?.success());
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Command {
    inner: StdCommand,
    kills_on_drop: bool,
    /// True for each standard stream that was set. The others are those of this process.
    has_stream: [bool; 3],
}

impl Command {
    /// Makes a command for a program, which is searched in `PATH` if it is a plain name. It inherits the
    /// environment, the folder and the standard streams.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        StdCommand::new(program).into()
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> &mut Self {
        self.inner.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env(name, value);
        self
    }

    /// Removes a variable of the environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env_remove(name);
        self
    }

    /// Removes all variables of the environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// Sets the folder in which the child starts.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.inner.current_dir(folder);
        self
    }

    /// Sets the standard input. With [`Stdio::piped`], [`Child::stdin`] has its other end.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.inner.stdin(stdin);
        self.has_stream[0] = true;
        self
    }

    /// Sets the standard output. With [`Stdio::piped`], [`Child::stdout`] has its other end.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.inner.stdout(stdout);
        self.has_stream[1] = true;
        self
    }

    /// Sets the standard error. With [`Stdio::piped`], [`Child::stderr`] has its other end.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.inner.stderr(stderr);
        self.has_stream[2] = true;
        self
    }

    /// Makes the drop of a [`Child`] that has not ended kill the process (SIGKILL). Off by default: the process
    /// runs on.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kills_on_drop = kill;
        self
    }

    /// Returns the command of the standard library, for all other options. Set the input with
    /// [`stdin`](Self::stdin) and not here, because [`output`](Self::output) would not see it.
    pub fn as_std_mut(&mut self) -> &mut StdCommand {
        &mut self.inner
    }

    /// Starts the process. This blocks the thread until the program is loaded, usually for a millisecond.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`std::process::Command::spawn`]: there is no such program, or no descriptor is
    /// left.
    pub fn spawn(&mut self) -> io::Result<Child> {
        // Starts are rare, so this is a good moment for the children of runtimes that have ended.
        reap_orphans();
        Child::of(self.inner.spawn()?, self.kills_on_drop)
    }

    /// Starts the process and waits for its end. A stream that is a pipe is closed at once, because no task would
    /// read it: use [`output`](Self::output), or [`Stdio::null`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the process runs on, or is killed; see [`kill_on_drop`](Self::kill_on_drop).
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        let mut child = self.spawn()?;
        // A process that writes into a full pipe would wait for ever.
        (child.stdout, child.stderr) = (None, None);
        child.wait().await
    }

    /// Starts the process, and returns its status and all that it has written. The standard output and the
    /// standard error are pipes for this start, and the input is empty. A stream that was set stays as it was set.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// The same as that of [`status`](Self::status).
    pub async fn output(&mut self) -> io::Result<Output> {
        let [has_stdin, has_stdout, has_stderr] = self.has_stream;
        let set = |command: &mut StdCommand, input: fn() -> Stdio, output: fn() -> Stdio| {
            // Otherwise a program that reads its input would take that of this process.
            if !has_stdin {
                command.stdin(input());
            }
            if !has_stdout {
                command.stdout(output());
            }
            if !has_stderr {
                command.stderr(output());
            }
        };
        set(&mut self.inner, Stdio::null, Stdio::piped);
        let child = self.spawn();
        // A later start must not write into a pipe without a reader.
        set(&mut self.inner, Stdio::inherit, Stdio::inherit);
        child?.wait_with_output().await
    }
}

/// Takes a command over. Set the standard streams afterwards: the standard library does not report if they were
/// set, so [`Command::output`] would replace them.
impl From<StdCommand> for Command {
    fn from(command: StdCommand) -> Self {
        Self {
            inner: command,
            kills_on_drop: false,
            has_stream: [false; 3],
        }
    }
}
