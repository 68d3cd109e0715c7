//! Signals as futures and as a stream: [`shutdown`] for SIGINT and SIGTERM, [`listen`] for any others.
//!
//! # How it works
//!
//! ```text
//!  signal ──► handler: 1. sets the flag of this signal ─────────────────────► flags
//!                      2. sends a byte ──► socket pair ──► reactor ──► recv:    │
//!                                           3. empties the socket pair          │
//!                                           4. takes all flags that are set ◄───┘
//! ```
//!
//! The flags record the signals that came. The byte only wakes the receiver. If the socket pair is full, the
//! byte is lost but not its signal, because the other bytes wake the receiver. The flags, the handlers and step
//! 3 are `SignalDelivery` of signal-hook.
//!
//! [`listen`] and [`shutdown`] install the handlers when they are *called*, not when they are first polled. So
//! a program that prints "ready" after the call ends cleanly from then on.
//!
//! # Limits of signals
//!
//! - **A signal that comes twice before it is received may be received once.** The kernel merges standard
//!   signals in the same way (`signal(7)`). So after [`CHILD`](Signal::CHILD), call `waitpid` until no ended
//!   child is left, not once.
//! - **The default action does not come back.** When the last receiver of a signal drops, the handler stays
//!   but has no effect, so the process ignores that signal until it ends. A new call of [`listen`] receives
//!   it again.
//! - A signal that all threads block (`pthread_sigmask(3)`) stays in the kernel, and no receiver gets it.
//!
//! # Invariants
//!
//! - Always: a flag is set before its byte is sent. So if a receiver empties the socket pair and then finds no
//!   flag, the next signal wakes it.
//! - Always: each receiver has its own flags, so each receiver gets every signal.
//! - Never: a handler that waits, allocates or locks.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use signal_hook::consts;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use signal_hook::low_level::signal_name;

use crate::net::AsyncFd;
use crate::nodes::{self, Origin, Subject};

/// A signal of Unix, by its number (`signal(7)`).
///
/// The common signals have constants, which also work as patterns. [`from_raw`](Self::from_raw) makes any other
/// signal. `Debug` and `Display` show the name (`SIGHUP`), or the number if there is no name (`signal 34`).
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::signal::Signal;
///
/// let wish = |signal| match signal {
///     Signal::HANGUP => "read the configuration again",
///     Signal::INTERRUPT | Signal::TERMINATE => "end",
///     _ => "ignore",
/// };
/// assert_eq!(wish(Signal::from_raw(1)), "read the configuration again");
/// assert_eq!(Signal::HANGUP.to_string(), "SIGHUP");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "SignalKind")]
pub struct Signal(i32);

impl Signal {
    /// SIGHUP: the terminal is gone. For a daemon: read the configuration again.
    #[doc(alias = "SIGHUP")]
    pub const HANGUP: Self = Self(consts::SIGHUP);
    /// SIGINT: a person has pressed Ctrl-C.
    #[doc(alias = "SIGINT")]
    pub const INTERRUPT: Self = Self(consts::SIGINT);
    /// SIGQUIT: a person has pressed Ctrl-\\.
    #[doc(alias = "SIGQUIT")]
    pub const QUIT: Self = Self(consts::SIGQUIT);
    /// SIGUSR1: the program defines its meaning.
    #[doc(alias = "SIGUSR1")]
    pub const USER1: Self = Self(consts::SIGUSR1);
    /// SIGUSR2: the program defines its meaning.
    #[doc(alias = "SIGUSR2")]
    pub const USER2: Self = Self(consts::SIGUSR2);
    /// SIGPIPE: a write to a pipe or a socket that has no reader. The write fails with `EPIPE` as well.
    #[doc(alias = "SIGPIPE")]
    pub const PIPE: Self = Self(consts::SIGPIPE);
    /// SIGALRM: the time of `alarm(2)` is over.
    #[doc(alias = "SIGALRM")]
    pub const ALARM: Self = Self(consts::SIGALRM);
    /// SIGTERM: a supervisor asks the process to end.
    #[doc(alias = "SIGTERM")]
    pub const TERMINATE: Self = Self(consts::SIGTERM);
    /// SIGCHLD: at least one child has ended, stopped or continued.
    #[doc(alias = "SIGCHLD")]
    pub const CHILD: Self = Self(consts::SIGCHLD);
    /// SIGCONT: the process continues after a stop.
    #[doc(alias = "SIGCONT")]
    pub const CONTINUE: Self = Self(consts::SIGCONT);
    /// SIGTSTP: a person has pressed Ctrl-Z.
    #[doc(alias = "SIGTSTP")]
    pub const TERMINAL_STOP: Self = Self(consts::SIGTSTP);
    /// SIGURG: urgent data has come to a socket that asks for this signal (`fcntl(2)`, `F_SETOWN`).
    #[doc(alias = "SIGURG")]
    pub const URGENT: Self = Self(consts::SIGURG);
    /// SIGWINCH: the terminal has another size.
    #[doc(alias = "SIGWINCH")]
    pub const WINDOW_CHANGE: Self = Self(consts::SIGWINCH);
    /// SIGIO: a descriptor that asks for this signal is ready (`fcntl(2)`, `O_ASYNC`).
    #[doc(alias = "SIGIO")]
    #[doc(alias = "SIGPOLL")]
    pub const IO: Self = Self(consts::SIGIO);

    /// Returns the signal with this number. [`listen`] refuses a number that is not a signal.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// Returns the number of this signal on this system.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::signal::Signal;
    ///
    /// assert_eq!(Signal::TERMINATE.as_raw(), 15);
    /// assert_eq!(Signal::from_raw(15), Signal::TERMINATE);
    /// ```
    #[must_use]
    #[doc(alias = "as_raw_value")]
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// Returns the reason why no handler can be installed, if it is known without asking the kernel.
    fn refusal(self) -> Option<&'static str> {
        match self.0 {
            consts::SIGKILL | consts::SIGSTOP => Some("no process can handle it"),
            // POSIX does not define the behaviour after the return of their handler (`sigaction(3p)`).
            consts::SIGILL | consts::SIGBUS | consts::SIGFPE | consts::SIGSEGV => {
                Some("it reports a fault, and the instruction at fault would run again")
            }
            1..=NUMBER_MAX => None,
            _ => Some("there is no such signal"),
        }
    }
}

/// The highest number for which signal-hook has a flag. It is also the highest bit of [`Signals::taken`].
const NUMBER_MAX: i32 = 127;

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match signal_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Completes when SIGINT or SIGTERM asks the process to end.
///
/// After this call, these signals no longer end the process by themselves; see the
/// [limits](self#limits-of-signals). To receive a second signal, await it again with [`Shutdown::recv`].
///
/// # Errors
///
/// This call always succeeds. If the handlers could not be installed, each await returns the error. This
/// happens if the process has fewer than two descriptors left.
///
/// # Cancel safety
///
/// Safe: the next await returns a signal that no await has returned.
///
/// # Examples
///
/// ```no_run
/// use waterwheel::runtime::{block_on, signal};
///
/// block_on(async {
///     let shutdown = signal::shutdown();
///     println!("ready");
///     let signal = shutdown.await?;
///     println!("ending: {signal}");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "ctrl_c")]
#[track_caller]
pub fn shutdown() -> Shutdown {
    Shutdown {
        signals: listen(&[Signal::INTERRUPT, Signal::TERMINATE]),
    }
}

/// The future of [`shutdown`].
///
/// It is also a [`Stream`](https://docs.rs/futures-core/0.3/futures_core/stream/trait.Stream.html) of the signals, which never ends: the first asks to end, and the second to hurry.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, race, signal};
///
/// async fn finish_work() {}
///
/// block_on(async {
///     let mut shutdown = signal::shutdown();
///     # signal_hook::low_level::raise(signal::Signal::TERMINATE.as_raw())?;
///     // Elsewhere: kill -TERM
///     shutdown.recv().await?;
///     // A second signal ends the work at once.
///     race(finish_work(), async { drop(shutdown.recv().await) }).await;
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Shutdown {
    /// An error is kept here for the awaits.
    signals: io::Result<Signals>,
}

impl Shutdown {
    /// Waits for the next signal, as [`Signals::recv`] does.
    ///
    /// # Errors
    ///
    /// Fails if the handlers could not be installed. Otherwise returns the errors of [`Signals::recv`].
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside a runtime, or inside another runtime than the first one.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call returns a signal that no call has returned.
    pub async fn recv(&mut self) -> io::Result<Signal> {
        Pin::new(self).await
    }
}

impl Future for Shutdown {
    type Output = io::Result<Signal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.signals {
            Ok(signals) => signals.poll_recv(cx),
            // An `io::Error` has no clone, and the next await must return the error again.
            Err(error) => Poll::Ready(Err(io::Error::new(error.kind(), error.to_string()))),
        }
    }
}

impl Stream for Shutdown {
    type Item = io::Result<Signal>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx).map(Some)
    }
}

/// Makes a receiver. From this call on, it receives these signals, and their default actions do not happen.
///
/// The receiver costs two descriptors and 6 KiB for any number of signals. Any number of receivers can listen
/// for the same signal, and each receives it. A signal that is listed twice counts once. See the module for the
/// [limits](self#limits-of-signals) of signals.
///
/// # Errors
///
/// - Returns `InvalidInput` if no process can handle a signal (SIGKILL, SIGSTOP), if its handler must not
///   return
///   (SIGILL, SIGBUS, SIGFPE, SIGSEGV), if there is no such signal, or if `signals` is empty.
/// - Returns the error of `socketpair(2)` if the process has fewer than two descriptors left.
///
/// The text names the signal. If only the kernel knows that a number is not a signal, the handlers for the
/// signals before it in the list stay, and the process ignores these signals from then on.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::signal::{self, Signal};
///
/// block_on(async {
///     let mut signals = signal::listen(&[Signal::HANGUP, Signal::USER1, Signal::TERMINATE])?;
///     # for signal in [Signal::TERMINATE, Signal::HANGUP] {
///     #     signal_hook::low_level::raise(signal.as_raw())?;
///     # }
///     // Elsewhere: kill -TERM, kill -HUP
///     loop {
///         match signals.recv().await? {
///             Signal::HANGUP => println!("reading the configuration again"),
///             Signal::TERMINATE => break,
///             signal => println!("{signal}"),
///         }
///     }
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "signal")]
#[doc(alias = "sigaction")]
#[track_caller]
pub fn listen(signals: &[Signal]) -> io::Result<Signals> {
    let invalid = |text| io::Error::new(ErrorKind::InvalidInput, text);
    if signals.is_empty() {
        return Err(invalid("there is no signal to listen for".to_owned()));
    }
    // All signals are checked before the first handler is installed, because a handler stays for ever.
    for signal in signals {
        if let Some(why) = signal.refusal() {
            return Err(invalid(format!("cannot listen for {signal}: {why}")));
        }
    }
    let origin = Origin::here("signal");
    let mut receiver = Signals::new(origin).map_err(|error| failed("signals", &error))?;
    let handle = receiver.delivery.handle();
    for signal in signals {
        let added = handle.add_signal(signal.as_raw());
        added.map_err(|error| failed(signal, &error))?;
        receiver.numbers |= 1 << signal.0;
        if ENDING.contains(signal) {
            HANDLED.fetch_or(1 << signal.0, Ordering::Relaxed);
        }
    }
    Ok(receiver)
}

/// The signals that ask a process to end. They end a pause of `inspect`, because a paused program receives none.
pub(crate) const ENDING: [Signal; 3] = [Signal::INTERRUPT, Signal::QUIT, Signal::TERMINATE];

/// Bit *n* is set if signal *n* is one of [`ENDING`], and its default action does not happen any more.
static HANDLED: AtomicU32 = AtomicU32::new(0);

/// Returns true if the program has listened for a signal of [`ENDING`], so its default action does not end the process.
#[cfg(feature = "inspect")]
pub(crate) fn is_handled(signal: Signal) -> bool {
    HANDLED.load(Ordering::Relaxed) & 1 << signal.0 != 0
}

/// Returns the signals that are set in a mask, the lowest first.
pub(crate) fn signals_of(mut mask: u128) -> impl Iterator<Item = Signal> {
    std::iter::from_fn(move || take_lowest(&mut mask))
}

/// Returns the same error with a text that names the signal.
fn failed(what: impl fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen for {what}: {error}"))
}

/// A receiver of signals, made by [`listen`].
///
/// It is also a [`Stream`](https://docs.rs/futures-core/0.3/futures_core/stream/trait.Stream.html) that never ends. A
/// program can make it outside a runtime and send it to another thread. It belongs to the runtime in which it first
/// waits.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::signal::{self, Signal, Signals};
///
/// /// Counts the requests to write a report, for as long as the program runs.
/// async fn count(mut signals: Signals) -> std::io::Result<()> {
///     for count in 1.. {
///         let signal = poll_fn(|cx| signals.poll_recv(cx)).await?; // the same as `signals.recv().await`
///         println!("{signal}, {count} so far");
///         # break;
///     }
///     Ok(())
/// }
///
/// block_on(async {
///     let signals = signal::listen(&[Signal::USER2])?;
///     # signal_hook::low_level::raise(Signal::USER2.as_raw())?;
///     count(signals).await
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "SignalStream")]
#[must_use = "signals that are not received are ignored"]
pub struct Signals {
    // The order of the fields matters: the handlers drop before the socket to which they write. In the other
    // order, a signal in between would raise SIGPIPE.
    delivery: SignalDelivery<Arc<UnixStream>, SignalOnly>,
    /// The end of the socket pair for which the receiver waits.
    reader: AsyncFd<Arc<UnixStream>>,
    /// Bit *n* is set if the flag of signal *n* was taken, and no call has returned the signal.
    taken: u128,
    /// Bit *n* is set if this receives signal *n*.
    numbers: u128,
    origin: Origin,
}

impl Signals {
    /// Opens the socket pair. No handler is installed yet.
    fn new(origin: Origin) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        // Two owners: signal-hook empties the socket, and the reactor waits for it.
        let reader = Arc::new(reader);
        let none: [i32; 0] = [];
        Ok(Self {
            delivery: SignalDelivery::with_pipe(reader.clone(), writer, SignalOnly, none)?,
            reader: AsyncFd::new(reader),
            taken: 0,
            numbers: 0,
            origin,
        })
    }

    /// Waits for the next signal.
    ///
    /// If several signals are pending, the one with the lowest number is returned first. All of them are
    /// returned before signals that come later. So a signal that comes again and again does not hide another
    /// one.
    ///
    /// # Errors
    ///
    /// Fails if the reactor cannot register the socket pair (`epoll_ctl(2)`).
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside a runtime, or inside another runtime than the first one.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call returns a signal that no call has returned.
    pub async fn recv(&mut self) -> io::Result<Signal> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The poll behind [`recv`](Self::recv). It costs one unit of the task's [budget](crate::budget).
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Signal>> {
        let Self {
            delivery,
            reader,
            taken,
            numbers,
            origin,
        } = self;
        nodes::enter(
            cx,
            *origin,
            || Subject::Signals(*numbers),
            |cx| {
                reader.poll_read_with(cx, |_| {
                    // Flags are taken only after all signals of the last time were returned; see `recv`.
                    if *taken == 0 {
                        *taken = take_flags(delivery);
                    }
                    take_lowest(taken).ok_or_else(|| ErrorKind::WouldBlock.into())
                })
            },
        )
    }
}

/// Empties the socket pair and takes all flags that are set, as bits.
fn take_flags(delivery: &mut SignalDelivery<Arc<UnixStream>, SignalOnly>) -> u128 {
    // signal-hook checks a flag again after it has taken it, so new signals could keep this loop running. The
    // bound ends the loop, and the next call takes the flags that are left.
    let numbers = delivery.pending().take(u128::BITS as usize);
    numbers.fold(0, |taken, number| taken | 1 << number)
}

/// Clears the lowest bit, and returns its signal.
fn take_lowest(taken: &mut u128) -> Option<Signal> {
    if *taken == 0 {
        return None;
    }
    let lowest = taken.trailing_zeros();
    *taken &= *taken - 1;
    Some(Signal(lowest.cast_signed()))
}

impl Stream for Signals {
    type Item = io::Result<Signal>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Some)
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals: Vec<_> = signals_of(self.numbers).collect();
        f.debug_tuple("Signals").field(&signals).finish()
    }
}

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<Signals>();
    assert!(NUMBER_MAX < u128::BITS.cast_signed());
};
