//! Claims about values that are in a thread-local while a task is polled.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;

use crate::support::runtime::{OnDrop, soon};
use crate::support::seeds::in_any_order;
use futures_lite::future::poll_once;
use waterwheel::runtime::task::TaskLocal;
use waterwheel::runtime::{spawn, yield_now};

thread_local! {
    static NUMBER: TaskLocal<u32> = const { TaskLocal::new() };
}

fn number() -> Option<u32> {
    NUMBER.with(TaskLocal::get).as_deref().copied()
}

#[test]
fn each_task_sees_its_own_local_value() {
    in_any_order(|| async {
        let tasks: Vec<_> = (0..3)
            .map(|own| {
                spawn(TaskLocal::provide(&NUMBER, own, async move {
                    for _ in 0..3 {
                        assert_eq!(number(), Some(own));
                        yield_now().await;
                    }
                    let inner = TaskLocal::provide(&NUMBER, 9, async {
                        yield_now().await;
                        number()
                    });
                    assert_eq!((inner.await, number()), (Some(9), Some(own)));
                    // A task inside does not inherit the value.
                    assert_eq!(spawn(async { number() }).await.unwrap(), None);
                }))
            })
            .collect();
        for task in tasks {
            soon(task).await.unwrap();
        }
        assert_eq!(number(), None);
    });
}

#[test]
fn a_local_value_ends_with_a_panic_and_is_there_in_the_destructor() {
    in_any_order(|| async {
        let seen = Rc::new(Cell::new(None));
        let at_end = |seen: &Rc<Cell<Option<u32>>>| {
            let seen = seen.clone();
            OnDrop(move || seen.set(number()))
        };
        let held = at_end(&seen);
        let fails = spawn(TaskLocal::provide(&NUMBER, 1, async move {
            let _held = held;
            yield_now().await;
            panic!("on purpose");
        }));
        assert!(fails.await.is_err());
        assert_eq!((number(), seen.take()), (None, Some(1)));
        for polls in 0..2 {
            let held = at_end(&seen);
            let mut pending = Box::pin(TaskLocal::provide(&NUMBER, 2, async move {
                let _held = held;
                pending::<()>().await;
            }));
            for _ in 0..polls {
                assert!(poll_once(pending.as_mut()).await.is_none());
            }
            drop(pending);
            assert_eq!((number(), seen.take()), (None, Some(2)));
        }
    });
}
