use std::rc::Rc;

use async_lock::{Mutex, Semaphore};
use waterwheel::runtime::{block_on, spawn, yield_now};

/// A lock that is held over an await. Without an await in between, a `RefCell` is enough.
pub fn two_at_a_time() -> Vec<u32> {
    block_on(async {
        let finished = Rc::new(Mutex::new(Vec::new()));
        let places = Rc::new(Semaphore::new(2));
        let tasks: Vec<_> = (0..4)
            .map(|number| {
                let (finished, places) = (finished.clone(), places.clone());
                spawn(async move {
                    let _place = places.acquire().await;
                    yield_now().await; // work
                    finished.lock().await.push(number);
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("the task does not panic");
        }
        finished.lock().await.clone()
    })
}
