//! Sessions: values that belong to one client, over many requests.
//!
//! ```
//! use waterwheel::http::web::session::{MemoryStore, ClientSession, Sessions};
//! use waterwheel::http::{Request, StatusCode};
//!
//! let sessions = Sessions::in_store(MemoryStore::new(10_000));
//! let counted = sessions.around(async |request: Request<'_>| {
//!     let session = ClientSession::of(&request)?;
//!     let visits: u32 = session.get("visits")?.unwrap_or(0) + 1;
//!     session.insert("visits", visits)?;
//!     request.respond(StatusCode::OK, visits.to_string(), ()).await
//! });
//! # drop(counted);
//! ```
//!
//! | | values are | end of a session |
//! |---|---|---|
//! | [`Sessions::in_store`] | in a [`SessionStore`]; the cookie has a random id | at once, for all copies of the cookie |
//! | [`Sessions::in_cookie`] | in the cookie, encrypted or signed; at most 4096 bytes | a copy of the cookie stays valid until its time is over |
//!
//! # How it works
//!
//! The middleware reads the session before it calls the handler. Each change replaces the Set-Cookie field that is
//! to be sent. When the handler has ended, with an answer or an error, the middleware writes the *changes* to the
//! store, and holds the answer meanwhile. So a client that follows a redirect at once finds its session. Requests at the
//! same time that change different values both succeed.
//!
//! The client can see a streamed or a large answer before the store has the changes, and an answer whose handler waits
//! after it. Call [`ClientSession::save`] before such an answer.
//!
//! A handler that panics or is dropped saves nothing.
//!
//! # Invariants
//!
//! - Never: an id that the client has chosen.
//! - Never: a cookie for a session that was only read, unless its cookie has lived for half of its time.
//! - Never: a destroyed session that another request writes back.

mod flash;
mod handle;
mod seal;
mod settings;
mod store;

pub use cookie::{Key, SameSite};
pub use flash::Flash;
pub use handle::ClientSession;
pub use settings::{InCookie, Sessions};
pub use store::{Changes, MemoryStore, SessionStore, Values};
