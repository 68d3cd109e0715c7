//! The code of the tasks in the workloads with channels, semaphores and sets of tasks.
//!
//! Each part is written once, against [`WithSync`]. Only the runtime's own file can spawn it, because the
//! compiler knows there whether the future is `Send`: see [`WithSync::spawn_part`].

use super::WithSync;
use std::future::ready;

/// The work of one task.
pub(crate) enum Part<R: WithSync> {
    /// Sends the numbers below `count`.
    Send { sender: R::Sender, count: u32 },
    /// Receives until the channel is closed.
    Receive { receiver: R::Receiver },
    /// Receives the ball so often, and throws it back each time.
    Play {
        question: R::Question<Ball<R>>,
        turns: u32,
    },
    /// Makes a oneshot so often, sends and receives.
    AnswerSelf { times: u32 },
    /// Takes and returns a permit so often.
    Acquire { semaphore: R::Semaphore, times: u32 },
    /// Does so too, and lets others run while it has the permit.
    Hold { semaphore: R::Semaphore, times: u32 },
    /// Spawns tasks into a set and joins them all, so often.
    JoinSet { tasks: u32, times: u32 },
}

/// A message that has the sender for its answer.
pub(crate) struct Ball<R: WithSync>(pub(crate) R::Answer<Ball<R>>);

impl<R: WithSync> Part<R> {
    /// Does the work. Returns a sum by which the workload knows that all of it was done.
    pub(crate) async fn run(self) -> u64 {
        match self {
            Self::Send { sender, count } => send_all::<R>(sender, count).await,
            Self::Receive { receiver } => receive_all::<R>(receiver).await,
            Self::Play { question, turns } => play::<R>(question, turns).await,
            Self::AnswerSelf { times } => answer_self::<R>(times).await,
            Self::Acquire { semaphore, times } => {
                for _ in 0..times {
                    R::hold(&semaphore, ready(())).await;
                }
                times.into()
            }
            Self::Hold { semaphore, times } => {
                for _ in 0..times {
                    // The same on all runtimes, so that the rows differ by their semaphores.
                    R::hold(&semaphore, futures_lite::future::yield_now()).await;
                }
                times.into()
            }
            Self::JoinSet { tasks, times } => join_all::<R>(tasks, times).await,
        }
    }
}

async fn send_all<R: WithSync>(mut sender: R::Sender, count: u32) -> u64 {
    for number in 0..count {
        R::send(&mut sender, number).await;
    }
    count.into()
}

async fn receive_all<R: WithSync>(mut receiver: R::Receiver) -> u64 {
    let mut sum = 0;
    while let Some(number) = R::receive(&mut receiver).await {
        sum += u64::from(number);
    }
    sum
}

async fn play<R: WithSync>(mut question: R::Question<Ball<R>>, turns: u32) -> u64 {
    for _ in 0..turns {
        let Ball(answer) = R::ask(question).await;
        let (next_answer, next_question) = R::oneshot();
        R::answer(answer, Ball(next_answer));
        question = next_question;
    }
    turns.into()
}

async fn answer_self<R: WithSync>(times: u32) -> u64 {
    let mut sum = 0;
    for number in 0..times {
        let (answer, question) = R::oneshot();
        R::answer(answer, number);
        sum += u64::from(R::ask(question).await);
    }
    sum
}

async fn join_all<R: WithSync>(tasks: u32, times: u32) -> u64 {
    let mut sum = 0;
    for _ in 0..times {
        let mut set = R::join_set();
        for number in 0..tasks {
            R::spawn_into(&mut set, number);
        }
        while let Some(number) = R::join_next(&mut set).await {
            sum += u64::from(number);
        }
    }
    sum
}
