//! What sites are made of: pieces over the public interface, each behind a feature of its name.
//!
//! | feature | |
//! |---|---|
//! | `around` | [`around`]: access log, request ids, limits, handlers that block |
//! | `events` | [`events`]: server-sent events |
//! | `files` | [`files`]: folders of static files; [`conditional`], [`range`], [`coding`]: what they are made of |
//! | `multipart` | [`multipart`]: forms with files in them |
//! | `templates` | [`templates`]: pages |

#[cfg(feature = "around")]
pub mod around;
#[cfg(feature = "files")]
pub mod coding;
#[cfg(feature = "files")]
pub mod conditional;
#[cfg(feature = "events")]
pub mod events;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "multipart")]
pub mod multipart;
#[cfg(feature = "files")]
pub mod range;
#[cfg(feature = "templates")]
pub mod templates;
