//! A script of a client's doings, played to a server whose handlers have every manner.
//!
//! ```text
//!  settings │ number of actions │ actions, a byte each │ what is there to be sent
//! ```
//!
//! Whatever the client does: no panic escapes, the connection ends, what comes out of it are answers
//! in the order of the requests, at most one to each, nothing behind the last; and neither side's
//! bytes pile up. A client that is patient gets all of its answers.

use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::testing::MemoryStream;
use waterwheel::http::{Connection, Limits, OnDisconnect, OnHalfClose, Request, Server, Version};
use waterwheel::runtime::yield_now;

use super::answers::{self, Answer, Answers, End};
use super::head::check_refusal;
use super::manners::{Deed, Manner, NUMBER, Notes, Tunnelled, behave, expected_body};
use super::play::{self, Client, PATIENCE};

/// Small enough for a fuzzer to meet them.
const LIMITS: Limits = {
    let mut limits = super::head::LIMITS;
    limits.body_bytes_max = 256 * 1024;
    limits.drain_bytes_max = 4 * 1024;
    limits
};

/// What a stream in memory holds in one direction, and what a connection may read of one ahead of
/// its handler: into the buffer for heads, the one for bodies, and a scrap.
const STREAM_BYTES: usize = 64 * 1024;
const AHEAD_BYTES: usize = (8 + 16 + 4) * 1024;

/// What a connection may queue: up to the mark, and a piece that was too much.
const QUEUED_BYTES: usize = (64 + 16) * 1024;

const ACTIONS_MAX: usize = 31;

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Sends so many bytes of what is there to be sent.
    Send(usize),
    /// Sends all of it.
    SendAll,
    /// Sends so many bytes of no meaning.
    Flood(usize),
    /// Waits, by the clock.
    Wait(Duration),
    /// Gives the server so many turns.
    Turns(usize),
    /// Reads so many bytes.
    Read(usize),
    /// Reads everything at every opportunity, or no longer.
    Listen(bool),
    /// Ends its direction.
    End,
    /// Leaves.
    HangUp,
}

/// How the server is set up, and how the client ends.
#[derive(Clone, Copy, Debug)]
struct Settings {
    finish: Finish,
    half_close: OnHalfClose,
    disconnect: OnDisconnect,
    /// Handlers may take only so long.
    limited: bool,
    /// Two requests at most.
    counted: bool,
    /// Requests are pulled instead of served.
    pulled: bool,
}

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    /// Sends the rest, ends its direction and reads to the end.
    End,
    /// Sends the rest and reads to the end, which is for the server to make.
    Stay,
    /// Does nothing any more, but is there.
    Freeze,
    /// Leaves.
    Leave,
}

/// A client that follows its script.
struct Player<'a> {
    client: Client,
    notes: Rc<Notes>,
    /// What is there to be sent.
    rest: &'a [u8],
    /// What has been.
    sent: Vec<u8>,
    /// How much of that was a flood.
    flooded: usize,
    listens: bool,
    /// It has always listened, and stayed.
    patient: bool,
}

/// What came of it.
struct Outcome {
    output: Vec<u8>,
    sent: Vec<u8>,
    flooded: usize,
    patient: bool,
    tunnelled: Option<Tunnelled>,
}

/// The target: `bytes` is a script.
///
/// # Panics
///
/// When something is not as it has to be.
pub fn connection(bytes: &[u8]) {
    let [settings, count, script @ ..] = bytes else {
        return;
    };
    let settings = Settings::of(*settings);
    let count = usize::from(*count) % (ACTIONS_MAX + 1);
    let (actions, wire) = script.split_at(count.min(script.len()));
    let notes = Rc::<Notes>::default();
    let outcome = play::run(async {
        let mut client = settings.client(&notes);
        client.received = notes.received.clone();
        let mut player = Player::new(client, &notes, wire);
        for action in actions {
            player.act(Action::of(*action)).await;
        }
        player.finish(settings).await
    });
    check(settings, &notes, &outcome);
}

impl Action {
    fn of(byte: u8) -> Self {
        let size = usize::from(byte / 8);
        match byte % 8 {
            0 => Self::Send(1 + size),
            1 => Self::Send(64 * (1 + size)),
            2 => Self::SendAll,
            3 => Self::Flood(1024 * (1 + size)),
            4 if size < 18 => Self::Wait(Duration::from_millis(1 << size)),
            4 => Self::Turns(size - 17),
            5 => Self::Read(1 + 512 * size),
            6 => Self::Listen(size % 2 == 1),
            _ if size < 24 => Self::End,
            _ => Self::HangUp,
        }
    }
}

impl Settings {
    fn of(byte: u8) -> Self {
        let bit = |number: u8| byte >> number & 1 == 1;
        Self {
            finish: match (bit(0), bit(6)) {
                (false, false) => Finish::End,
                (false, true) => Finish::Stay,
                (true, true) => Finish::Freeze,
                (true, false) => Finish::Leave,
            },
            half_close: if bit(1) {
                OnHalfClose::Disconnect
            } else {
                OnHalfClose::KeepServing
            },
            disconnect: if bit(2) {
                OnDisconnect::DropHandler
            } else {
                OnDisconnect::FinishHandler
            },
            limited: bit(3),
            counted: bit(4),
            pulled: bit(5),
        }
    }

    fn client(self, notes: &Rc<Notes>) -> Client {
        let limits = LIMITS.with(|limits| {
            limits.handler_duration_max = self.limited.then_some(Duration::from_secs(5));
            limits.requests_max = self.counted.then_some(2);
        });
        let server = Server::builder()
            .limits(limits)
            .on_half_close(self.half_close)
            .on_disconnect(self.disconnect)
            .without_listener();
        let notes = notes.clone();
        if self.pulled {
            return Client::with(server, |connection| pull(connection, notes));
        }
        let handler = async move |request: Request<'_>| behave(&notes, request).await;
        Client::with(server, |connection| connection.serve(handler))
    }
}

/// Serves by pulling. Nobody catches a panic here, so none is made.
async fn pull(mut connection: Connection<MemoryStream>, notes: Rc<Notes>) {
    while let Ok(Some(request)) = connection.next().await {
        let panics = request.path().starts_with("/panic");
        if !panics {
            drop(behave(&notes, request).await);
            continue;
        }
        notes.passed_over(&request);
    }
}

impl<'a> Player<'a> {
    fn new(client: Client, notes: &Rc<Notes>, wire: &'a [u8]) -> Self {
        Self {
            client,
            notes: notes.clone(),
            rest: wire,
            sent: Vec::new(),
            flooded: 0,
            listens: true,
            patient: true,
        }
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Send(count) => self.send(count).await,
            Action::SendAll => self.send(self.rest.len()).await,
            Action::Flood(count) => {
                let flood = vec![b'a'; count];
                let count = self.client.send(&flood).await;
                self.sent.extend_from_slice(&flood[..count]);
                self.flooded += count;
            }
            Action::Wait(duration) => self.wait(duration).await,
            Action::Turns(count) => {
                for _ in 0..count {
                    yield_now().await;
                }
            }
            Action::Read(count) => self.client.read_up_to(count).await,
            Action::Listen(listens) => {
                self.listens = listens;
                self.patient &= listens;
            }
            Action::End => self.client.end(),
            Action::HangUp => {
                self.client.hang_up();
                self.patient = false;
            }
        }
        self.listen().await;
    }

    async fn send(&mut self, count: usize) {
        let (piece, rest) = self.rest.split_at(count.min(self.rest.len()));
        let count = self.client.send(piece).await;
        self.sent.extend_from_slice(&piece[..count]);
        self.rest = rest;
    }

    async fn listen(&mut self) {
        if self.listens {
            self.client.read().await;
        }
    }

    /// In steps, so that what comes meanwhile is read.
    async fn wait(&mut self, duration: Duration) {
        let mut left = duration;
        let mut step = Duration::from_millis(1);
        while !left.is_zero() {
            step = step.min(left);
            left -= step;
            yield_now().await;
            waterwheel::runtime::time::sleep(step).await;
            let had = self.client.output.len();
            self.listen().await;
            step = if had == self.client.output.len() {
                PATIENCE.min(2 * step)
            } else {
                Duration::from_millis(1)
            };
        }
    }

    async fn finish(mut self, settings: Settings) -> Outcome {
        match settings.finish {
            Finish::End | Finish::Stay => {
                self.act(Action::SendAll).await;
                if settings.finish == Finish::End {
                    self.client.end();
                }
                self.client.read_to_end().await;
                self.patient &= settings.half_close == OnHalfClose::KeepServing;
            }
            Finish::Freeze => {
                self.client.outlast_server().await;
                self.patient = false;
            }
            Finish::Leave => self.patient = false,
        }
        let output = self.client.leave().await;
        let tunnel = self.notes.tunnel.take();
        let tunnelled = match tunnel {
            Some(tunnel) => Some(tunnel.await.expect("the tunnel's task")),
            None => None,
        };
        Outcome {
            output,
            sent: self.sent,
            flooded: self.flooded,
            patient: self.patient,
            tunnelled,
        }
    }
}

/// What there is to be said about a finding.
type Context<'a> = &'a dyn Fn() -> String;

fn check(settings: Settings, notes: &Notes, outcome: &Outcome) {
    let deeds = notes.deeds.borrow();
    let methods: Vec<_> = deeds.iter().map(|deed| deed.method.clone()).collect();
    let answers = answers::read(&outcome.output, &methods);
    let context = &|| format!("{settings:?}\n{deeds:#?}\n{answers:#?}");
    assert!(!settings.counted || deeds.len() <= 2, "{}", context());
    for (number, answer) in answers.last.iter().enumerate() {
        let is_last = number + 1 == answers.last.len();
        assert!(is_last || answer.is_whole(), "{}", context());
        assert!(
            !answer.closes() || deeds.len() <= number + 1,
            "{}",
            context()
        );
        if let Some(deed) = deeds.get(number) {
            let is_over = deed.manner.ends_connection();
            assert!(!is_over || deeds.len() == number + 1, "{}", context());
            check_answer(settings, number, deed, answer, context);
        } else {
            assert!(is_last && answer.closes(), "{}", context());
            check_refusal(answer);
        }
    }
    check_interim(&deeds, &answers, context);
    if outcome.patient {
        check_all_came(settings, &deeds, &answers, context);
    }
    check_tunnel(outcome, &deeds, &answers, context);
    check_memory(notes, outcome, &deeds, &answers);
}

fn check_interim(deeds: &[Deed], answers: &Answers, context: Context<'_>) {
    for (before, interim) in &answers.interim {
        let deed = &deeds[*before];
        let asked = match interim.status {
            100 => deed.expects && deed.version == Version::HTTP_11,
            103 => deed.manner == Manner::Inform && deed.version == Version::HTTP_11,
            _ => false,
        };
        assert!(asked, "{}", context());
    }
}

fn check_answer(
    settings: Settings,
    number: usize,
    deed: &Deed,
    answer: &Answer,
    context: Context<'_>,
) {
    let manner = deed.manner;
    if let Some(own) = answer.field(NUMBER) {
        assert_eq!(own, number.to_string(), "{}", context());
        assert_eq!(Some(answer.status), manner.status(), "{}", context());
        let in_time = !(settings.limited && manner.is_slow()) || settings.pulled;
        assert!(in_time, "{}", context());
        let has_end = matches!(answer.end, End::Length | End::Chunk);
        assert!(!(has_end && manner.never_ends()), "{}", context());
        if has_end {
            assert_eq!(answer.body, expected_body(deed), "{}", context());
        } else {
            assert!(expected_body(deed).starts_with(&answer.body) || manner.never_ends());
        }
        return;
    }
    let goes_on = !answer.closes();
    assert!(
        !goes_on || answer.status == 426,
        "an error that goes on: {}",
        context()
    );
    let possible = match answer.status {
        426 => manner == Manner::Upgrade,
        500 => settings.pulled || manner.never_ends() || manner.status().is_none(),
        503 => manner == Manner::Refuse || settings.limited && manner.waits(),
        413 => manner.reads() || manner == Manner::Upgrade,
        400 | 408 | 431 => manner.reads(),
        _ => false,
    };
    assert!(possible && answer.body.len() < 64, "{}", context());
}

/// Nothing is missing, but for what handlers did not give.
fn check_all_came(settings: Settings, deeds: &[Deed], answers: &Answers, context: Context<'_>) {
    assert!(answers.begun.is_empty(), "{}", context());
    let Some(last) = deeds.last() else { return };
    let may_lack = last.manner.breaks_off() || settings.limited && last.manner.waits();
    let lacks = usize::from(last.manner == Manner::Abort);
    assert!(answers.last.len() + lacks >= deeds.len(), "{}", context());
    for answer in &answers.last {
        assert!(answer.is_whole() || may_lack, "{}", context());
    }
}

/// What came back of it went there; it begins behind the request, and ends as what was sent does.
fn check_tunnel(outcome: &Outcome, deeds: &[Deed], answers: &Answers, context: Context<'_>) {
    let Some(back) = &answers.tunnelled else {
        return;
    };
    let Some(tunnelled) = &outcome.tunnelled else {
        panic!("a tunnel that nobody made: {}", context());
    };
    assert!(tunnelled.read.starts_with(back), "{}", context());
    assert!(!outcome.patient || *back == tunnelled.read, "{}", context());
    match deeds {
        _ if !tunnelled.at_end => {}
        [only] if only.length.is_some() => {
            let behind = behind_first(&outcome.sent, only.length);
            assert_eq!(behind, tunnelled.read, "{}", context());
        }
        _ => assert!(outcome.sent.ends_with(&tunnelled.read), "{}", context()),
    }
}

/// What follows the first request, whose body has that length.
fn behind_first(sent: &[u8], length: Option<u64>) -> &[u8] {
    let mut sent = sent;
    while let Some(rest) = sent.strip_prefix(b"\r\n") {
        sent = rest;
    }
    let head = answers::find(sent, b"\r\n\r\n").map(|end| end + 4);
    let body = length.and_then(|length| usize::try_from(length).ok());
    let end = head.zip(body).map(|(head, body)| head + body);
    end.and_then(|end| sent.get(end..)).unwrap_or_default()
}

/// Neither what the client does not read, nor what handlers do not read, piles up.
fn check_memory(notes: &Notes, outcome: &Outcome, deeds: &[Deed], answers: &Answers) {
    let most = notes.under_way_max.get();
    assert!(
        most <= STREAM_BYTES + QUEUED_BYTES,
        "{most} bytes under way"
    );
    let read = outcome
        .tunnelled
        .as_ref()
        .map_or(0, |tunnel| tunnel.read.len());
    let requests = deeds.len();
    let discarded = LIMITS.drain_bytes_max;
    let discarded = (requests + 1) * usize::try_from(discarded).expect("some kilobytes");
    let ahead = (requests + 1) * AHEAD_BYTES;
    let most = notes.taken(body_bytes_max()) + read + discarded + ahead + STREAM_BYTES;
    let flooded = outcome.flooded;
    // Behind a last answer all that comes is discarded, for as long as the limits allow.
    let lingers = answers
        .last
        .iter()
        .any(|answer| answer.closes() || !answer.is_whole())
        || deeds
            .iter()
            .any(|deed| deed.manner.ends_connection() || deed.version == Version::HTTP_10);
    assert!(
        lingers || flooded <= most,
        "{flooded} bytes taken in of a flood"
    );
}

fn body_bytes_max() -> usize {
    usize::try_from(LIMITS.body_bytes_max).expect("some kilobytes")
}
