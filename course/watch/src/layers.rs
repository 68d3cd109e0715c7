//! The layers around futures, wakers and jobs.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use crate::record::{self, Cause, Kind, Outcome};

thread_local! {
    /// The task that this thread polls.
    static POLLED: Cell<Option<u32>> = const { Cell::new(None) };
    /// The task that has ended in the last poll of this thread. A wake right after it is the work of its join handle.
    static ENDED: Cell<Option<u32>> = const { Cell::new(None) };
    /// The last job of this thread. The wake of the task that awaits it comes after its end.
    static JOB: Cell<Option<u32>> = const { Cell::new(None) };
    /// The event that a waker of [`by_timer`] or [`by_socket`] has seen.
    static EVENT: Cell<Option<Cause>> = const { Cell::new(None) };
}

/// Watches the future of `block_on`.
#[track_caller]
pub fn root<F: Future>(future: F) -> Watched<F> {
    Watched::new(None, future)
}

/// Watches a task. The record has its spawn at the time of this call, so call it in the argument of `spawn`.
#[track_caller]
pub fn task<F: Future>(name: &str, future: F) -> Watched<F> {
    Watched::new(Some(name), future)
}

/// A future whose polls and wakes are recorded.
pub struct Watched<F> {
    // The box fixes the place of the future. So no `unsafe` and no crate is needed to poll it.
    future: Pin<Box<F>>,
    task: u32,
    is_ready: bool,
}

impl<F: Future> Watched<F> {
    #[track_caller]
    fn new(name: Option<&str>, future: F) -> Self {
        let parent = POLLED.get();
        let task = record::add_task(name, Location::caller(), parent, size_of::<F>());
        if name.is_some() {
            record::add(Kind::Spawn { task, parent });
        }
        Self {
            future: Box::pin(future),
            task,
            is_ready: false,
        }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let task = self.task;
        let waker = Waker::from(Arc::new(TaskWaker {
            task,
            inner: cx.waker().clone(),
        }));
        ENDED.set(None);
        record::add(Kind::PollStart { task });
        let outer = POLLED.replace(Some(task));
        let poll = self.future.as_mut().poll(&mut Context::from_waker(&waker));
        POLLED.set(outer);
        self.is_ready = poll.is_ready();
        let ready = self.is_ready;
        record::add(Kind::PollEnd { task, ready });
        if ready {
            record::add(Kind::End(task, Outcome::Value));
            ENDED.set(Some(task));
        }
        poll
    }
}

impl<F> Drop for Watched<F> {
    fn drop(&mut self) {
        if self.is_ready {
            return;
        }
        // A panic unwinds through the poll, so the poll has not noted its end.
        if POLLED.get() == Some(self.task) {
            POLLED.set(None);
        }
        let outcome = if thread::panicking() {
            Outcome::Panic
        } else {
            Outcome::Cancelled
        };
        record::add(Kind::End(self.task, outcome));
        ENDED.set(Some(self.task));
    }
}

/// The waker of a task: notes the wake, and passes it on.
struct TaskWaker {
    task: u32,
    inner: Waker,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = self.task;
        record::add(Kind::Wake(task, cause_of_wake(task)));
        self.inner.wake_by_ref();
    }
}

/// Returns the cause of a wake that happens now on this thread.
fn cause_of_wake(task: u32) -> Cause {
    if !record::is_executor() {
        return JOB.get().map_or(Cause::Thread, Cause::Job);
    }
    match (POLLED.get(), EVENT.get(), ENDED.get()) {
        (Some(by), ..) if by == task => Cause::Myself,
        (Some(by), ..) => Cause::Task(by),
        (None, Some(event), _) => event,
        (None, None, Some(by)) => Cause::Join(by),
        (None, None, None) => Cause::Other,
    }
}

/// Says that the executor wakes this future when a timer is due.
pub fn by_timer<F: Future>(future: F) -> impl Future<Output = F::Output> {
    leaf(Cause::Timer, future)
}

/// Says that the executor wakes this future when a socket is ready.
pub fn by_socket<F: Future>(future: F) -> impl Future<Output = F::Output> {
    leaf(Cause::Socket, future)
}

async fn leaf<F: Future>(event: Cause, future: F) -> F::Output {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |cx| {
        let inner = cx.waker().clone();
        let waker = Waker::from(Arc::new(LeafWaker { event, inner }));
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

/// The waker of a leaf: it names the event.
struct LeafWaker {
    event: Cause,
    inner: Waker,
}

impl Wake for LeafWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A leaf within this one knows better.
        let inner = EVENT.get();
        EVENT.set(inner.or(Some(self.event)));
        self.inner.wake_by_ref();
        EVENT.set(inner);
    }
}

/// Watches a blocking job.
pub fn job<T>(job: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let number = record::next_job();
    move || {
        JOB.set(Some(number));
        record::add(Kind::JobStart { job: number });
        let value = job();
        record::add(Kind::JobEnd { job: number });
        value
    }
}
