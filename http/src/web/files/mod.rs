//! Folders of static files.
//!
//! ```no_run
//! use waterwheel::http::Server;
//! use waterwheel::http::web::files::Files;
//! use waterwheel::runtime::block_on;
//!
//! # fn main() -> std::io::Result<()> {
//! let files = Files::new("public")?;
//! block_on(async { Server::bind("127.0.0.1:8080")?.serve(files).await })
//! # }
//! ```
//!
//! # Features
//!
//! - Content-Type by the ending of the name; ETag and Last-Modified; conditional requests and one or several
//!   ranges (RFC 9110, 13 and 14); HEAD.
//! - `index.html` for a folder, and a redirection to the path with a slash.
//! - Optional: precompressed files ([`Files::precompressed`]), lists of folders ([`Files::listing`]), dot
//!   files ([`Files::dot_files`]), links out of the folder ([`Files::symlinks`]).
//!
//! # How it works
//!
//! ```text
//! path ─► target ─► search: in the kernel's caches, else on the pool ─► answer: head, then sendfile
//!           │              │
//!           └─ invalid ────┴─ absent ─► 404
//! ```
//!
//! # Invariants
//!
//! - Always: the same 404 for an absent file and for a file that must not be served. So a client cannot tell
//!   them apart.
//! - Never: a file outside the folder, unless [`Symlinks::Anywhere`] allows it.
//! - Never: a wait for a disk on the runtime's thread.

mod answer;
mod folder;
mod listing;
mod options;
mod refuse;
mod search;
mod sys;
mod target;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use rustix::io::Errno;
use waterwheel_runtime::spawn_blocking;

use crate::error::Result;
use crate::exchange::handler::Handler;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::web::coding::AcceptedCodings;
use crate::web::nested;

pub use options::{DotFiles, Symlinks};

use folder::Folder;
use options::{Listing, Options, Precompressed};
use refuse::{NO_FIELDS, refuse};
use search::{FoundItem, Search};
use sys::Reach;
use target::FileTarget;

/// A handler that serves the files of a folder.
///
/// The folder is opened at once, so a folder that replaces it later is not noticed. Each file is opened for
/// its request, so changes are visible at once.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("waterwheel-files-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # std::fs::write(folder.join("rye.txt"), "rye")?;
/// use std::time::Duration;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::files::{DotFiles, Files, Symlinks};
/// use waterwheel::runtime::block_on;
///
/// let files = Files::new(&folder)?
///     .index(["index.html", "index.htm"])
///     .dot_files(DotFiles::Refuse)
///     .symlinks(Symlinks::Refuse)
///     .max_age(Duration::from_secs(60));
/// let answer = block_on(async { TestClient::new(files).get("/rye.txt").await });
/// assert_eq!(answer.headers["cache-control"], "public, max-age=60");
/// assert_eq!(answer.text(), "rye");
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Files {
    folder: Arc<Folder>,
    options: Arc<Options>,
}

impl Files {
    /// Serves a folder.
    ///
    /// # Errors
    ///
    /// If the folder does not exist or must not be searched.
    pub fn new(folder: impl AsRef<Path>) -> io::Result<Self> {
        let options = Options {
            prefix: String::new(),
            index: vec!["index.html".to_owned()],
            dot_files: DotFiles::default(),
            symlinks: Symlinks::default(),
            listing: Listing::default(),
            precompressed: Precompressed::default(),
            max_age: None,
        };
        Ok(Self {
            folder: Arc::new(Folder::open(folder.as_ref())?),
            options: Arc::new(options),
        })
    }

    /// Removes a prefix from each path. A path without the prefix is answered with 404. With `/static`, the
    /// path `/static/site.css` is the file `site.css`.
    ///
    /// ```no_run
    /// use waterwheel::http::web::files::Files;
    /// # #[cfg(feature = "routes")]
    /// # fn main() -> std::io::Result<()> {
    /// use waterwheel::http::web::routes::Router;
    ///
    /// let router = Router::new()
    ///     .get("/", async || "a page")
    ///     .get("/static/{*path}", Files::new("public")?.below("/static"));
    /// # drop(router);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "routes"))]
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn below(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        self.with(|options| prefix.trim_end_matches('/').clone_into(&mut options.prefix))
    }

    /// Sets the index names. The first that exists is served for its folder. The default is `index.html`.
    #[must_use]
    pub fn index<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.with(|options| options.index = names.into_iter().map(Into::into).collect())
    }

    /// Sets if names that begin with a dot are served. The default is [`DotFiles::Refuse`].
    #[must_use]
    pub fn dot_files(self, choice: DotFiles) -> Self {
        self.with(|options| options.dot_files = choice)
    }

    /// Sets which symbolic links are followed. The default is [`Symlinks::Within`].
    #[must_use]
    pub fn symlinks(self, choice: Symlinks) -> Self {
        self.with(|options| options.symlinks = choice)
    }

    /// Lists folders without an index. Names that a request cannot name are left out. Off by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::files::Files;
    /// use waterwheel::runtime::block_on;
    ///
    /// let files = Files::new(".")?.listing().precompressed();
    /// let answer = block_on(async { TestClient::new(files).get("/").await });
    /// assert!(answer.text().contains("Cargo.toml"));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn listing(self) -> Self {
        self.with(|options| options.listing = Listing::Show)
    }

    /// Serves `a.css.br`, `a.css.zst` or `a.css.gz` as `a.css`, if the client accepts the coding. Off by
    /// default.
    ///
    /// The original must exist. A compressed file that is older than its original is ignored.
    #[must_use]
    pub fn precompressed(self) -> Self {
        self.with(|options| options.precompressed = Precompressed::Serve)
    }

    /// Sets the time for which caches may keep a file without asking again. Not sent by default.
    #[must_use]
    pub fn max_age(self, age: Duration) -> Self {
        self.with(|options| options.max_age = Some(age))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.options));
        self
    }

    /// Looks for the file of a request. Returns `None` if there is no file to serve, so that the handler can
    /// answer in another way.
    ///
    /// # Errors
    ///
    /// 503 if the process or the system lacks descriptors or memory. An error of the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::files::Files;
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn file_or_page(files: &Files, request: Request<'_>) -> Result<Responded> {
    ///     match files.find(&request).await? {
    ///         Some(found) => found.respond(request).await,
    ///         None => request.respond(StatusCode::NOT_FOUND, "gone fishing\n", ()).await,
    ///     }
    /// }
    /// ```
    pub async fn find(&self, request: &Request<'_>) -> Result<Option<FileAnswer>> {
        let path = nested::path(request).strip_prefix(self.options.prefix.as_str());
        // The prefix `/a` is not one of `/ab`.
        match path.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            Some(path) => self.find_path(request, path).await,
            None => Ok(None),
        }
    }

    /// Looks for the file of another path, encoded as in a request: `/a%20b.txt`.
    ///
    /// # Errors
    ///
    /// The errors of [`find`](Self::find).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::files::Files;
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// /// Serves the page of a language.
    /// async fn page(files: &Files, request: Request<'_>) -> Result<Responded> {
    ///     match files.find_path(&request, "/de/index.html").await? {
    ///         Some(file) => file.respond(request).await,
    ///         None => request.respond(StatusCode::NOT_FOUND, "no such page\n", ()).await,
    ///     }
    /// }
    /// ```
    pub async fn find_path(&self, request: &Request<'_>, path: &str) -> Result<Option<FileAnswer>> {
        let Some(target) = FileTarget::parse(path, self.options.dot_files) else {
            return Ok(None);
        };
        let search = Search {
            folder: self.folder.clone(),
            options: self.options.clone(),
            target,
            accepted: AcceptedCodings::of(request.headers()),
        };
        let found = match search.run(Reach::Memory) {
            Err(Errno::AGAIN) => spawn_blocking(move || search.run(Reach::Disk)).await?,
            found => found,
        };
        let max_age = self.options.max_age;
        let found = found.map_err(answer::error)?;
        Ok(found.map(|found| FileAnswer { found, max_age }))
    }
}

/// Answers GET and HEAD with the file or 404, and other methods with 405.
impl Handler for Files {
    async fn call(&self, request: Request<'_>) -> Result<Responded> {
        if !is_read(request.method()) {
            return Ok(refuse(request, StatusCode::METHOD_NOT_ALLOWED, [ALLOW]));
        }
        match self.find(&request).await? {
            Some(found) => found.respond(request).await,
            None => Ok(refuse(request, StatusCode::NOT_FOUND, NO_FIELDS)),
        }
    }
}

/// A file that was found, and is open. It answers one request.
///
/// ```
/// use waterwheel::http::web::files::{FileAnswer, Files};
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn logo(files: &Files, request: Request<'_>) -> Result<Responded> {
///     let found: Option<FileAnswer> = files.find_path(&request, "/logo.svg").await?;
///     match found {
///         Some(file) => file.respond(request).await,
///         None => request.respond(StatusCode::NOT_FOUND, "no logo\n", ()).await,
///     }
/// }
/// ```
pub struct FileAnswer {
    found: FoundItem,
    max_age: Option<Duration>,
}

impl FileAnswer {
    /// Answers with the file. Methods other than GET and HEAD are answered with 405.
    ///
    /// # Errors
    ///
    /// If the file becomes shorter while it is sent; the connection is then closed. And the errors of
    /// [`Request::respond`].
    pub async fn respond(self, request: Request<'_>) -> Result<Responded> {
        if !is_read(request.method()) {
            return Ok(refuse(request, StatusCode::METHOD_NOT_ALLOWED, [ALLOW]));
        }
        match self.found {
            FoundItem::File(file) => answer::respond(request, file, self.max_age).await,
            FoundItem::FolderWithoutSlash => redirect(request).await,
            FoundItem::List(entries) => {
                let page = listing::page(request.path(), &entries);
                request.respond(StatusCode::OK, page, LIST_FIELDS).await
            }
        }
    }
}

impl fmt::Debug for FileAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileAnswer")
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

const ALLOW: (&str, &str) = ("allow", "GET, HEAD");
const LIST_FIELDS: [(&str, &str); 3] = [
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-cache"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'",
    ),
];

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Redirects to the folder's path with a slash. Leading slashes are cut, because `//host` names another host.
async fn redirect(request: Request<'_>) -> Result<Responded> {
    let path = request.path().trim_start_matches(['/', '\\']);
    let query = request
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let location = format!("/{path}/{query}");
    let fields = [
        ("content-type", "text/plain; charset=utf-8".to_owned()),
        ("location", location),
    ];
    let text = "moved permanently\n";
    request
        .respond(StatusCode::MOVED_PERMANENTLY, text, fields)
        .await
}
