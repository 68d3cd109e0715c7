//! Values that middleware hands to handlers, by their types.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::error::panics::drop_contained;

/// The values of one request, one for each type.
///
/// [`Request::extensions`](crate::Request::extensions) returns them. Middleware inserts a value, such as the user
/// that it has authenticated, and the handler gets it by its type. The values end with the request.
///
/// This is `http::Extensions` for one thread: values need not be `Send` or `Clone`, `insert` takes `&self`, and
/// `get` returns an `Rc`, which stays valid after the answer. A request without values costs no allocation.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Handler, Request, Responded, Result, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// struct User(String);
///
/// fn authenticated(handler: impl Handler) -> impl Handler {
///     async move |request: Request<'_>| {
///         let name = request.headers().get("x-user").unwrap_or("guest").to_owned();
///         request.extensions().insert(User(name));
///         handler.call(request).await
///     }
/// }
///
/// async fn greet(request: Request<'_>) -> Result<Responded> {
///     let name = request.extensions().get::<User>().map_or("stranger".to_owned(), |user| user.0.clone());
///     request.respond(StatusCode::OK, format!("hello, {name}"), ()).await
/// }
///
/// let answer = block_on(async { TestClient::new(authenticated(greet)).get("/").await });
/// assert_eq!(answer.text(), "hello, guest");
/// ```
#[derive(Default)]
pub struct Extensions {
    // A list, because a request has few values: a look through them is faster than a hash.
    values: RefCell<Vec<Rc<dyn Any>>>,
}

impl Extensions {
    /// Inserts a value. Returns the value of the same type that was there before.
    pub fn insert<T: 'static>(&self, value: T) -> Option<Rc<T>> {
        // Removed first, so that the borrow has ended when the caller drops the old value.
        let before = self.remove::<T>();
        self.values.borrow_mut().push(Rc::new(value));
        before
    }

    /// Returns the value of this type.
    pub fn get<T: 'static>(&self) -> Option<Rc<T>> {
        let values = self.values.borrow();
        let found = values.iter().find(|value| value.is::<T>())?;
        found.clone().downcast().ok()
    }

    /// Removes the value of this type, and returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// let extensions = waterwheel::http::Extensions::default();
    /// extensions.insert(7_u32);
    /// assert_eq!(extensions.remove::<u32>().as_deref(), Some(&7));
    /// assert_eq!(extensions.remove::<u32>(), None);
    /// ```
    pub fn remove<T: 'static>(&self) -> Option<Rc<T>> {
        let mut values = self.values.borrow_mut();
        let place = values.iter().position(|value| value.is::<T>())?;
        values.swap_remove(place).downcast().ok()
    }

    /// Returns true if there is a value of this type.
    ///
    /// # Examples
    ///
    /// ```
    /// let extensions = waterwheel::http::Extensions::default();
    /// extensions.insert("miller");
    /// assert!(extensions.contains::<&str>());
    /// assert!(!extensions.contains::<String>());
    /// ```
    pub fn contains<T: 'static>(&self) -> bool {
        self.values.borrow().iter().any(|value| value.is::<T>())
    }

    /// Returns the number of values.
    ///
    /// # Examples
    ///
    /// ```
    /// let extensions = waterwheel::http::Extensions::default();
    /// extensions.insert(1_u8);
    /// extensions.insert(2_u8); // takes the place of the first: they have the same type
    /// assert_eq!(extensions.len(), 1);
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        self.values.borrow().len()
    }

    /// Returns true if there are no values.
    ///
    /// # Examples
    ///
    /// ```
    /// let extensions = waterwheel::http::Extensions::default();
    /// assert!(extensions.is_empty());
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true if there are no values and no memory for any.
    #[inline]
    pub(crate) fn is_clean(&mut self) -> bool {
        self.values.get_mut().capacity() == 0
    }

    /// Drops all values.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if !self.is_clean() {
            self.drop_values();
        }
    }

    #[cold]
    fn drop_values(&mut self) {
        // One by one: each may be of the user's making, and may panic when it is dropped.
        std::mem::take(self.values.get_mut())
            .into_iter()
            .for_each(drop_contained);
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_of_each_type() {
        let extensions = Extensions::default();
        assert_eq!(extensions.insert(1_u8).as_deref(), None);
        assert_eq!(extensions.insert("one").as_deref(), None);
        assert_eq!(extensions.insert(2_u8).as_deref(), Some(&1));
        assert_eq!(extensions.get::<u8>().as_deref(), Some(&2));
        assert_eq!((extensions.len(), extensions.contains::<u16>()), (2, false));
        assert_eq!(extensions.remove::<&str>().as_deref(), Some(&"one"));
        assert_eq!(extensions.get::<&str>(), None);
    }

    #[test]
    fn a_destructor_that_panics_takes_no_other_value_along() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("on purpose");
            }
        }
        let other = Rc::new(());
        let mut extensions = Extensions::default();
        extensions.insert(Panics);
        extensions.insert(other.clone());
        extensions.clear();
        assert!(extensions.is_clean());
        assert_eq!(Rc::strong_count(&other), 1);
    }
}
