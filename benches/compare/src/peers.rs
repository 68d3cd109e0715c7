//! Who is compared: the servers by name, and how each is to be treated.

use crate::servers::{Class, Server, Source};

/// The name under which Waterwheel is measured.
pub(crate) const OURS: &str = "waterwheel";

/// The plain floor: one `read` and one `write` per readiness, level-triggered. Goals are ratios to it.
pub(crate) const PLAIN_FLOOR: &str = "floor-read";

/// The floor's cheaper ways, by `recv` and `send`: which of them is the fastest depends on the work.
pub(crate) const FLOORS: [&str; 3] = ["floor-level", "floor-edge", "floor-mio"];

/// Those that have connections kept back until they can be read, and read straight after accept, which
/// counts where each request has a connection of its own.
pub(crate) const EAGER_FLOORS: [&str; 2] = ["floor-level-eager-defer", "floor-mio-eager-defer"];

/// How a server is given a handler whose future holds 4 KiB.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Large {
    /// By another package.
    Package(&'static str),
    /// By a further argument.
    Argument,
    /// By another path.
    Path,
    /// Not at all: its handlers are no futures.
    None,
}

/// One of those that are compared.
struct Peer {
    name: &'static str,
    source: Source,
    /// What cargo calls what it is made of, to tell its version.
    crates: &'static str,
    class: Class,
    large: Large,
    remark: &'static str,
}

/// What is to be known of hyper as it is used here.
const HYPER: &str = "pipeline_flush is on, which is off by default; no timer, so no timeouts";

/// What is to be known of those with a thread that only accepts.
const ACCEPTOR: &str = "accepts on a thread of its own";

static PEERS: [Peer; 16] = [
    Peer::new(OURS, Source::Project, "waterwheel", Class::Contender)
        .large(Large::Package("server-waterwheel-large")),
    Peer::new(
        "hyper",
        Source::Package("server-hyper"),
        "hyper",
        Class::Contender,
    )
    .large(Large::Argument)
    .remark(HYPER),
    Peer::new("axum", Source::Package("server-axum"), "axum", Class::Peer)
        .large(Large::Path)
        .remark("no timeouts and no pipeline_flush, as axum::serve has it"),
    Peer::new(
        "actix-web",
        Source::Package("server-actix"),
        "actix-web",
        Class::Contender,
    )
    .large(Large::Path)
    .remark(ACCEPTOR),
    Peer::new(
        "ntex",
        Source::Package("server-ntex"),
        "ntex",
        Class::Contender,
    )
    .large(Large::Path)
    .remark("on tokio; accepts on a thread of its own"),
    Peer::new(
        "may_minihttp",
        Source::Package("server-may-minihttp"),
        "may_minihttp",
        Class::Contender,
    )
    .remark(
        "coroutines with stacks of their own; several threads, one of which works; \
         no TCP_DEFER_ACCEPT, no TCP_NODELAY",
    ),
    Peer::new(
        "xitca-web",
        Source::Package("server-xitca"),
        "xitca-web",
        Class::Contender,
    )
    .large(Large::Path)
    .remark(ACCEPTOR),
    Peer::new(
        "smol-hyper",
        Source::Package("server-smol-hyper"),
        "smol-hyper",
        Class::Peer,
    )
    .large(Large::Argument)
    .remark(HYPER),
    Peer::new(
        "rouille",
        Source::Package("server-rouille"),
        "rouille",
        Class::Slow,
    )
    .remark("several threads on the one core; no TCP_DEFER_ACCEPT, no TCP_NODELAY"),
    Peer::new(
        "tiny_http",
        Source::Package("server-tiny-http"),
        "tiny_http",
        Class::Slow,
    )
    .remark("several threads on the one core"),
    Peer::new(
        "mini-async-http",
        Source::Package("server-mini-async-http"),
        "mini_async_http",
        Class::Slow,
    )
    .remark("two threads on the one core; no TCP_DEFER_ACCEPT, no TCP_NODELAY"),
    Peer::new("nginx", Source::Script("nginx"), "", Class::Contender).remark(
        "fixed text, /json too; no echo; room for 19,000 connections is allocated at start",
    ),
    Peer::new("node", Source::Script("node"), "", Class::Slow)
        .remark("Node's own http; threads in the background; no TCP_DEFER_ACCEPT"),
    Peer::new("python", Source::Script("python"), "", Class::Slow)
        .remark("http.server, a thread per connection; stands for what comes with a language"),
    Peer::new("go", Source::Script("go"), "", Class::Peer).remark("net/http with GOMAXPROCS=1"),
    Peer::new("nim", Source::Script("nim"), "", Class::Slow)
        .remark("asynchttpserver; no TCP_DEFER_ACCEPT, no TCP_NODELAY"),
];

impl Peer {
    const fn new(name: &'static str, source: Source, crates: &'static str, class: Class) -> Self {
        Self {
            name,
            source,
            crates,
            class,
            large: Large::None,
            remark: "",
        }
    }

    const fn large(mut self, large: Large) -> Self {
        self.large = large;
        self
    }

    const fn remark(mut self, remark: &'static str) -> Self {
        self.remark = remark;
        self
    }

    fn server(&self) -> Server {
        Server {
            name: self.name.to_owned(),
            source: self.source.clone(),
            arguments: Vec::new(),
            path: "/plaintext",
            crates: self.crates,
            class: self.class,
            remark: self.remark,
        }
    }
}

/// The servers of these names; `floor` stands for the plain one and its cheaper ways, `all` for
/// everyone but the floor.
///
/// # Errors
/// For a name that none has.
pub(crate) fn named(names: &str) -> Result<Vec<Server>, String> {
    let mut servers = Vec::new();
    for name in names.split(',') {
        match name {
            "all" => servers.extend(PEERS.iter().map(Peer::server)),
            "floor" => {
                servers.push(floor(PLAIN_FLOOR));
                servers.extend(FLOORS.map(floor));
            }
            name if is_floor(name) => servers.push(floor(name)),
            name => {
                let peer = find(name).ok_or_else(|| format!("no such server: {name}"))?;
                servers.push(peer.server());
            }
        }
    }
    Ok(servers)
}

fn is_floor(name: &str) -> bool {
    name == PLAIN_FLOOR || FLOORS.contains(&name) || EAGER_FLOORS.contains(&name)
}

fn find(name: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name)
}

/// Where a server stands among all, to list them in the same order always.
pub(crate) fn rank(name: &str) -> usize {
    let known = PEERS.iter().position(|peer| peer.name == name);
    known.unwrap_or(PEERS.len())
}

/// One way of the floor.
pub(crate) fn floor(name: &str) -> Server {
    let words = name.trim_start_matches("floor-").split('-');
    let mut arguments = vec!["--mode".to_owned()];
    for (index, word) in words.enumerate() {
        arguments.push(if index == 0 {
            word.to_owned()
        } else {
            format!("--{word}")
        });
    }
    Server {
        name: name.to_owned(),
        source: Source::Package("floor"),
        arguments,
        path: "/plaintext",
        crates: "",
        class: Class::Other,
        remark: "",
    }
}

/// The same server with a handler whose future holds 4 KiB, where it can have one.
pub(crate) fn large(name: &str) -> Option<Server> {
    let peer = find(name)?;
    let server = peer.server();
    Some(match peer.large {
        Large::Package(package) => Server {
            source: Source::Package(package),
            ..server
        },
        Large::Argument => Server {
            arguments: vec!["large".to_owned()],
            ..server
        },
        Large::Path => Server {
            path: "/large",
            ..server
        },
        Large::None => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{large, named};

    #[test]
    fn the_floor_has_four_ways_and_others_that_can_be_named() {
        let floors = named("floor,floor-mio-eager-defer").unwrap_or_default();
        assert_eq!(floors.len(), 5);
        assert_eq!(floors[0].arguments, ["--mode", "read"]);
        assert_eq!(floors[4].arguments, ["--mode", "mio", "--eager", "--defer"]);
        assert!(named("nobody").is_err());
    }

    #[test]
    fn whoever_takes_no_futures_has_no_large_handler() {
        assert!(large("hyper").is_some());
        assert!(large("nginx").is_none());
    }
}
