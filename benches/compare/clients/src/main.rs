//! Sends requests by one client on a warm pool, and prints its CPU time per request in nanoseconds.
//!
//! ```text
//! clients waterwheel|hyper-util|ureq URI EXPECTED_BYTES POSTED_BYTES CONNECTIONS REQUESTS
//! ```
//!
//! `clients.py` runs it in alternation. If no bytes are posted, the request is a GET.
#![allow(clippy::print_stdout, reason = "the result is a line")]

use std::error::Error;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nix::time::{ClockId, clock_gettime};

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
struct Work {
    uri: Uri,
    expected: usize,
    posted: Bytes,
    connections: usize,
    requests: usize,
}

impl Work {
    fn check(&self, body: &[u8]) {
        assert_eq!(body.len(), self.expected, "a wrong answer");
    }

    /// Returns how many requests each connection sends.
    fn share(&self, requests: usize) -> usize {
        requests.div_ceil(self.connections)
    }

    /// Returns the rounds: one that warms up, and the one that counts.
    fn rounds(&self) -> [usize; 2] {
        [self.requests / 10, self.requests]
    }

    fn print(&self, before: i64, after: i64) {
        let sent = i64::try_from(self.share(self.requests) * self.connections);
        println!("{}", (after - before) / sent.unwrap_or(i64::MAX));
    }
}

fn cpu_nanoseconds() -> Result<i64, Failure> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

fn waterwheel(work: &Work) -> Result<(), Failure> {
    use waterwheel::http::client::Client;
    use waterwheel::runtime::{block_on, spawn};

    block_on(async {
        let client = Client::new();
        let mut marks = Vec::new();
        for requests in work.rounds() {
            marks.push(cpu_nanoseconds()?);
            let share = work.share(requests);
            let mut tasks = Vec::new();
            for _ in 0..work.connections {
                let (client, work) = (client.clone(), work.clone());
                tasks.push(spawn(async move {
                    for _ in 0..share {
                        let request = if work.posted.is_empty() {
                            client.get(work.uri.clone())
                        } else {
                            client.post(work.uri.clone()).body(work.posted.clone())
                        };
                        work.check(&request.send().await?.bytes().await?);
                    }
                    Ok::<(), waterwheel::http::client::RequestError>(())
                }));
            }
            for task in tasks {
                task.await.map_err(|error| error.to_string())??;
            }
        }
        work.print(marks[1], cpu_nanoseconds()?);
        Ok(())
    })
}

fn hyper_util(work: &Work) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client =
            hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        let mut marks = Vec::new();
        for requests in work.rounds() {
            marks.push(cpu_nanoseconds()?);
            let share = work.share(requests);
            let mut tasks = Vec::new();
            for _ in 0..work.connections {
                let (client, work) = (client.clone(), work.clone());
                tasks.push(tokio::spawn(async move {
                    for _ in 0..share {
                        let mut request = Request::new(Full::new(work.posted.clone()));
                        *request.uri_mut() = work.uri.clone();
                        if !work.posted.is_empty() {
                            *request.method_mut() = Method::POST;
                        }
                        let answer = client.request(request).await?;
                        work.check(&answer.into_body().collect().await?.to_bytes());
                    }
                    Ok::<(), Failure>(())
                }));
            }
            for task in tasks {
                task.await??;
            }
        }
        work.print(marks[1], cpu_nanoseconds()?);
        Ok(())
    })
}

fn ureq(work: &Work) -> Result<(), Failure> {
    let agent = ureq::Agent::new_with_defaults();
    let mut marks = Vec::new();
    for requests in work.rounds() {
        marks.push(cpu_nanoseconds()?);
        for _ in 0..requests {
            let mut answer = if work.posted.is_empty() {
                agent.get(work.uri.clone()).call()?
            } else {
                agent.post(work.uri.clone()).send(&work.posted[..])?
            };
            work.check(&answer.body_mut().read_to_vec()?);
        }
    }
    work.print(marks[1], cpu_nanoseconds()?);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, uri, expected, posted, connections, requests] = &arguments[..] else {
        return Err("usage: clients PEER URI EXPECTED POSTED CONNECTIONS REQUESTS".into());
    };
    let work = Work {
        uri: uri.parse()?,
        expected: expected.parse()?,
        posted: vec![b'x'; posted.parse()?].into(),
        connections: connections.parse()?,
        requests: requests.parse()?,
    };
    match peer.as_str() {
        "waterwheel" => waterwheel(&work),
        "hyper-util" => hyper_util(&work),
        "ureq" => ureq(&work),
        _ => Err("no such peer".into()),
    }
}
