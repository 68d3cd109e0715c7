//! The claims of stage 14.

use std::cell::{Cell, RefCell};
use std::net;
use std::rc::Rc;
use std::time::Duration;

use claims::in_time;
use solution_14::{
    Semaphore, SendError, TcpListener, TcpStream, block_on, channel, race, spawn, timeout,
    yield_now,
};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn todo_1_and_2_a_semaphore_limits_the_tasks_that_work_at_once() {
    in_time(|| {
        block_on(async {
            let semaphore = Rc::new(Semaphore::new(3));
            let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let (semaphore, now, most) = (semaphore.clone(), now.clone(), most.clone());
                    spawn(async move {
                        semaphore.acquire().await;
                        now.set(now.get() + 1);
                        most.set(most.get().max(now.get()));
                        yield_now().await;
                        now.set(now.get() - 1);
                        semaphore.release();
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(most.get(), 3);
            assert_eq!((semaphore.permits(), semaphore.waiting()), (3, 0));
        });
    });
}

#[test]
fn todo_1_and_2_the_longest_wait_is_served_first() {
    in_time(|| {
        block_on(async {
            let semaphore = Rc::new(Semaphore::new(0));
            let order = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = (0..5)
                .map(|number| {
                    let (semaphore, order) = (semaphore.clone(), order.clone());
                    spawn(async move {
                        semaphore.acquire().await;
                        order.borrow_mut().push(number);
                    })
                })
                .collect();
            yield_now().await;
            for _ in 0..5 {
                semaphore.release();
            }
            // A newcomer does not overtake those that wait.
            let (late, order_of_late) = (semaphore.clone(), order.clone());
            let late = spawn(async move {
                late.acquire().await;
                order_of_late.borrow_mut().push(99);
            });
            for task in tasks {
                task.await.unwrap();
            }
            semaphore.release();
            late.await.unwrap();
            assert_eq!(*order.borrow(), [0, 1, 2, 3, 4, 99]);
        });
    });
}

/// The first waiter is woken for a permit, and is dropped before it takes it.
#[test]
fn todo_1_to_3_a_waiter_that_is_dropped_passes_its_wake_on() {
    in_time(|| {
        block_on(async {
            let semaphore = Rc::new(Semaphore::new(0));
            let [first, second] = [(); 2].map(|()| {
                let semaphore = semaphore.clone();
                spawn(async move { semaphore.acquire().await })
            });
            yield_now().await;
            assert_eq!(semaphore.waiting(), 2);
            first.abort();
            semaphore.release();
            assert!(first.await.is_err());
            second.await.unwrap();
            assert_eq!((semaphore.permits(), semaphore.waiting()), (0, 0));
        });
    });
}

#[test]
fn todo_1_to_3_a_waiter_that_gives_up_leaves_the_line() {
    in_time(|| {
        block_on(async {
            let semaphore = Semaphore::new(0);
            assert!(timeout(SHORT, semaphore.acquire()).await.is_err());
            assert_eq!(semaphore.waiting(), 0);
            semaphore.release();
            semaphore.acquire().await;
        });
    });
}

#[test]
fn todo_1_to_5_values_arrive_in_order_and_the_channel_ends_with_its_senders() {
    in_time(|| {
        block_on(async {
            let (sender, mut receiver) = channel(4);
            let second = sender.clone();
            spawn(async move {
                for number in 0..100 {
                    sender.send(number).await.unwrap();
                }
                drop(second);
            });
            for number in 0..100 {
                assert_eq!(receiver.recv().await, Some(number));
            }
            assert_eq!(receiver.recv().await, None);
        });
    });
}

#[test]
fn todo_1_to_5_a_fast_sender_waits_for_a_slow_receiver() {
    in_time(|| {
        block_on(async {
            let (sender, mut receiver) = channel(4);
            let sent = Rc::new(Cell::new(0));
            let counting = sent.clone();
            let task = spawn(async move {
                for number in 0..50 {
                    sender.send(number).await.unwrap();
                    counting.set(counting.get() + 1);
                }
            });
            for received in 0..50 {
                for _ in 0..3 {
                    yield_now().await;
                }
                assert!(receiver.len() <= 4);
                assert!(sent.get() <= received + 4);
                assert_eq!(receiver.recv().await, Some(received));
            }
            task.await.unwrap();
        });
    });
}

#[test]
fn todo_1_to_4_all_senders_learn_that_the_receiver_is_gone() {
    in_time(|| {
        block_on(async {
            let (sender, receiver) = channel(1);
            sender.send("fills it").await.unwrap();
            let tasks: Vec<_> = (0..5)
                .map(|_| {
                    let sender = sender.clone();
                    spawn(async move { sender.send("late").await })
                })
                .collect();
            yield_now().await;
            assert_eq!(sender.waiting(), 5);
            drop(receiver);
            for task in tasks {
                assert_eq!(task.await.unwrap(), Err(SendError("late")));
            }
            assert_eq!(sender.send("later").await, Err(SendError("later")));
        });
    });
}

/// The chain: a full channel stops the reader, full kernel buffers stop the client.
#[test]
fn todo_1_to_5_a_slow_consumer_stops_the_client_on_the_network() {
    const CHUNK: usize = 16 * 1024;
    in_time(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().unwrap();
            let client = TcpStream::new(net::TcpStream::connect(address).unwrap()).unwrap();
            let server = listener.accept().await.unwrap();
            let (sender, mut receiver) = channel(4);
            let read = Rc::new(Cell::new(0));
            let counting = read.clone();
            let reader = spawn(async move {
                loop {
                    let mut chunk = vec![0; CHUNK];
                    let bytes = server.read(&mut chunk).await.unwrap();
                    counting.set(counting.get() + 1);
                    if bytes == 0 || sender.send(chunk).await.is_err() {
                        return;
                    }
                }
            });
            // The client has far more bytes than all buffers together.
            let all = vec![0; 64 * 1024 * 1024];
            assert!(timeout(10 * SHORT, client.write_all(&all)).await.is_err());
            // Four chunks in the channel, and one that waits for room.
            assert_eq!((receiver.len(), read.get()), (4, 5));
            // As soon as the consumer takes chunks, the client can go on.
            let consume = async {
                while receiver.recv().await.is_some() {}
                panic!("the reader does not end");
            };
            assert!(race(client.write(&all), consume).await.unwrap() > 0);
            reader.abort();
        });
    });
}
