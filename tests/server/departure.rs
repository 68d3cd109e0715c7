//! Clients that leave, and handlers that take too long, in memory and under the paused clock.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::testing::TestClient;
use waterwheel::http::{
    Builder, Limits, OnDisconnect, OnHalfClose, Request, Responded, Result, Server, StatusCode,
};
use waterwheel::runtime::inspect::{self, CancelCause, EventKind};
use waterwheel::runtime::time::{self, Instant, sleep};
use waterwheel::runtime::{Runtime, block_on, race};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// The fate of a handler that takes a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Running,
    /// The server dropped the handler while it waited.
    Dropped,
    /// [`Request::disconnected`] completed.
    Told,
    /// The handler ended without a report that the client had left.
    Finished,
}

/// Reports when it is dropped.
struct Witness(Rc<Cell<Fate>>);

impl Drop for Witness {
    fn drop(&mut self) {
        if self.0.get() == Fate::Running {
            self.0.set(Fate::Dropped);
        }
    }
}

/// Serves one request with a handler that takes a minute. `leave` is the way in which the client leaves.
/// Returns the fate of the handler, and the seconds until then.
fn leave(builder: Builder, leave: impl FnOnce(&mut TestClient)) -> (Fate, u64) {
    block_on(async {
        time::pause();
        let start = Instant::now();
        let fate = Rc::new(Cell::new(Fate::Running));
        let mut client = TestClient::with(builder, {
            let fate = fate.clone();
            async move |request: Request<'_>| -> Result<Responded> {
                let _witness = Witness(fate.clone());
                let told = async {
                    request.disconnected().await;
                    fate.set(Fate::Told);
                };
                let slow = async {
                    sleep(Duration::from_secs(60)).await;
                    fate.set(Fate::Finished);
                };
                race(told, slow).await;
                request.respond(StatusCode::OK, "late", ()).await
            }
        });
        client.send(REQUEST).await;
        sleep(Duration::from_secs(5)).await;
        leave(&mut client);
        while fate.get() == Fate::Running {
            sleep(Duration::from_secs(1)).await;
        }
        (fate.get(), (Instant::now() - start).as_secs())
    })
}

#[test]
fn a_half_close_does_not_end_the_request() {
    let (fate, seconds) = leave(Server::builder(), TestClient::end);
    assert_eq!((fate, seconds), (Fate::Finished, 60));
}

#[test]
fn a_half_close_ends_the_request_if_that_is_set() {
    let builder = Server::builder().on_half_close(OnHalfClose::Disconnect);
    assert_eq!(leave(builder.clone(), TestClient::end), (Fate::Told, 6));
    // The handler learns of it or is dropped, whichever comes first in the turn. It does not continue.
    let (fate, seconds) = leave(
        builder.on_disconnect(OnDisconnect::DropHandler),
        TestClient::end,
    );
    assert!(
        matches!(fate, Fate::Told | Fate::Dropped) && seconds == 6,
        "{fate:?} {seconds}"
    );
}

#[test]
fn a_handler_whose_client_has_left_is_dropped_if_that_is_set() {
    for (fate_of_handlers, expected) in [
        (OnDisconnect::DropHandler, Fate::Dropped),
        (OnDisconnect::FinishHandler, Fate::Finished),
    ] {
        block_on(async {
            time::pause();
            let fate = Rc::new(Cell::new(Fate::Running));
            let builder = Server::builder().on_disconnect(fate_of_handlers);
            let mut client = TestClient::with(builder, {
                let fate = fate.clone();
                async move |request: Request<'_>| {
                    let _witness = Witness(fate.clone());
                    sleep(Duration::from_secs(60)).await;
                    fate.set(Fate::Finished);
                    request.respond(StatusCode::OK, "late", ()).await
                }
            });
            client.send(REQUEST).await;
            sleep(Duration::from_secs(5)).await;
            drop(client);
            sleep(Duration::from_secs(70)).await;
            assert_eq!(fate.get(), expected);
        });
    }
}

#[test]
fn a_handler_that_takes_too_long_is_dropped_and_the_client_receives_503() {
    block_on(async {
        time::pause();
        let start = Instant::now();
        let fate = Rc::new(Cell::new(Fate::Running));
        let limits = Limits::default()
            .with(|limits| limits.handler_duration_max = Some(Duration::from_secs(10)));
        let mut client = TestClient::with(Server::builder().limits(limits), {
            let fate = fate.clone();
            async move |request: Request<'_>| {
                if request.path() == "/quick" {
                    return request.respond(StatusCode::OK, "quick", ()).await;
                }
                let _witness = Witness(fate.clone());
                sleep(Duration::from_secs(60)).await;
                request.respond(StatusCode::OK, "late", ()).await
            }
        });
        assert_eq!(client.get("/quick").await.text(), "quick");
        let answer = client.get("/slow").await;
        // RFC 9110, 15.6.4
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers["connection"], "close");
        assert_eq!(fate.get(), Fate::Dropped);
        assert_eq!((Instant::now() - start).as_secs(), 10);
        assert_eq!(client.read_to_end().await, b"");
    });
}

#[test]
fn a_handler_that_takes_too_long_over_its_body_cuts_the_connection() {
    block_on(async {
        time::pause();
        let limits = Limits::default()
            .with(|limits| limits.handler_duration_max = Some(Duration::from_secs(10)));
        let mut client = TestClient::with(
            Server::builder().limits(limits),
            async |request: Request<'_>| {
                let mut body = request.start(StatusCode::OK, ()).await?;
                loop {
                    body.write("tick").await?;
                    sleep(Duration::from_secs(4)).await;
                }
            },
        );
        client.send(REQUEST).await;
        let all = String::from_utf8(client.read_to_end().await).unwrap();
        let (_, body) = all.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "4\r\ntick\r\n4\r\ntick\r\n4\r\ntick\r\n");
    });
}

#[test]
fn a_client_with_a_closed_write_half_receives_its_answer_an_hour_later() {
    block_on(async {
        time::pause();
        let mut client = TestClient::new(async |request: Request<'_>| {
            sleep(Duration::from_secs(3600)).await;
            request.respond(StatusCode::OK, "an hour later", ()).await
        });
        client.send(REQUEST).await;
        client.end();
        assert_eq!(client.answer().await.text(), "an hour later");
        assert_eq!(client.read_to_end().await, b"");
    });
}

/// Returns the causes of the cancels of a runtime that records, while a client leaves or a handler takes too long.
fn cancel_causes(builder: Builder) -> Vec<CancelCause> {
    let runtime = Runtime::builder().inspect(inspect::Options::default());
    runtime.build().unwrap().block_on(async {
        time::pause();
        let mut client = TestClient::with(builder, async |request: Request<'_>| {
            sleep(Duration::from_secs(60)).await;
            request.respond(StatusCode::OK, "late", ()).await
        });
        client.send(REQUEST).await;
        sleep(Duration::from_secs(5)).await;
        drop(client);
        sleep(Duration::from_secs(70)).await;
        let trace = inspect::recorder().unwrap().trace();
        let cause = |event: &inspect::Event| match event.kind {
            EventKind::Cancel { cause, .. } => Some(cause),
            _ => None,
        };
        trace.events().iter().filter_map(cause).collect()
    })
}

#[test]
fn the_trace_of_a_handler_that_is_dropped_has_the_cause() {
    let drops = Server::builder().on_disconnect(OnDisconnect::DropHandler);
    assert_eq!(cancel_causes(drops), [CancelCause::ClientGone]);
    let limits =
        Limits::default().with(|limits| limits.handler_duration_max = Some(Duration::from_secs(3)));
    let limited = Server::builder().limits(limits);
    assert_eq!(cancel_causes(limited), [CancelCause::Timeout]);
    assert_eq!(cancel_causes(Server::builder()), []);
}
