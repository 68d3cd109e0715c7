//! Connections for the proxy: those of a client, without its requests.

use std::rc::Rc;

use bytes::BytesMut;
use http::Uri;

use super::error::RequestError;
use super::pool::{Link, checkout, put_back};
use super::stream::ClientStream;
use super::{Client, ClientShared, connect};
use crate::limits::Limits;
use crate::transport::io::Io;

pub(crate) use super::pool::Origin;

/// A connection in use, and its place in the pool. If it is dropped, it is closed.
pub(crate) struct Lease {
    link: Link,
    /// The bytes that were read and not used.
    input: BytesMut,
    origin: Origin,
    shared: Rc<ClientShared>,
}

impl Client {
    /// Returns an idle connection to a server, or `None`.
    pub(crate) async fn idle(&self, origin: &Origin) -> Option<Lease> {
        let link = checkout(&self.shared, origin).await?;
        Some(self.lease(link, origin))
    }

    /// Connects to a server.
    pub(crate) async fn connect(&self, origin: &Origin, uri: &Uri) -> Result<Lease, RequestError> {
        let limit = self.shared.options.connect_timeout;
        let link = connect::connect(&self.shared, origin, uri, limit).await?;
        Ok(self.lease(link, origin))
    }

    fn lease(&self, link: Link, origin: &Origin) -> Lease {
        Lease {
            link,
            input: BytesMut::new(),
            origin: origin.clone(),
            shared: self.shared.clone(),
        }
    }

    /// Returns the limits of an answer.
    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.options.limits
    }
}

impl Lease {
    pub(crate) fn parts(&mut self) -> (&dyn Io, &mut BytesMut) {
        (&*self.link.io, &mut self.input)
    }

    /// Lets the connection wait for its next request, unless an unused byte was read. `announced` is how many seconds
    /// the server keeps it, if it says so.
    pub(crate) fn give_back(self, announced: Option<u64>) {
        if self.input.is_empty() {
            put_back(&self.shared, &self.origin, self.link, announced, true);
        }
    }

    /// Returns the stream, for another protocol.
    pub(crate) fn into_stream(self) -> ClientStream {
        ClientStream::new(self.link.io, self.input.into(), self.link.peer)
    }
}
