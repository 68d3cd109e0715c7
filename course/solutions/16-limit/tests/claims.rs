//! The claims of stage 16.

use std::cell::Cell;
use std::env;
use std::fs::File;
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::net;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use claims::in_time;
use solution_16::descriptors::{self, PER_REQUEST};
use solution_16::http::{Limits, Request, Response};
use solution_16::{Notify, TcpListener, block_on, join, serve_until, sleep, yield_now};

const LIMIT: usize = 40;

/// Set in the process of a child.
const CHILD: &str = "COURSE_CHILD";

/// Starts the test with this name again, as a process of its own that may have few descriptors.
fn child(name: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a test in a process of its own, because it counts descriptors.
fn alone(name: &str, test: fn()) {
    if env::var_os(CHILD).is_some() {
        return in_time(test);
    }
    let output = child(name).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn todo_1_a_notification_between_the_call_and_the_first_poll_counts() {
    in_time(|| {
        let notify = Notify::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut early = pin!(notify.notified());
        notify.notify_all();
        assert!(early.as_mut().poll(&mut cx).is_ready());
        let mut late = pin!(notify.notified());
        assert!(late.as_mut().poll(&mut cx).is_pending());
        notify.notify_all();
        assert!(late.as_mut().poll(&mut cx).is_ready());
    });
}

#[test]
fn todo_1_a_notification_wakes_all_tasks_that_wait() {
    in_time(|| {
        block_on(async {
            let notify = Notify::default();
            let bell = async {
                yield_now().await;
                notify.notify_all();
            };
            join(join(notify.notified(), notify.notified()), bell).await;
        });
    });
}

#[test]
fn todo_2_the_open_descriptors_are_counted() {
    alone("todo_2_the_open_descriptors_are_counted", || {
        let before = descriptors::open().unwrap();
        let file = File::open("/dev/null").unwrap();
        assert_eq!(descriptors::open().unwrap(), before + 1);
        drop(file);
        assert_eq!(descriptors::open().unwrap(), before);
    });
}

#[test]
fn todo_3_the_soft_limit_is_found() {
    in_time(|| {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max processes             100                  200                  processes\n\
                    Max open files            1024                 4096                 files\n";
        assert_eq!(descriptors::parse_limit(text), Some(1024));
        let unlimited = text.replace("1024 ", "unlimited");
        assert_eq!(descriptors::parse_limit(&unlimited), None);
        assert_eq!(descriptors::parse_limit(""), None);
    });
}

#[test]
fn todo_2_to_4_there_is_room_until_the_limit_is_near() {
    alone("todo_2_to_4_there_is_room_until_the_limit_is_near", || {
        assert_eq!(descriptors::limit(), LIMIT);
        let mut files = Vec::new();
        while descriptors::should_accept() {
            files.push(File::open("/dev/null").unwrap());
        }
        assert_eq!(descriptors::open().unwrap(), LIMIT - PER_REQUEST + 1);
        files.pop();
        assert!(descriptors::should_accept());
    });
}

#[test]
fn todo_1_to_5_a_task_waits_until_a_socket_is_closed() {
    alone("todo_1_to_5_a_task_waits_until_a_socket_is_closed", || {
        block_on(async {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut files = Vec::new();
            while descriptors::should_accept() {
                files.push(File::open("/dev/null").unwrap());
            }
            let freed = Cell::new(false);
            let wait = async {
                descriptors::capacity().await;
                assert!(freed.get());
            };
            let close = async {
                sleep(Duration::from_millis(20)).await;
                freed.set(true);
                drop(socket);
            };
            join(wait, close).await;
            // Other code closes a file, and no notification comes.
            files.push(File::open("/dev/null").unwrap());
            assert!(!descriptors::should_accept());
            let close = async {
                sleep(Duration::from_millis(20)).await;
                files.pop();
            };
            join(descriptors::capacity(), close).await;
        });
    });
}

/// The server may have 40 descriptors, and 60 clients come at once.
const CLIENTS: usize = 60;

#[test]
fn todo_1_to_6_more_clients_than_descriptors_are_all_served() {
    if env::var_os(CHILD).is_some() {
        return in_time(server);
    }
    in_time(|| {
        let mut child = child("todo_1_to_6_more_clients_than_descriptors_are_all_served");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut find = |name: &str| {
            let found = lines.find_map(|line| {
                let line = line.unwrap();
                line.split_once(name).map(|(_, value)| value.to_owned())
            });
            found.expect("the server prints this line")
        };
        let address = find("address=");
        // All are connected before the first one sends. The kernel holds those that the server has not accepted.
        let mut clients: Vec<_> = (0..CLIENTS)
            .map(|_| net::TcpStream::connect(&address).unwrap())
            .collect();
        for (number, client) in clients.iter_mut().enumerate() {
            write!(client, "GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        }
        for (number, mut client) in clients.into_iter().enumerate() {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 200 "),
                "client {number}: {answer}"
            );
            assert!(
                answer.ends_with(&format!("/{number}")),
                "client {number}: {answer}"
            );
        }
        assert_eq!(find("report="), format!("{CLIENTS} accepted, 0 failed"));
        assert!(child.wait().unwrap().success());
    });
}

/// The process of the server. It ends when all clients are served.
fn server() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        println!("address={}", listener.local_address().unwrap());
        let served = Rc::new(Cell::new(0));
        let counting = served.clone();
        let handler = async move |request: Request| {
            counting.set(counting.get() + 1);
            Response {
                status: 200,
                body: request.target,
            }
        };
        let all_served = async {
            while served.get() < CLIENTS {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let report = serve_until(listener, Limits::default(), handler, all_served).await;
        println!(
            "report={} accepted, {} failed",
            report.accepted, report.failed
        );
    });
}
