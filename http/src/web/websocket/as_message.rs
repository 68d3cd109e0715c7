//! The forms of a message to send.

use std::rc::Rc;
use std::sync::Arc;

use tungstenite::protocol::frame::coding::Data;

use crate::web::websocket::message::Message;

/// A message to send: a [`Message`], a text or bytes, by value or by reference. Only types of this list implement it.
///
/// | type | sent as |
/// |---|---|
/// | [`Message`] | a text or bytes, as it is |
/// | [`str`], [`String`] | a text |
/// | `[u8]`, `[u8; N]`, [`Vec<u8>`] | bytes |
/// | a reference to one of these, also an [`Rc`] or an [`Arc`] | the same |
///
/// A small message that is sent by value leaves its memory to the next one that a client sends. So an answer by value
/// costs less than one by reference.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use waterwheel::http::Result;
/// use waterwheel::http::web::websocket::{AsMessage, Message, WebSocket};
///
/// async fn send_twice(socket: &mut WebSocket, message: impl AsMessage) -> Result<()> {
///     socket.send(&message).await?;
///     socket.send(message).await?;
///     Ok(())
/// }
///
/// async fn talk(mut socket: WebSocket) -> Result<()> {
///     send_twice(&mut socket, "flour").await?;
///     send_twice(&mut socket, format!("{} sacks", 3)).await?;
///     send_twice(&mut socket, b"\x07").await?;
///     send_twice(&mut socket, Rc::new(Message::from("bran"))).await?;
///     Ok(())
/// }
/// # drop(talk);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message that can be sent",
    note = "these are: `Message`, text, bytes, and references to these"
)]
pub trait AsMessage: Outgoing {}

impl<M: Outgoing + ?Sized> AsMessage for M {}

/// The parts of an [`AsMessage`].
#[doc(hidden)]
pub trait Outgoing: Unpin {
    #[doc(hidden)]
    fn data(&self) -> Data;

    #[doc(hidden)]
    fn payload(&self) -> &[u8];

    /// Returns the memory for another message, or an empty vector if the memory is not this message's own.
    #[doc(hidden)]
    #[inline]
    fn into_memory(self) -> Vec<u8>
    where
        Self: Sized,
    {
        Vec::new()
    }
}

impl Outgoing for Message {
    #[inline]
    fn data(&self) -> Data {
        match self {
            Self::Text(_) => Data::Text,
            Self::Binary(_) => Data::Binary,
        }
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        self.as_bytes()
    }

    #[inline]
    fn into_memory(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl Outgoing for str {
    #[inline]
    fn data(&self) -> Data {
        Data::Text
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Outgoing for String {
    #[inline]
    fn data(&self) -> Data {
        Data::Text
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        self.as_bytes()
    }

    #[inline]
    fn into_memory(self) -> Vec<u8> {
        self.into_bytes()
    }
}

impl Outgoing for [u8] {
    #[inline]
    fn data(&self) -> Data {
        Data::Binary
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        self
    }
}

impl<const N: usize> Outgoing for [u8; N] {
    #[inline]
    fn data(&self) -> Data {
        Data::Binary
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        self
    }
}

impl Outgoing for Vec<u8> {
    #[inline]
    fn data(&self) -> Data {
        Data::Binary
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        self
    }

    #[inline]
    fn into_memory(self) -> Vec<u8> {
        self
    }
}

/// A pointer to a message is sent as the message, and its memory stays.
macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<M: Outgoing + ?Sized> Outgoing for $pointer {
            #[inline]
            fn data(&self) -> Data {
                (**self).data()
            }

            #[inline]
            fn payload(&self) -> &[u8] {
                (**self).payload()
            }
        }
    )*};
}

pointers!(&M, Rc<M>, Arc<M>);
