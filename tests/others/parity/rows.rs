//! The ids of all rows: the features of five servers, one by one.
//!
//! A row is done when a test whose name begins with its id passes. `parity.md` beside this folder names the
//! rows with another answer than the original's, and the reasons.

/// The features of the five servers, by the letter of each: Nim's asynchttpserver (with an R behind the
/// letter, its loop), rouille, mini-async-http, `micro_http_async`, the server at the end of the Rust Book.
#[rustfmt::skip]
pub(crate) const ROWS: &[&str] = &[
    "N-01", "N-02", "N-03", "N-04", "N-05", "N-06", "N-07", "N-08", "N-09", "N-10", "N-11", "N-12",
    "N-13", "N-14", "N-15", "N-20", "N-21", "N-22", "N-23", "N-24", "N-25", "N-26", "N-30", "N-31",
    "N-32", "N-33", "N-34", "N-35", "N-36", "N-37", "N-38", "N-40", "N-41", "N-42", "N-43", "N-44",
    "N-45", "N-46", "N-47", "N-48", "N-49", "N-50", "N-51", "N-52", "N-53", "N-54", "N-55", "N-56",
    "N-57", "N-58", "N-58a", "N-58b", "N-58c", "N-58d", "N-58e", "N-59", "N-60", "N-61", "N-62",
    "N-63", "N-64", "N-65", "N-66", "N-70", "N-71", "N-72", "N-73", "N-74", "N-75", "N-76", "N-77",
    "N-78", "N-79", "N-80", "N-81", "N-82", "N-83", "N-84", "N-85", "N-86", "N-90", "N-91", "N-92",
    "N-R1", "N-R2", "N-R3", "N-R4", "N-R5", "N-R6", "N-R7", "N-R8",
    "R-01", "R-02", "R-03", "R-04", "R-05", "R-06", "R-07", "R-08", "R-09", "R-10", "R-11", "R-12",
    "R-13", "R-14", "R-15", "R-16", "R-17", "R-18", "R-19", "R-20", "R-21", "R-22", "R-23", "R-24",
    "R-25", "R-26", "R-27", "R-40", "R-41", "R-42", "R-43", "R-44", "R-45", "R-46", "R-47", "R-48",
    "R-49", "R-50", "R-51", "R-52", "R-53",
    "A-01", "A-02", "A-03", "A-04", "A-05", "A-06", "A-07", "A-08", "A-09", "A-10", "A-11", "A-12",
    "A-13", "A-14", "A-15", "A-16", "A-17", "A-18", "A-19", "A-20", "A-21", "A-22", "A-23", "A-24",
    "A-25", "A-26", "A-27",
    "M-01", "M-02", "M-03", "M-04", "M-05", "M-06", "M-07", "M-08", "M-09", "M-10", "M-11", "M-12",
    "M-13", "M-14", "M-15", "M-16", "M-17", "M-18",
    "B-01", "B-02", "B-03", "B-04", "B-05", "B-06", "B-07", "B-08", "B-09",
];

/// The tests of two servers: Nim's tests of its server, and those of `tiny_http`.
#[rustfmt::skip]
pub(crate) const SUITES: &[&str] = &[
    "T-N1", "T-N2", "T-N3", "T-N4", "T-N5", "T-N6", "T-N7", "T-N8", "T-N9", "T-N10", "T-N11",
    "T-N12", "T-N13", "T-N14", "T-N15",
    "T-R1", "T-R2", "T-R3", "T-R4", "T-R5", "T-R6", "T-R7", "T-R8", "T-R9", "T-R10", "T-R11",
    "T-R12", "T-R13", "T-R14", "T-R15", "T-R16", "T-R17", "T-R18", "T-R19", "T-R20",
];
