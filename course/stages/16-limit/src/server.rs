//! The accept loop.

use std::future::Future;
use std::io;
use std::rc::Rc;

use crate::context::spawn;
use crate::descriptors;
use crate::http::{Limits, Request, Response, serve_one};
use crate::join_handle::JoinHandle;
use crate::net::TcpListener;
use crate::race::race;

/// The work of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The connections that were accepted.
    pub accepted: usize,
    /// The calls of `accept` that have failed, for example because no descriptor was left.
    pub failed: usize,
}

/// Serves connections until `stop` is ready. Then it waits for the requests under way.
pub async fn serve_until<H>(
    listener: TcpListener,
    limits: Limits,
    handler: H,
    stop: impl Future<Output = ()>,
) -> Report
where
    H: AsyncFn(Request) -> Response + 'static,
{
    let handler = Rc::new(handler);
    let mut report = Report::default();
    let mut requests: Vec<JoinHandle<io::Result<()>>> = Vec::new();
    let accept_loop = async {
        loop {
            // TODO 6: 1. Await `descriptors::capacity()`. So a connection stays in the kernel's queue until there is room for it.
            // 2. Accept a connection. Count it in `report`. If `accept` fails, count that, and go on with the loop.
            // 3. Spawn a task that serves it: `serve_one(stream, &limits, async |request| handler(request).await)`, with a
            //    clone of the `Rc` of the handler, in an `async move` block. Store its handle in `requests`.
            // 4. Forget the handles of the requests that have ended: `requests.retain(|request| !request.is_finished())`.
            todo!("TODO 6");
        }
    };
    race(stop, accept_loop).await;
    // From here on, the kernel refuses new connections.
    drop(listener);
    for request in requests {
        // An error is that of one client, or a panic of its handler.
        _ = request.await;
    }
    report
}
