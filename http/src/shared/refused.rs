//! Requests that the server refuses by itself, and the hook that reports them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use http::{Method, Version};

use crate::error::Refusal;

/// A request that the server has refused before a handler saw it. See
/// [`Server::on_refusal`](crate::Server::on_refusal).
///
/// Method, target and version are `Some` together, once a valid request line has come whole. They are
/// `None` if the request line itself is refused or too slow, and for a client that is turned away, because
/// its request is not read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Refused<'r> {
    /// The client's address, if the transport has addresses.
    pub peer: Option<SocketAddr>,
    /// The reason and the status.
    pub refusal: Refusal,
    /// GET …
    pub method: Option<&'r Method>,
    /// As it came.
    pub target: Option<&'r str>,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Option<Version>,
}

type Hook = Rc<dyn Fn(&Refused<'_>)>;

/// The hook, if one is set.
#[derive(Default)]
pub(crate) struct OnRefusal(RefCell<Option<Hook>>);

impl OnRefusal {
    pub(crate) fn set(&self, hook: impl Fn(&Refused<'_>) + 'static) {
        let hook: Hook = Rc::new(hook);
        let before = self.0.replace(Some(hook));
        drop(before); // its captures are foreign code: dropped outside the borrow
    }

    /// Returns the hook.
    pub(crate) fn get(&self) -> Option<Hook> {
        self.0.borrow().clone()
    }
}
