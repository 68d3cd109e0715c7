//! A service of hyper with state that is not `Send`, and a client's side that asks it.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use waterwheel::runtime::Notify;
use waterwheel::runtime::net::{TcpListener, TcpStream};

/// The state of a service.
#[derive(Clone, Default)]
pub(crate) struct Mill {
    /// The path of each request.
    pub seen: Rc<RefCell<Vec<String>>>,
    /// Wakes the requests for `/slow`.
    pub ground: Rc<Notify>,
    /// The number of requests for `/slow` that have begun.
    pub slow: Rc<Cell<usize>>,
}

/// Answers with the number of the body's bytes. `/slow` waits for [`ground`](Mill::ground) first.
impl Service<Request<Incoming>> for Mill {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mill = self.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            mill.seen.borrow_mut().push(path.clone());
            if path == "/slow" {
                let ground = mill.ground.notified();
                mill.slow.set(mill.slow.get() + 1);
                ground.await;
            }
            let body = read(request.into_body()).await;
            Ok(Response::new(format!("{} bytes", body.len()).into()))
        })
    }
}

/// Reads a whole body.
pub(crate) async fn read<B>(body: B) -> Bytes
where
    B: Body,
    B::Error: Debug,
{
    body.collect().await.unwrap().to_bytes()
}

/// Returns a request with a body of `length` bytes.
pub(crate) fn post(target: impl AsRef<str>, length: usize) -> Request<Full<Bytes>> {
    let request = Request::post(target.as_ref()).header("host", "mill");
    request.body(vec![b'x'; length].into()).unwrap()
}

/// Connects to a listener.
pub(crate) async fn connect(listener: &TcpListener) -> TcpStream {
    let address = listener.local_address().unwrap();
    TcpStream::connect(address).await.unwrap()
}
