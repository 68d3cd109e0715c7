//! A connection that pipelines as fast as it is answered, beside those whose latencies count.

use crate::answer::Judge;
use crate::connect;
use crate::connection::{Connection, Until};
use crate::options::Options;
use crate::request::Request;
use mio::net::TcpStream;
use std::error::Error;

/// Bytes sent in one turn, and bytes read: so few that a turn takes microseconds, which the others wait
/// for here and not at the server; and still more than any server answers meanwhile.
const SENT_BYTES: usize = 1024;
const READ_BYTES: usize = 4 * 1024;

/// The connection, with requests always under way.
pub(crate) struct Flooder {
    connection: Connection,
    request: Request,
    judge: Judge,
    buffer: Vec<u8>,
    /// Right answers.
    pub(crate) answers: u64,
}

impl Flooder {
    /// Connects.
    ///
    /// # Errors
    /// If it cannot, or the first request is not answered rightly.
    pub(crate) fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let one = Request::new(options, 1);
        let request = Request::new(options, (SENT_BYTES / one.one).max(1));
        let mut judge = Judge::new(request.expected.clone());
        let socket = connect::one(options.address, &request, &mut judge)?;
        Ok(Self {
            connection: Connection::new(TcpStream::from_std(socket)),
            request,
            judge,
            buffer: vec![0; READ_BYTES],
            answers: 0,
        })
    }

    /// Sends as much as there is room for, and reads what is there, but not more than a turn's bytes.
    ///
    /// # Errors
    /// If an answer is wrong, or the server has closed.
    pub(crate) fn turn(&mut self) -> Result<(), String> {
        self.connection.top_up(&mut self.request)?;
        let got = self
            .connection
            .receive(&mut self.judge, &mut self.buffer, Until::Once)?;
        self.answers += got.answers as u64;
        if got.closed {
            return Err("closed the connection that pipelines flat out".to_owned());
        }
        Ok(())
    }
}
