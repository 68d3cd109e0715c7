//! The arguments of a server here: its address, the folder with its files, and the part of the measurement.
#![allow(dead_code, reason = "each server uses a part of it")]

use std::path::PathBuf;

/// A part of the measurement.
pub(crate) enum Part {
    /// `Hello, World!` over TLS.
    Tls,
    /// Each message is sent back.
    WebSocket,
    /// `/small` and `/large` are JSON, compressed at this level.
    Gzip(u32),
}

/// The arguments of a server.
pub(crate) struct Arguments {
    /// Where it listens.
    pub(crate) address: String,
    folder: PathBuf,
    /// The kind of answers that the program serves.
    pub(crate) part: Part,
}

impl Arguments {
    /// Reads the command line.
    pub(crate) fn read() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let part = match words[2].as_str() {
            "tls" => Part::Tls,
            "websocket" => Part::WebSocket,
            level => Part::Gzip(level.parse().expect("tls, websocket, or a level of gzip")),
        };
        Self {
            address: words[0].clone(),
            folder: PathBuf::from(&words[1]),
            part,
        }
    }

    /// Returns the path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Reads the bodies of `/small` and `/large`.
    pub(crate) fn bodies(&self) -> [&'static [u8]; 2] {
        ["small", "large"].map(|name| &*std::fs::read(self.file(name)).unwrap_or_default().leak())
    }
}
