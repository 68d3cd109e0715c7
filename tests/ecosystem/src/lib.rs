//! The snippets of the page `waterwheel::guide::ecosystem`, with the libraries that they name.
//!
//! The files stand beside the page, so that its documentation shows the lines that are built here.

#[path = "../../../src/guide/ecosystem/acme.rs"]
pub mod acme;
#[path = "../../../src/guide/ecosystem/axum.rs"]
pub mod axum;
#[path = "../../../src/guide/ecosystem/channels.rs"]
pub mod channels;
#[path = "../../../src/guide/ecosystem/client.rs"]
pub mod client;
#[path = "../../../src/guide/ecosystem/hyper.rs"]
pub mod hyper;
#[path = "../../../src/guide/ecosystem/locks.rs"]
pub mod locks;
#[path = "../../../src/guide/ecosystem/logs.rs"]
pub mod logs;
#[path = "../../../src/guide/ecosystem/postgres.rs"]
pub mod postgres;
#[path = "../../../src/guide/ecosystem/rusqlite.rs"]
pub mod rusqlite;
#[path = "../../../src/guide/ecosystem/tokio_runtime.rs"]
pub mod tokio_runtime;
#[path = "../../../src/guide/ecosystem/tokio_sync.rs"]
pub mod tokio_sync;
#[path = "../../../src/guide/ecosystem/websocket.rs"]
pub mod websocket;
