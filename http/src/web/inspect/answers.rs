//! The answer to each request of a page.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /trace.json` | the recording, as the page reads it |
//! | `GET /dump.json` | the tasks with their reasons |
//! | `GET /events?from=SEQ` | server-sent events: what has happened since |
//! | `GET /trace?seconds=5&format=json` | the recording as a download; `format`: `json`, `perfetto` or `html` |
//! | `POST /control` | `pause`, `step` (poll one task) or `resume` in the body; the answer is the new state |
//!
//! Each request has the query parameter `token`. HEAD is answered like GET, without the body.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use waterwheel_runtime::inspect::{Control, ControlState, PLAYER, Recorder, Trace};
use waterwheel_runtime::time::sleep;
use waterwheel_runtime::{race, spawn_blocking, spawn_detached};

use crate::error::Result;
use crate::exchange::handler::{Handler, Responded};
use crate::exchange::request::Request;
use crate::web::events::{Event, Events, last_event_id};
use crate::web::inspect::access::{Claim, PageToken, random_text};
use crate::web::inspect::delta::{Deltas, state};

/// The field that has the number of the event after a recording.
const NEXT_EVENT: &str = "x-next-event";

/// The stand-in for the nonce of the page's own script and styles.
const NONCE: &str = "@waterwheel-nonce@";

/// The time between two deltas.
const DELTA_INTERVAL: Duration = Duration::from_millis(100);

/// The time for which a paused program waits for a browser that reloads the page.
const RELOAD_MAX: Duration = Duration::from_secs(3);

/// The time for which a step waits until a task is ready.
const STEP_WAIT_MAX: Duration = Duration::from_secs(2);

/// The bytes of the longest command.
const COMMAND_BYTES_MAX: u64 = 16;

/// All that the answers share.
pub(super) struct PageAnswers {
    recorder: Recorder,
    /// Kept from one command to the next, because a program runs on without one.
    control: Control,
    token: PageToken,
    /// The number of browsers that follow the events.
    followers: Cell<usize>,
}

impl PageAnswers {
    pub(super) fn new(recorder: Recorder, token: PageToken) -> Rc<Self> {
        Rc::new(Self {
            control: recorder.control(),
            recorder,
            token,
            followers: Cell::new(0),
        })
    }

    pub(super) fn into_handler(self: Rc<Self>) -> impl Handler {
        async move |request: Request<'_>| self.answer(request).await
    }

    async fn answer(self: &Rc<Self>, request: Request<'_>) -> Result<Responded> {
        let claim = Claim {
            host: request.host(),
            origin: request.headers().get("origin"),
            token: parameter(&request, "token"),
        };
        if let Some(refusal) = self.token.refusal(claim) {
            return send(request, StatusCode::FORBIDDEN, "text/plain", refusal).await;
        }
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let is_command = *request.method() == Method::POST;
        match request.path() {
            "/" if is_read => page(request).await,
            "/trace.json" if is_read => self.trace(request).await,
            "/dump.json" if is_read => json(request, self.recorder.dump().to_json()).await,
            "/events" if is_read => self.follow(request).await,
            "/trace" if is_read => self.download(request).await,
            "/control" if is_command => self.control(request).await,
            "/control" => refuse_method(request, "POST").await,
            "/" | "/trace.json" | "/dump.json" | "/events" | "/trace" => {
                refuse_method(request, "GET, HEAD").await
            }
            _ => {
                let text = "there is no such page\n";
                send(request, StatusCode::NOT_FOUND, "text/plain", text).await
            }
        }
    }

    /// Sends the recording, and in a field the number of the event with which [`follow`](Self::follow) continues it.
    async fn trace(&self, request: Request<'_>) -> Result<Responded> {
        let next = self.recorder.next_seq();
        request.add_header(NEXT_EVENT, next.to_string())?;
        json(request, self.recorder.trace().to_json()).await
    }

    /// Sends what happens, until the browser leaves.
    async fn follow(self: &Rc<Self>, request: Request<'_>) -> Result<Responded> {
        if *request.method() == Method::HEAD {
            return Events::start(request).await?.finish().await;
        }
        let from = last_event_id(&request).or_else(|| parameter(&request, "from"));
        let from = from.and_then(|from| from.parse().ok());
        let mut deltas = Deltas::new(self.recorder.clone(), from.unwrap_or_default());
        let _follower = Follower::new(self);
        let mut events = Events::start(request).await?;
        let shutdown = events.shutdown_signal();
        while !shutdown.is_set() {
            let delta = deltas.next();
            // The id is what a browser sends when it reconnects.
            let event = Event::new(delta.json).id(delta.until.to_string());
            events.send(&event).await?;
            race(sleep(DELTA_INTERVAL), shutdown.wait()).await;
        }
        events.finish().await
    }

    /// Sends the last seconds of the recording as a file.
    async fn download(&self, request: Request<'_>) -> Result<Responded> {
        let trace = match parameter(&request, "seconds").map(str::parse) {
            None => self.recorder.trace(),
            Some(Ok(seconds)) => self.last(Duration::from_secs(seconds)),
            Some(Err(_)) => {
                let text = "seconds: a whole number\n";
                return send(request, StatusCode::BAD_REQUEST, "text/plain", text).await;
            }
        };
        let html = || trace.to_html_with(&self.recorder.dump());
        let (name, content_type, body) = match parameter(&request, "format").unwrap_or("json") {
            "json" => ("trace.json", "application/json", trace.to_json()),
            "perfetto" => ("perfetto.json", "application/json", trace.to_trace_events()),
            "html" => ("trace.html", "text/html; charset=utf-8", html()),
            _ => {
                let text = "format: json, perfetto or html\n";
                return send(request, StatusCode::BAD_REQUEST, "text/plain", text).await;
            }
        };
        request.add_header(
            "content-disposition",
            format!("attachment; filename=\"{name}\""),
        )?;
        send(request, StatusCode::OK, content_type, body).await
    }

    /// Copies the events of the last `duration`.
    fn last(&self, duration: Duration) -> Trace {
        let trace = self.recorder.trace();
        let begin = trace.now().saturating_sub(duration);
        let events = trace.events().iter();
        // The events of other threads have late numbers, so the earliest event need not have the lowest one.
        let first = events
            .filter(|event| event.at >= begin)
            .map(|event| event.seq)
            .min();
        // The second copy has the tasks of its own events alone.
        self.recorder
            .trace_since(first.unwrap_or_else(|| self.recorder.next_seq()))
    }

    /// Pauses, steps or resumes the program.
    async fn control(&self, request: Request<'_>) -> Result<Responded> {
        let command = request.body().bytes(COMMAND_BYTES_MAX).await?;
        let control = &self.control;
        match command.as_slice() {
            b"pause" => control.pause(),
            b"resume" => control.resume(),
            b"step" => {
                // A step may have to wait for an event, so it waits on another thread.
                let control = control.clone();
                spawn_blocking(move || poll_one(&control)).await?;
            }
            _ => {
                let text = "a command is pause, step or resume\n";
                return send(request, StatusCode::BAD_REQUEST, "text/plain", text).await;
            }
        }
        json(request, format!("{{{}}}", state(control))).await
    }
}

/// Lets a paused program poll one task. If no task is ready, it first waits for an event, for at most
/// [`STEP_WAIT_MAX`].
fn poll_one(control: &Control) {
    let start = Instant::now();
    loop {
        let before = control.wait(STEP_WAIT_MAX);
        let is_over = start.elapsed() > STEP_WAIT_MAX;
        match before {
            ControlState::BeforePoll(_) => {
                control.step();
                control.wait(STEP_WAIT_MAX);
                return;
            }
            // Each of these steps is a wait of at most 100 ms.
            ControlState::BeforeWait if !is_over => _ = control.step(),
            _ => return,
        }
    }
}

/// Counts a browser that follows the events, for as long as this lives.
struct Follower(Rc<PageAnswers>);

impl Follower {
    fn new(answers: &Rc<PageAnswers>) -> Self {
        answers.followers.set(answers.followers.get() + 1);
        Self(answers.clone())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let answers = self.0.clone();
        answers.followers.set(answers.followers.get() - 1);
        // A paused program whose browser is gone would stand still for ever.
        spawn_detached(async move {
            sleep(RELOAD_MAX).await;
            if answers.followers.get() == 0 {
                answers.control.resume();
            }
        });
    }
}

/// Returns a parameter of the query. All values are digits and letters, so they have no escapes.
fn parameter<'c>(request: &Request<'c>, name: &str) -> Option<&'c str> {
    let pairs = request.query()?.split('&');
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

async fn page(request: Request<'_>) -> Result<Responded> {
    let nonce = random_text();
    // The browser runs the page's own script and no other one, and connects to this server alone.
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    request.add_header("content-security-policy", policy)?;
    let html = PLAYER.replace(NONCE, &nonce);
    send(request, StatusCode::OK, "text/html; charset=utf-8", html).await
}

async fn refuse_method(request: Request<'_>, allowed: &'static str) -> Result<Responded> {
    request.add_header("allow", allowed)?;
    let text = "method not allowed\n";
    send(request, StatusCode::METHOD_NOT_ALLOWED, "text/plain", text).await
}

async fn json(request: Request<'_>, text: String) -> Result<Responded> {
    send(request, StatusCode::OK, "application/json", text).await
}

async fn send(
    request: Request<'_>,
    status: StatusCode,
    content_type: &str,
    body: impl AsRef<[u8]>,
) -> Result<Responded> {
    let headers = [
        ("content-type", content_type),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    request.respond(status, body, headers).await
}
