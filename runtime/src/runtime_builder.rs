//! Makes a runtime with other settings than the usual ones.
//!
//! # How it works
//!
//! The settings go to the executor in one piece, when it is made. So no setting changes while a runtime runs.
//!
//! # Invariants
//!
//! - Always: a builder without a call has the settings of [`Runtime::new`].

use std::fmt;
use std::time::Duration;

use crate::executor::Settings;
use crate::runtime::Runtime;
use crate::task_names::Info;

/// Makes a [`Runtime`] with settings of its own.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// use waterwheel::runtime::Runtime;
///
/// let polls = Rc::new(Cell::new(0));
/// let runtime = Runtime::builder()
///     .blocking_threads_max(2)
///     .blocking_idle_max(Duration::from_secs(60))
///     .before_poll({
///         let polls = polls.clone();
///         move |_task| polls.set(polls.get() + 1)
///     })
///     .build()?;
/// runtime.spawn(async {}).detach();
/// runtime.run_until_idle();
/// assert_eq!(polls.get(), 1);
/// # std::io::Result::Ok(())
/// ```
#[must_use = "call build"]
#[derive(Default)]
pub struct RuntimeBuilder {
    pub(crate) settings: Settings,
}

impl Runtime {
    /// Returns a builder for a runtime with settings of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::Runtime;
    ///
    /// let runtime = Runtime::builder()
    ///     .blocking_thread_name("disk")
    ///     .blocking_stack_bytes(256 * 1024)
    ///     .build()?;
    /// # drop(runtime);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }
}

/// The pool for blocking jobs.
///
/// # When all threads are busy
///
/// A job that finds all threads busy waits in a queue, first come, first served. The queue has no limit, so a program
/// that must bound its jobs acquires a permit of a [`Semaphore`](crate::sync::Semaphore) first. A job must not wait
/// for another job: if as many jobs as there are threads wait for jobs in the queue, none of them ends. If jobs do
/// depend on each other, set the maximum above the number of jobs that can wait at once, or use a
/// [`ThreadPool`](crate::ThreadPool) for each kind.
impl RuntimeBuilder {
    /// Sets the most threads that run blocking jobs. The default is [`THREADS_MAX`](crate::THREADS_MAX).
    ///
    /// # Panics
    ///
    /// Panics if `threads` is zero, because then no job would run.
    pub fn blocking_threads_max(mut self, threads: usize) -> Self {
        assert!(threads > 0, "a pool without threads never runs a job");
        self.settings.pool.threads_max = threads;
        self
    }

    /// Sets the time after which a thread without a job ends. The default is 10 seconds.
    pub fn blocking_idle_max(mut self, duration: Duration) -> Self {
        self.settings.pool.idle_max = duration;
        self
    }

    /// Sets the size of the stack of each thread for blocking jobs, in bytes. The default is that of
    /// [`std::thread`]: 2 MiB, or `RUST_MIN_STACK`.
    pub fn blocking_stack_bytes(mut self, bytes: usize) -> Self {
        self.settings.pool.stack_bytes = Some(bytes);
        self
    }

    /// Sets the name of the threads for blocking jobs. A hyphen and a number follow it. The default is `waterwheel`.
    /// Linux keeps 15 bytes of the whole.
    ///
    /// # Panics
    ///
    /// Panics if the name has a zero byte.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, spawn_blocking};
    ///
    /// let runtime = Runtime::builder()
    ///     .blocking_thread_name("disk")
    ///     .blocking_stack_bytes(256 * 1024)
    ///     .build()?;
    /// let name = runtime.block_on(async {
    ///     spawn_blocking(|| std::thread::current().name().map(str::to_owned)).await
    /// });
    /// assert!(name?.is_some_and(|name| name.starts_with("disk-")));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn blocking_thread_name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        // Otherwise the first job would panic.
        assert!(
            !name.contains('\0'),
            "the name of a thread has no zero byte"
        );
        self.settings.pool.name = name;
        self
    }
}

/// Hooks.
///
/// A hook runs on the runtime's thread, inside the runtime. If it panics, the panic is contained. A runtime without
/// hooks spends one branch for each poll on them. The future of [`block_on`](Runtime::block_on) is not a task, so
/// the hooks of tasks are not called for it.
impl RuntimeBuilder {
    /// Calls `hook` before each poll of a task.
    pub fn before_poll(mut self, hook: impl Fn(&Info) + 'static) -> Self {
        self.settings.hooks().before_poll = Some(Box::new(hook));
        self
    }

    /// Calls `hook` after each poll of a task, also if it was the last one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use waterwheel::runtime::{Runtime, yield_now};
    ///
    /// let polls = Rc::new(Cell::new(0));
    /// let counted = polls.clone();
    /// let runtime = Runtime::builder().after_poll(move |_| counted.set(counted.get() + 1)).build()?;
    /// runtime.spawn(yield_now()).detach();
    /// runtime.run_until_idle();
    /// assert_eq!(polls.get(), 2);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn after_poll(mut self, hook: impl Fn(&Info) + 'static) -> Self {
        self.settings.hooks().after_poll = Some(Box::new(hook));
        self
    }

    /// Calls `hook` after a poll in which the task has panicked, before the hook of `after_poll`. The panic hook of
    /// the standard library has printed the text before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use waterwheel::runtime::{Runtime, task};
    ///
    /// let failed = Rc::new(RefCell::new(Vec::new()));
    /// let names = failed.clone();
    /// let runtime = Runtime::builder()
    ///     .on_panic(move |task| names.borrow_mut().extend(task.name().map(str::to_owned)))
    ///     .build()?;
    /// runtime.block_on(async {
    ///     let clumsy = task::Builder::new().name("clumsy").spawn(async { panic!("dropped the cup") });
    ///     assert!(clumsy.await.map(|()| ()).is_err());
    /// });
    /// assert_eq!(*failed.borrow(), ["clumsy"]);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn on_panic(mut self, hook: impl Fn(&Info) + 'static) -> Self {
        self.settings.hooks().on_panic = Some(Box::new(hook));
        self
    }

    /// Calls `hook` when no task is ready, before the thread waits for an event. If the hook makes a task ready, the
    /// thread does not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc, time::Duration};
    /// use waterwheel::runtime::{Runtime, time::sleep};
    ///
    /// let waits = Rc::new(Cell::new(0));
    /// let (began, ended) = (waits.clone(), waits.clone());
    /// let runtime = Runtime::builder()
    ///     .on_park(move || began.set(began.get() + 1))
    ///     .on_unpark(move || ended.set(ended.get() + 1))
    ///     .build()?;
    /// runtime.block_on(sleep(Duration::from_millis(1)));
    /// assert!(waits.get() >= 2);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn on_park(mut self, hook: impl Fn() + 'static) -> Self {
        self.settings.hooks().on_park = Some(Box::new(hook));
        self
    }

    /// Calls `hook` after each wait, before the next poll.
    pub fn on_unpark(mut self, hook: impl Fn() + 'static) -> Self {
        self.settings.hooks().on_unpark = Some(Box::new(hook));
        self
    }
}

impl RuntimeBuilder {
    /// Lets the ready tasks of each list run in an order that the seed determines. This is for tests: a task must not
    /// rely on the order, and [`seeded::check`](crate::seeded::check) tries many.
    ///
    /// The order of events, timers and messages of other threads stays as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use waterwheel::runtime::Runtime;
    ///
    /// /// Returns the order in which ten tasks run.
    /// fn order(seed: u64) -> std::io::Result<Vec<u8>> {
    ///     let runtime = Runtime::builder().seed(seed).build()?;
    ///     let order = Rc::new(RefCell::new(Vec::new()));
    ///     for number in 0..10 {
    ///         let order = order.clone();
    ///         runtime.spawn(async move { order.borrow_mut().push(number) }).detach();
    ///     }
    ///     runtime.run_until_idle();
    ///     Ok(order.take())
    /// }
    ///
    /// assert_eq!(order(7)?, order(7)?);
    /// assert_ne!(order(7)?, order(8)?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder")
            .field("pool", &self.settings.pool)
            .field("seed", &self.settings.seed)
            .finish_non_exhaustive()
    }
}
