//! Handlers of every manner, good and bad: the request's path says which.
//!
//! Each notes what it was asked and what it has done, so that what the client has received can be
//! held against it.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::{
    AnswerBody, Error, Method, Refusal, Request, Responded, Result, StatusCode, Upgrade, Version,
};
use waterwheel::runtime::{JoinHandle, race, spawn, time};

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers, whatever the body.
    Plain,
    /// Gives the body back.
    Echo,
    /// Gives the body back piece by piece.
    Pieces,
    /// Reads a piece of the body and answers.
    Half,
    /// Answers and then reads the body.
    Behind,
    /// Waits before it reads the body.
    Late,
    /// Takes its time to answer.
    Slow,
    /// Waits until its client has left.
    Watch,
    /// Sends more than is queued anywhere.
    Stream,
    /// Sends a body that is not copied.
    Large,
    /// Announces a length and keeps to it.
    Sized,
    /// Sends an interim answer first.
    Inform,
    /// Answers 204.
    NoContent,
    /// Answers 304.
    NotModified,
    /// Announces a length and sends less.
    Short,
    /// Begins an answer and drops it.
    Unfinished,
    /// Fails.
    Fail,
    /// Fails within its answer.
    FailLate,
    /// Refuses.
    Refuse,
    /// Panics.
    Panic,
    /// Panics within its answer.
    PanicLate,
    /// Panics behind its answer.
    PanicBehind,
    /// Changes to another protocol.
    Upgrade,
    /// Becomes a tunnel.
    Tunnel,
    /// Answers nothing.
    Abort,
}

/// Paths, and where they lead; all others are plain.
const MANNERS: [(&str, Manner); 24] = [
    ("/echo", Manner::Echo),
    ("/pieces", Manner::Pieces),
    ("/half", Manner::Half),
    ("/behind", Manner::Behind),
    ("/late", Manner::Late),
    ("/slow", Manner::Slow),
    ("/watch", Manner::Watch),
    ("/stream", Manner::Stream),
    ("/large", Manner::Large),
    ("/sized", Manner::Sized),
    ("/inform", Manner::Inform),
    ("/204", Manner::NoContent),
    ("/304", Manner::NotModified),
    ("/short", Manner::Short),
    ("/unfinished", Manner::Unfinished),
    ("/fail", Manner::Fail),
    ("/fail-late", Manner::FailLate),
    ("/refuse", Manner::Refuse),
    ("/panic", Manner::Panic),
    ("/panic-late", Manner::PanicLate),
    ("/panic-behind", Manner::PanicBehind),
    ("/upgrade", Manner::Upgrade),
    ("", Manner::Tunnel),
    ("/abort", Manner::Abort),
];

impl Manner {
    fn of(request: &Request<'_>) -> Self {
        let path = request.path();
        let found = MANNERS.iter().find(|(has, _)| *has == path);
        found.map_or(Self::Plain, |(_, manner)| *manner)
    }

    /// Whether its answer may break off, or never come, though the client is patient.
    pub fn breaks_off(self) -> bool {
        self.never_ends() || self == Self::Pieces
    }

    /// Whether its answer must break off.
    pub fn never_ends(self) -> bool {
        matches!(
            self,
            Self::Short | Self::Unfinished | Self::FailLate | Self::PanicLate | Self::Abort
        )
    }

    /// Whether it waits for something: then its time may run out.
    pub fn waits(self) -> bool {
        let waits = matches!(self, Self::Late | Self::Slow | Self::Watch | Self::Stream);
        waits || self.reads() || self == Self::Upgrade
    }

    /// Whether no request is served after it, though its answer may not say so.
    pub fn ends_connection(self) -> bool {
        self.never_ends() || self == Self::PanicBehind
    }

    /// Whether it takes longer than a limited handler may.
    pub fn is_slow(self) -> bool {
        matches!(self, Self::Late | Self::Slow)
    }

    /// Whether it reads the body.
    pub fn reads(self) -> bool {
        matches!(self, Self::Echo | Self::Pieces | Self::Half | Self::Late)
    }

    /// The status it answers with when all goes well.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::NoContent => Some(204),
            Self::NotModified => Some(304),
            Self::Upgrade => Some(101),
            Self::Fail | Self::Refuse | Self::Panic | Self::Abort => None,
            _ => Some(200),
        }
    }
}

/// A request, and what its handler has done.
#[derive(Clone, Debug)]
pub struct Deed {
    pub method: Method,
    pub manner: Manner,
    pub version: Version,
    /// How long its body is, if it says so beforehand.
    pub length: Option<u64>,
    /// It came with an expectation.
    pub expects: bool,
    /// The body as far as it was read.
    pub body: Vec<u8>,
}

/// A stream that was handed over, and gives back what it is sent.
#[derive(Debug, Default)]
pub struct Tunnelled {
    pub read: Vec<u8>,
    /// It has been read to its end.
    pub at_end: bool,
}

/// What is known of all handlers of a connection.
#[derive(Debug, Default)]
pub struct Notes {
    pub deeds: RefCell<Vec<Deed>>,
    /// Bytes of answers that handlers got rid of.
    pub written: Cell<usize>,
    /// Bytes that the client has read.
    pub received: Rc<Cell<usize>>,
    /// The most there ever was between the two.
    pub under_way_max: Cell<usize>,
    pub tunnel: RefCell<Option<JoinHandle<Tunnelled>>>,
}

/// Which answer an answer is.
pub const NUMBER: &str = "x-number";

/// The body of those that have none of their own.
pub const PLAIN: &[u8] = b"plain";

/// What [`Manner::Stream`] sends, so many times.
static PIECE: [u8; 8 * 1024] = [b's'; 8 * 1024];
const PIECES: usize = 24;

/// More than is copied.
static LARGE: [u8; 40 * 1024] = [b'l'; 40 * 1024];

/// The longest that a handler waits for anything but its client.
const LONG: Duration = Duration::from_secs(7);

impl Notes {
    /// All bytes that were read of bodies, at the most: of one that is read whole nobody knows, if it
    /// is not got.
    pub fn taken(&self, body_bytes_max: usize) -> usize {
        let taken = |deed: &Deed| match deed.manner {
            Manner::Echo | Manner::Late => body_bytes_max,
            _ => deed.body.len(),
        };
        self.deeds.borrow().iter().map(taken).sum()
    }

    /// A request that nobody has answered.
    pub fn passed_over(&self, request: &Request<'_>) {
        self.begin(request);
    }

    fn begin(&self, request: &Request<'_>) -> (usize, Manner) {
        let mut deeds = self.deeds.borrow_mut();
        let manner = Manner::of(request);
        deeds.push(Deed {
            method: request.method().clone(),
            manner,
            version: request.version(),
            length: request.body().left(),
            expects: request.headers().contains("expect"),
            body: Vec::new(),
        });
        (deeds.len() - 1, manner)
    }

    fn took(&self, number: usize, piece: &[u8]) {
        self.deeds.borrow_mut()[number]
            .body
            .extend_from_slice(piece);
    }

    fn wrote(&self, bytes: usize) {
        let written = self.written.get() + bytes;
        self.written.set(written);
        let under_way = written.saturating_sub(self.received.get());
        self.under_way_max
            .set(self.under_way_max.get().max(under_way));
    }
}

/// The handler: does what the path says.
pub async fn behave(notes: &Notes, request: Request<'_>) -> Result<Responded> {
    let (number, manner) = notes.begin(&request);
    match manner {
        Manner::Echo | Manner::Pieces | Manner::Half | Manner::Behind | Manner::Late => {
            read(notes, manner, number, request).await
        }
        Manner::Slow | Manner::Watch => {
            let own = own(number);
            if manner == Manner::Watch {
                race(request.disconnected(), time::sleep(10 * LONG)).await;
            } else {
                time::sleep(LONG).await;
            }
            request.respond(StatusCode::OK, PLAIN, own).await
        }
        Manner::Upgrade | Manner::Tunnel => hand_over(notes, number, request).await,
        Manner::Abort => Ok(request.abort()),
        Manner::Short | Manner::Unfinished | Manner::FailLate | Manner::PanicLate => {
            break_off(notes, manner, number, request).await
        }
        Manner::Fail => Err(Error::message("on purpose")),
        Manner::Refuse => Err(Refusal::Unavailable.into()),
        Manner::Panic => panic(),
        Manner::PanicBehind => {
            drop(request.respond(StatusCode::OK, PLAIN, own(number)).await?);
            panic()
        }
        _ => send(notes, manner, number, request).await,
    }
}

/// Those that read the body.
async fn read(
    notes: &Notes,
    manner: Manner,
    number: usize,
    request: Request<'_>,
) -> Result<Responded> {
    let own = own(number);
    let ok = StatusCode::OK;
    let mut body = request.body();
    match manner {
        Manner::Half => {
            let piece = body.next().await?.unwrap_or_default();
            notes.took(number, &piece);
            request.respond(ok, PLAIN, own).await
        }
        Manner::Behind => {
            let responded = request.respond(ok, PLAIN, own).await?;
            while let Some(piece) = body.next().await? {
                notes.took(number, &piece);
            }
            Ok(responded)
        }
        Manner::Pieces => {
            let mut answer = request.start(ok, own).await?;
            while let Some(piece) = body.next().await? {
                notes.took(number, &piece);
                write(notes, &mut answer, &piece).await?;
            }
            answer.finish().await
        }
        _ => {
            if manner == Manner::Late {
                time::sleep(LONG).await;
            }
            let body = request.bytes().await?;
            notes.took(number, &body);
            request.respond(ok, body, own).await
        }
    }
}

/// Those that do not, and answer.
async fn send(
    notes: &Notes,
    manner: Manner,
    number: usize,
    request: Request<'_>,
) -> Result<Responded> {
    let own = own(number);
    let ok = StatusCode::OK;
    match manner {
        Manner::Stream => {
            let mut answer = request.start(ok, own).await?;
            for _ in 0..PIECES {
                write(notes, &mut answer, &PIECE).await?;
            }
            answer.finish_with_trailers([("x-sum", "s")]).await
        }
        Manner::Large => {
            let responded = request.respond(ok, &LARGE, own).await?;
            notes.wrote(LARGE.len());
            Ok(responded)
        }
        Manner::Sized => {
            let mut answer = request.start(ok, sized(number)).await?;
            write(notes, &mut answer, PLAIN).await?;
            answer.finish().await
        }
        Manner::Inform => {
            request.inform(StatusCode::EARLY_HINTS, [("link", "</x>")])?;
            request.respond(ok, PLAIN, own).await
        }
        Manner::NoContent => request.respond(StatusCode::NO_CONTENT, PLAIN, own).await,
        Manner::NotModified => request.respond(StatusCode::NOT_MODIFIED, PLAIN, own).await,
        _ => request.respond(ok, PLAIN, own).await,
    }
}

/// Those that give the stream away.
async fn hand_over(notes: &Notes, number: usize, request: Request<'_>) -> Result<Responded> {
    let own = own(number);
    let (responded, upgrade) = if request.method() == Method::CONNECT {
        request.tunnel(own)?
    } else {
        request.upgrade("chat", own).await?
    };
    notes.tunnel.replace(Some(spawn(give_back(upgrade))));
    Ok(responded)
}

/// Those that begin an answer and do not end it.
async fn break_off(
    notes: &Notes,
    manner: Manner,
    number: usize,
    request: Request<'_>,
) -> Result<Responded> {
    if manner == Manner::Short {
        let mut answer = request.start(StatusCode::OK, sized(number)).await?;
        write(notes, &mut answer, &PLAIN[1..]).await?;
        return answer.finish().await;
    }
    let mut answer = request.start(StatusCode::OK, own(number)).await?;
    write(notes, &mut answer, PLAIN).await?;
    time::sleep(LONG).await;
    write(notes, &mut answer, PLAIN).await?;
    match manner {
        Manner::PanicLate => panic(),
        Manner::Unfinished => drop(answer),
        _ => {}
    }
    Err(Error::message("on purpose"))
}

/// No panic hook sees it: a fuzzer takes what does for a finding.
fn panic() -> ! {
    resume_unwind(Box::new("on purpose"))
}

fn own(number: usize) -> [(&'static str, String); 1] {
    [(NUMBER, number.to_string())]
}

fn sized(number: usize) -> [(&'static str, String); 2] {
    [
        (NUMBER, number.to_string()),
        ("content-length", PLAIN.len().to_string()),
    ]
}

async fn write(notes: &Notes, answer: &mut AnswerBody<'_>, piece: &[u8]) -> Result<()> {
    answer.write(piece).await?;
    if answer.is_sent() {
        notes.wrote(piece.len());
    }
    Ok(())
}

/// The other end of a stream that was handed over.
async fn give_back(upgrade: Upgrade) -> Tunnelled {
    let mut tunnelled = Tunnelled::default();
    let Ok(mut stream) = upgrade.await else {
        return tunnelled;
    };
    let mut piece = [0; 1024];
    loop {
        // It has no deadlines but its owner's.
        match time::timeout(100 * LONG, stream.read(&mut piece)).await {
            Ok(Ok(0)) => tunnelled.at_end = true,
            Ok(Ok(count)) => {
                tunnelled.read.extend_from_slice(&piece[..count]);
                if stream.write_all(&piece[..count]).await.is_ok() {
                    continue;
                }
            }
            Ok(Err(_)) | Err(_) => {}
        }
        return tunnelled;
    }
}

/// What [`Manner`] is to answer in its body.
pub fn expected_body(deed: &Deed) -> Vec<u8> {
    match deed.manner {
        Manner::Echo | Manner::Pieces | Manner::Late => deed.body.clone(),
        Manner::Stream => PIECE.repeat(PIECES),
        Manner::Large => LARGE.to_vec(),
        _ => PLAIN.to_vec(),
    }
}
