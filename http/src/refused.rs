//! Requests that the server answers by itself, and who is told of them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use http::{Method, Version};

use crate::error::Refusal;

/// A request that no handler has seen, because the server has refused it: what
/// [`Server::on_refusal`](crate::Server::on_refusal) is told.
///
/// Method, target and version are known together, once the request line has come whole and is sound.
/// None of the three is known if the request is refused for that line, or for being too slow with it; nor
/// if a client is turned away, who is not asked what it wants.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Refused<'r> {
    /// The client's address, if the transport has addresses.
    pub peer: Option<SocketAddr>,
    /// Why, and with which status.
    pub refusal: Refusal,
    /// GET …
    pub method: Option<&'r Method>,
    /// As it came.
    pub target: Option<&'r str>,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Option<Version>,
}

type Hook = Rc<dyn Fn(&Refused<'_>)>;

/// Who is told, if anybody is.
#[derive(Default)]
pub(crate) struct OnRefusal(RefCell<Option<Hook>>);

impl OnRefusal {
    pub(crate) fn set(&self, hook: impl Fn(&Refused<'_>) + 'static) {
        let hook: Hook = Rc::new(hook);
        let before = self.0.replace(Some(hook));
        drop(before); // what it has captured is foreign: not while it is borrowed
    }

    /// Who is to be told now.
    pub(crate) fn get(&self) -> Option<Hook> {
        self.0.borrow().clone()
    }
}
