//! The works: what is asked of a server, and how.

/// What a work may need of a server: an answer to a target with a query,
pub(crate) const QUERY: &str = "a query";
/// to `/json`,
pub(crate) const JSON_PATH: &str = "/json";
/// to `/echo`,
pub(crate) const ECHO_PATH: &str = "/echo";
/// and the end of a connection that was asked for.
pub(crate) const END: &str = "an end after Connection: close";

/// One work.
pub(crate) struct Work {
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    /// Its name in words.
    pub(crate) title: &'static str,
    /// Its name at the head of a column.
    pub(crate) short: &'static str,
    /// Arguments of the load generator.
    pub(crate) load: &'static [&'static str],
    /// Arguments of the floor, which answers the same to everything.
    pub(crate) floor: &'static [&'static str],
    /// The goal of Waterwheel, as a ratio to the plain floor.
    pub(crate) goal: Option<f64>,
    /// What a server must not lack, or else it is not measured at it; `contract` finds out.
    pub(crate) needs: &'static str,
    /// How often it is measured when there is not time for everything.
    pub(crate) tier: Tier,
}

/// How much a work matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Everyone is measured at it.
    Main,
    /// Those are measured at it who may be the fastest, in many rounds, since they are close.
    Close,
    /// Those are measured at it who may be the fastest.
    Second,
}

/// All works.
pub(crate) const WORKS: [Work; 11] = [
    Work {
        goal: Some(1.0),
        tier: Tier::Main,
        ..Work::new(
            "single",
            "64 keep-alive connections",
            "64 connections",
            &["--connections", "64"],
        )
    },
    Work {
        goal: Some(1.15),
        tier: Tier::Main,
        ..Work::new(
            "pipelined",
            "64 connections, 16 requests in one write",
            "16 pipelined",
            &["--connections", "64", "--depth", "16"],
        )
    },
    Work {
        goal: Some(1.0),
        tier: Tier::Main,
        ..Work::new(
            "many",
            "4,096 keep-alive connections",
            "4,096 connections",
            &["--connections", "4096"],
        )
    },
    Work {
        goal: Some(0.85),
        tier: Tier::Main,
        floor: &["--close"],
        needs: END,
        ..Work::new(
            "close",
            "a new connection per request",
            "new connection",
            &["--connections", "64", "--close"],
        )
    },
    Work {
        floor: &["--answer", "json"],
        needs: JSON_PATH,
        tier: Tier::Close,
        ..Work::new(
            "json",
            "JSON rendered per request, 64 connections",
            "JSON",
            &["--connections", "64", "--path", "/json"],
        )
    },
    Work {
        floor: &["--answer", "json"],
        needs: JSON_PATH,
        ..Work::new(
            "json-pipelined",
            "JSON rendered per request, 16 requests in one write",
            "JSON, 16 pipelined",
            &["--connections", "64", "--depth", "16", "--path", "/json"],
        )
    },
    Work {
        floor: &["--answer", "echo"],
        needs: ECHO_PATH,
        tier: Tier::Close,
        ..Work::new(
            "echo",
            "1 KiB posted and sent back, 64 connections",
            "1 KiB echo",
            &["--connections", "64", "--path", "/echo", "--post", "1024"],
        )
    },
    Work::new(
        "typical",
        "a browser's head (350 bytes), 64 connections",
        "browser's head",
        &["--connections", "64", "--head", "typical"],
    ),
    Work::new(
        "typical-pipelined",
        "a browser's head (350 bytes), 16 in one write",
        "browser's head, 16 pipelined",
        &["--connections", "64", "--depth", "16", "--head", "typical"],
    ),
    Work {
        needs: QUERY,
        ..Work::new(
            "varied",
            "a browser's head, no two the same, 64 connections",
            "each head another",
            &["--connections", "64", "--head", "varied"],
        )
    },
    Work {
        needs: QUERY,
        ..Work::new(
            "varied-pipelined",
            "a browser's head, no two the same, 16 in one write",
            "each head another, 16 pipelined",
            &["--connections", "64", "--depth", "16", "--head", "varied"],
        )
    },
];

impl Work {
    const fn new(
        name: &'static str,
        title: &'static str,
        short: &'static str,
        load: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            title,
            short,
            load,
            floor: &[],
            goal: None,
            needs: "",
            tier: Tier::Second,
        }
    }

    /// Whether each request has a connection of its own.
    pub(crate) fn is_of_new_connections(&self) -> bool {
        self.load.contains(&"--close")
    }

    /// Whether system calls and instructions are counted at it; the others are like one of these.
    pub(crate) fn is_counted(&self) -> bool {
        ["single", "pipelined", "close"].contains(&self.name)
    }
}

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
