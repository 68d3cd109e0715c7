//! What must hold, whatever a client sends.
//!
//! Plain modules: the fuzzers include them, and so does the test that replays their corpus.
//!
//! | module | is given | and says |
//! |---|---|---|
//! | [`head`] | what a client sends | every split of it is answered alike, and well |
//! | [`chunked`] | a chunked body | a plain decoder understands the same |
//! | [`connection`] | a script of a client's doings | every answer is the one asked for, and the connection ends |
//! | [`answer`] | what a server sends | the client reads it alike in any pieces, and as httparse does |
//! | [`websocket`] | the frames of a client | tungstenite reads the same messages |
//! | [`differential`] | what a client sends | another server makes the same of it, or we know why not |
//!
//! What they are made of:
//!
//! | module | is given | and says |
//! |---|---|---|
//! | [`answers`] | what a server has sent | how it is to be read, strictly |
//! | [`decoder`] | a chunked body | what it says, by the rules of the RFC one by one |
//! | [`manners`] | a request | what handlers do with it, good and bad |
//! | [`play`] | a server, a client in memory | how they are brought together, under a paused clock |
//! | [`seen`] | a request | what a handler sees of it, and what none may |

pub mod answer;
pub mod answers;
pub mod chunked;
pub mod connection;
pub mod decoder;
pub mod differential;
pub mod head;
pub mod manners;
pub mod play;
pub mod seen;
pub mod websocket;
