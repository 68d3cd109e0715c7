//! The points of a build with the feature `inspect`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem::{self, ManuallyDrop};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use rustix::net::{SocketAddrAny, getpeername, getsockname};

use super::subject::{Site, SocketEnd, Subject, address};
pub(crate) use crate::board::{Board, WakeState};
use crate::board::{HolderMark, Tracked, TrackedJob};
use crate::instant::{Clock, Instant};
use crate::local_queue::{self, RuntimeId, TaskId};
use crate::reasons::WaitNode;

thread_local! {
    /// True during a poll of a task whose runtime is inspected.
    static ON: Cell<bool> = const { Cell::new(false) };
    // Without a destructor, because a destructor of the thread may use a runtime. It is `None` between two polls.
    static ACTIVE: ManuallyDrop<RefCell<Option<Active>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
    /// The addresses of sockets, between two polls.
    static ENDS: RefCell<HashMap<i32, SocketEnd>> = RefCell::new(HashMap::new());
}

/// The poll that runs on this thread.
struct Active {
    board: Arc<Board>,
    task: TaskId,
    /// The address of the task's own waker.
    own_waker: usize,
    /// The time at which the poll began. All reasons of the poll have it, so that the clock is read once.
    now: u64,
    /// The number of reasons around the present code.
    depth: u32,
    /// The number of tasks that this one has spawned.
    spawns: u32,
    /// The addresses of the sockets that have waited, so that each is asked once.
    ends: HashMap<i32, SocketEnd>,
    /// The descriptor of the socket that was last tried in this poll without success.
    tried: Option<i32>,
}

/// Returns true during a poll of a task whose runtime is inspected, and so has a watchdog.
#[inline]
pub(crate) fn are_recorded() -> bool {
    ON.get()
}

/// Calls `f` with the poll that runs. `f` calls no code of the user.
fn with_active<T>(f: impl FnOnce(&mut Active) -> T) -> Option<T> {
    // `try_`, because the drop of an `Active` may be under way on this thread.
    ACTIVE.with(|active| active.try_borrow_mut().ok()?.as_mut().map(f))
}

/// The name of a future's kind, and the place in the program that has made the future.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    label: &'static str,
    site: Site,
}

impl Origin {
    #[track_caller]
    pub(crate) fn here(label: &'static str) -> Self {
        Self {
            label,
            site: Some(Location::caller()),
        }
    }

    /// The origin of a future whose place in the program is not known.
    pub(crate) fn unknown(label: &'static str) -> Self {
        Self { label, site: None }
    }

    /// Returns the place.
    pub(crate) fn site(self) -> Site {
        self.site
    }
}

impl Active {
    /// Swaps the addresses of sockets with those that the thread keeps between two polls.
    fn swap_ends(&mut self) {
        // An error means that the thread ends, and the poll is within a destructor. Then no address is kept.
        _ = ENDS.try_with(|ends| mem::swap(&mut *ends.borrow_mut(), &mut self.ends));
    }

    /// Adds a reason.
    fn push(
        &mut self,
        cx: &Context<'_>,
        label: &'static str,
        site: Site,
        detail: Subject,
        kind: NodeKind,
    ) {
        let waker = cx.waker().data() as usize;
        let node = WaitNode {
            depth: self.depth,
            label,
            site,
            detail,
            since: self.now,
            foreign_waker: if waker == self.own_waker { 0 } else { waker },
            is_new: kind == NodeKind::NextLeaf,
            ends_by_itself: kind == NodeKind::Part,
        };
        let mut running = self.board.running();
        let index = running.push(node);
        // The last one entered is the innermost, which a report of a long poll names.
        if matches!(kind, NodeKind::Around | NodeKind::Part) {
            running.enter(index);
            self.depth += 1;
        }
    }
}

/// The kind of a reason.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NodeKind {
    /// It has no others inside.
    Leaf,
    /// The same, and one like it has completed in this poll.
    NextLeaf,
    /// It has others inside, until it is left.
    Around,
    /// The same, and it is over unless it is left.
    Part,
}

/// Polls a future that has futures inside, and records it for as long as it waits.
#[inline]
pub(crate) fn enter<'a, T>(
    cx: &mut Context<'a>,
    origin: Origin,
    detail: impl FnOnce() -> Subject,
    poll: impl FnOnce(&mut Context<'a>) -> Poll<T>,
) -> Poll<T> {
    let entered = EnteredReason::begin(cx, origin, detail);
    // One call of `poll` and not two, so that the compiler can inline it.
    let result = poll(cx);
    entered.leave(result.is_pending());
    result
}

/// The reason that was entered last. It is left when this drops, also if the future panics.
// Without a field: the flag is read again, because a value that is kept over the poll makes the compiler double
// the poll and inline neither. // LOG S6
#[derive(Debug)]
pub(crate) struct EnteredReason;

impl EnteredReason {
    /// Enters a reason. `detail` is called only in an inspected runtime.
    #[inline]
    pub(crate) fn begin(
        cx: &Context<'_>,
        origin: Origin,
        detail: impl FnOnce() -> Subject,
    ) -> Self {
        if ON.get() {
            begin(cx, origin.label, origin.site, detail);
        }
        Self
    }

    #[inline]
    pub(crate) fn leave(self, is_pending: bool) {
        mem::forget(self);
        if ON.get() {
            end(is_pending);
        }
    }

    /// Leaves the reason of a future that has to wait. Its subject is known after the poll.
    #[inline]
    pub(crate) fn leave_described(self, detail: impl FnOnce() -> Subject) {
        mem::forget(self);
        if ON.get() {
            end_described(detail);
        }
    }
}

impl Drop for EnteredReason {
    fn drop(&mut self) {
        if ON.get() {
            end(false);
        }
    }
}

#[cold]
#[inline(never)]
fn begin(cx: &Context<'_>, label: &'static str, site: Site, detail: impl FnOnce() -> Subject) {
    // Before the borrow, because the closure is the caller's.
    let detail = detail();
    with_active(|active| active.push(cx, label, site, detail, NodeKind::Around));
}

/// Enters a part of a task, which is over unless [`part_waits`] leaves it.
#[inline]
pub(crate) fn enter_part(cx: &Context<'_>, label: &'static str, detail: impl FnOnce() -> Subject) {
    if ON.get() {
        begin_part(cx, label, detail);
    }
}

/// Leaves the part of this label, because it has to wait.
#[inline]
pub(crate) fn part_waits(label: &'static str) {
    if ON.get() {
        leave_part(label);
    }
}

/// Removes the last reason of this label at the present depth, and all inside.
#[inline]
pub(crate) fn take_back(label: &'static str) {
    if ON.get() {
        remove_last(label);
    }
}

#[cold]
#[inline(never)]
fn begin_part(cx: &Context<'_>, label: &'static str, detail: impl FnOnce() -> Subject) {
    // Before the borrow, because the closure is the caller's.
    let detail = detail();
    with_active(|active| {
        let replaced = active.board.running().replace_part(label);
        active.depth = replaced.unwrap_or(active.depth);
        active.push(cx, label, None, detail, NodeKind::Part);
    });
}

#[cold]
#[inline(never)]
fn leave_part(label: &'static str) {
    with_active(|active| {
        let left = active.board.running().leave(Some(label), true);
        active.depth = left.unwrap_or(active.depth);
    });
}

#[cold]
#[inline(never)]
fn remove_last(label: &'static str) {
    with_active(|active| active.board.running().remove_last(label, active.depth));
}

#[cold]
#[inline(never)]
fn end_described(detail: impl FnOnce() -> Subject) {
    let detail = detail();
    with_active(|active| active.board.running().describe(detail));
    end(true);
}

#[cold]
#[inline(never)]
fn end(is_pending: bool) {
    with_active(|active| {
        if let Some(depth) = active.board.running().leave(None, is_pending) {
            active.depth = depth;
        }
    });
}

/// Records a leaf that must wait. Returns `Pending`.
#[inline]
pub(crate) fn waits<T>(
    cx: &Context<'_>,
    origin: Origin,
    detail: impl FnOnce() -> Subject,
) -> Poll<T> {
    if ON.get() {
        record_leaf(cx, origin, detail());
    }
    Poll::Pending
}

#[cold]
fn record_leaf(cx: &Context<'_>, origin: Origin, detail: Subject) {
    with_active(|active| active.push(cx, origin.label, origin.site(), detail, NodeKind::Leaf));
}

/// Notes that a leaf has completed. A later one of the same place is another one.
#[inline]
pub(crate) fn completed(origin: Origin) {
    if ON.get() {
        note_completed(origin);
    }
}

#[cold]
fn note_completed(origin: Origin) {
    with_active(|active| {
        let mut running = active.board.running();
        running.complete(origin.label, origin.site());
    });
}

/// Notes that an operation of a socket was tried in this poll, and that the socket is not ready any more. So its next
/// wait begins now.
#[cold]
#[inline(never)]
pub(crate) fn tried<S: AsFd>(io: &S) {
    if ON.get() {
        let fd = io.as_fd().as_raw_fd();
        with_active(|active| active.tried = Some(fd));
    }
}

/// Records a wait for a socket. Returns `Pending`.
#[inline]
pub(crate) fn waits_for_socket<T, S: AsFd>(
    cx: &Context<'_>,
    label: impl FnOnce() -> &'static str,
    io: &S,
) -> Poll<T> {
    if ON.get() {
        record_socket(cx, label(), io);
    }
    Poll::Pending
}

#[cold]
fn record_socket<S: AsFd>(cx: &Context<'_>, label: &'static str, io: &S) {
    with_active(|active| {
        let fd = io.as_fd().as_raw_fd();
        // The kernel is asked once for each socket, because a busy one waits many thousand times.
        let end = *active.ends.entry(fd).or_insert_with(|| {
            let plain = |address: SocketAddrAny| SocketAddr::try_from(address).ok();
            let peer = getpeername(io).ok().flatten().and_then(plain);
            let local = || getsockname(io).ok().and_then(plain);
            peer.map(SocketEnd::Peer)
                .or_else(|| local().map(SocketEnd::Local))
                .unwrap_or(SocketEnd::Unknown)
        });
        // A stream that is still connecting waits to write, and will have a peer.
        if label == "write" && matches!(end, SocketEnd::Local(_)) {
            active.ends.remove(&fd);
        }
        let subject = Subject::Socket { fd, end };
        let was_tried = active.tried == Some(fd);
        let kind = if was_tried {
            NodeKind::NextLeaf
        } else {
            NodeKind::Leaf
        };
        active.push(cx, label, None, subject, kind);
    });
}

/// Forgets the address of a descriptor, because it is now that of another socket.
#[inline]
pub(crate) fn registered<S: AsFd>(io: &S) {
    if ON.get() {
        // The number of a closed socket comes back for a new one, which has another peer.
        let fd = io.as_fd().as_raw_fd();
        with_active(|active| active.ends.remove(&fd));
    }
}

/// Begins one poll of a task, which ends when the guard drops.
#[inline]
pub(crate) fn begin_poll(tracker: &Tracker, task: TaskId, clock: &Clock) -> Option<PollGuard> {
    let board = tracker.board.as_ref()?;
    Some(start_poll(board, task, clock))
}

/// Ends the poll when it drops, also if the future of `block_on` panics.
pub(crate) struct PollGuard {
    outer: Option<Active>,
    was_on: bool,
}

#[cold]
fn start_poll(board: &Arc<Board>, task: TaskId, clock: &Clock) -> PollGuard {
    // Before each poll, because another thread reads the time from the board and cannot read the clock.
    board.set_clock(clock.relation());
    let (own_waker, spawns, now) = board.begin_poll(task);
    let mut active = Active {
        board: board.clone(),
        task,
        own_waker,
        now,
        depth: 0,
        spawns,
        ends: HashMap::new(),
        tried: None,
    };
    active.swap_ends();
    PollGuard {
        outer: ACTIVE.with(|place| place.replace(Some(active))),
        was_on: ON.replace(true),
    }
}

impl Drop for PollGuard {
    fn drop(&mut self) {
        ON.set(self.was_on);
        let active = ACTIVE.with(|place| place.replace(self.outer.take()));
        let Some(mut active) = active else { return };
        active.swap_ends();
        // A task that yields, or has spent its budget, is not one that spins.
        let has_yielded = local_queue::has_just_yielded(active.task);
        active.board.publish(active.task, has_yielded);
    }
}

/// The board of a runtime, if the runtime is inspected.
#[derive(Clone, Default)]
pub(crate) struct Tracker {
    board: Option<Arc<Board>>,
}

impl Tracker {
    /// Returns true if the runtime is inspected. Then it is watched, and calls [`begin_poll`].
    pub(crate) fn is_on(&self) -> bool {
        self.board.is_some()
    }

    pub(crate) fn new(board: Arc<Board>) -> Self {
        Self { board: Some(board) }
    }

    pub(crate) fn board(&self) -> Option<&Arc<Board>> {
        self.board.as_ref()
    }

    pub(crate) fn opened(&self, runtime: RuntimeId) {
        if let Some(board) = &self.board {
            board.open(runtime);
        }
    }

    /// Notes a new task.
    #[inline]
    pub(crate) fn spawned<W: WakeState + 'static>(
        &self,
        task: TaskId,
        site: Site,
        future_bytes: usize,
        waker: &Arc<W>,
    ) {
        if let Some(board) = &self.board {
            let waker: Weak<dyn WakeState> = Arc::<W>::downgrade(waker);
            note_spawned(board, task, site, future_bytes, waker);
        }
    }

    #[inline]
    pub(crate) fn ended(&self, task: TaskId) {
        if let Some(board) = &self.board {
            board.ended(task);
        }
    }

    pub(crate) fn named(&self, task: TaskId, name: &Arc<str>) {
        if let Some(board) = &self.board
            && let Some(tracked) = board.census().tracked(task)
        {
            tracked.name = Some(name.clone());
        }
    }

    /// Notes that the runtime ends.
    pub(crate) fn closing(&self) {
        if let Some(board) = &self.board {
            board.census().is_closing = true;
        }
    }
}

#[cold]
fn note_spawned(
    board: &Arc<Board>,
    task: TaskId,
    site: Site,
    future_bytes: usize,
    waker: Weak<dyn WakeState>,
) {
    let now = board.now();
    let tracked = Tracked {
        task,
        name: None,
        site,
        // The executor keeps a clone for the future of `block_on`, so that a message can wake it.
        own_wakers: if task == TaskId::ROOT { 2 } else { 1 },
        future_bytes,
        spawned_at: now,
        since: now,
        polls: 0,
        is_polled: false,
        spawns: 0,
        self_wakes: 0,
        queued_since: None,
        waker,
        reasons: Vec::new(),
    };
    if task == TaskId::ROOT {
        // Dropped after the lock is released, so that a reader waits for the copy only.
        let before = board.census().root.replace(tracked);
        drop(before);
    } else {
        // A thing that the parent has used may be in the future of the new task.
        let parent = with_active(|active| {
            let is_own = Arc::ptr_eq(&active.board, board);
            active.spawns = active.spawns.wrapping_add(is_own.into());
            is_own.then_some(active.task)
        });
        board.spawned(tracked, parent.flatten());
    }
}

/// The mark that a task has a thing for which others may wait: permits, or an end of a channel. Its drop removes
/// the mark.
#[derive(Default)]
pub(crate) struct Held {
    by: Option<Holder>,
}

struct Holder {
    board: Weak<Board>,
    /// The address of the thing.
    thing: usize,
    mark: HolderMark,
}

impl Held {
    /// A mark of no task yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Marks that the task that is being polled has a thing.
    #[inline]
    pub(crate) fn by_this_task<T>(thing: &T) -> Self {
        let mut held = Self::default();
        if ON.get() {
            held.move_here(address(thing), |_| None);
        }
        held
    }

    /// Marks that a task has a thing, and that it may be any task.
    #[inline]
    pub(crate) fn by_any_task<T>(thing: &T) -> Self {
        let mut held = Self::default();
        if ON.get() {
            // One fewer than now is a number that the task never has again.
            held.move_here(address(thing), |active| Some(active.spawns.wrapping_sub(1)));
        }
        held
    }

    /// Moves the mark to the task that is being polled. The thing may move to a task that this one spawns.
    #[inline]
    pub(crate) fn renew<T>(&mut self, thing: &T) {
        if ON.get() {
            self.move_here(address(thing), |active| Some(active.spawns));
        }
    }

    #[cold]
    fn move_here(&mut self, thing: usize, spawns: impl Fn(&Active) -> Option<u32>) {
        // A task sends many messages, and only its first use of a sender is news.
        let mark = with_active(|active| HolderMark {
            task: active.task,
            spawns: spawns(active),
        });
        if self.by.as_ref().map(|by| by.mark) == mark {
            return;
        }
        self.release();
        self.by = mark.and_then(|mark| {
            with_active(|active| {
                let holders = &mut active.board.census().holders;
                holders.entry(thing).or_default().push(mark);
                let board = Arc::downgrade(&active.board);
                Holder { board, thing, mark }
            })
        });
    }

    #[cold]
    fn release(&mut self) {
        let Some(by) = self.by.take() else { return };
        if let Some(board) = by.board.upgrade() {
            board.release(by.thing, by.mark);
        }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        if self.by.is_some() {
            self.release();
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

/// The mark of a blocking job, from the queue to its end.
pub(crate) struct JobMark {
    at: Option<(Arc<Board>, usize)>,
}

impl JobMark {
    /// Notes a job that is queued. `job` is the place of its outcome, whose address names it.
    pub(crate) fn queued<T>(tracker: &Tracker, job: &T, origin: Origin) -> Self {
        let at = tracker.board.clone().map(|board| {
            let queued = TrackedJob {
                site: origin.site(),
                task: with_active(|active| active.task),
                began: 0,
            };
            board.census().jobs.insert(address(job), queued);
            (board, address(job))
        });
        Self { at }
    }

    /// Notes that a thread begins the job.
    pub(crate) fn begin(&self) {
        if let Some((board, job)) = &self.at
            && let Some(job) = board.census().jobs.get_mut(job)
        {
            job.began = Instant::real().as_nanos();
        }
    }
}

impl Drop for JobMark {
    fn drop(&mut self) {
        if let Some((board, job)) = &self.at {
            board.census().jobs.remove(job);
        }
    }
}
