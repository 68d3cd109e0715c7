//! The works: what is asked of a server, and how.

/// One work.
pub(crate) struct Work {
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    /// Its name in words.
    pub(crate) title: &'static str,
    /// Arguments of the load generator.
    pub(crate) load: &'static [&'static str],
    /// Arguments of the floor, which answers the same to everything.
    pub(crate) floor: &'static [&'static str],
    /// The goal of Waterwheel, as a ratio to the floor.
    pub(crate) goal: Option<f64>,
}

/// All works.
pub(crate) const WORKS: [Work; 7] = [
    Work {
        name: "single",
        title: "64 keep-alive connections",
        load: &["--connections", "64"],
        floor: &[],
        goal: Some(1.0),
    },
    Work {
        name: "pipelined",
        title: "64 connections, 16 pipelined",
        load: &["--connections", "64", "--depth", "16"],
        floor: &[],
        goal: Some(1.15),
    },
    Work {
        name: "many",
        title: "4,096 keep-alive connections",
        load: &["--connections", "4096"],
        floor: &[],
        goal: Some(1.0),
    },
    Work {
        name: "close",
        title: "a new connection per request",
        load: &["--connections", "64", "--close"],
        floor: &["--close"],
        goal: Some(0.85),
    },
    Work {
        name: "json",
        title: "JSON rendered per request, 64 connections",
        load: &["--connections", "64", "--path", "/json"],
        floor: &["--answer", "json"],
        goal: None,
    },
    Work {
        name: "json-pipelined",
        title: "JSON rendered per request, 64 connections, 16 pipelined",
        load: &["--connections", "64", "--depth", "16", "--path", "/json"],
        floor: &["--answer", "json"],
        goal: None,
    },
    Work {
        name: "echo",
        title: "1 KiB posted and echoed, 64 connections",
        load: &["--connections", "64", "--path", "/echo", "--post", "1024"],
        floor: &["--answer", "echo"],
        goal: None,
    },
];

/// The works of these names, or `all`.
///
/// # Errors
/// For a name that none has.
pub(crate) fn named(names: &str) -> Result<Vec<&'static Work>, String> {
    if names == "all" {
        return Ok(WORKS.iter().collect());
    }
    let known = || WORKS.map(|work| work.name).join(", ");
    names
        .split(',')
        .map(|name| {
            find(name).ok_or_else(|| format!("no such work: {name} (there are {})", known()))
        })
        .collect()
}

/// The work of this name.
pub(crate) fn find(name: &str) -> Option<&'static Work> {
    WORKS.iter().find(|work| work.name == name)
}
