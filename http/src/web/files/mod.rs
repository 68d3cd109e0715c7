//! Folders of static files.
//!
//! ```no_run
//! use waterwheel_http::Server;
//! use waterwheel_http::web::files::Files;
//! use waterwheel_runtime::block_on;
//!
//! # fn main() -> std::io::Result<()> {
//! let files = Files::new("public")?;
//! block_on(async { Server::bind("127.0.0.1:8080")?.serve(files).await })
//! # }
//! ```
//!
//! # What it does
//!
//! - Content-Type by the name's ending; ETag and Last-Modified; conditional requests and ranges
//!   (RFC 9110, 13 and 14), several of them at once too; HEAD.
//! - `index.html` for a folder; a redirect to its slash for one without.
//! - If told so: smaller files beside the originals ([`Files::precompressed`]), lists of folders
//!   ([`Files::listing`]), dot files ([`Files::dot_files`]), links that lead elsewhere
//!   ([`Files::symlinks`]).
//!
//! # How it works
//!
//! ```text
//! path ─► target ─► search: in memory, else on the pool ─► answer: head, then sendfile
//!           │              │
//!           └─ no name ────┴─ nothing there ─► 404
//! ```
//!
//! # Invariants
//!
//! - Always: one answer, 404, for what is not there and for what may not be served. Nobody learns the
//!   difference.
//! - Never: a file of outside the folder, unless links were allowed to lead there.
//! - Never: a wait for a disk on the runtime's thread.

mod answer;
mod folder;
mod listing;
mod search;
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
use crate::handler::Handler;
use crate::headers::AnswerHeaders;
use crate::request::Request;
use crate::responded::Responded;
use crate::web::coding::AcceptedCodings;

use folder::{Folder, Reach};
use search::{FoundItem, Search};
use target::FileTarget;

/// A folder of files to be served. It is a handler.
///
/// The folder is opened here and now: one that is put in its place later is not noticed. Each file
/// is opened anew, so changes are seen at once.
#[derive(Clone, Debug)]
pub struct Files {
    folder: Arc<Folder>,
    options: Arc<Options>,
}

#[derive(Clone, Debug)]
struct Options {
    prefix: String,
    index: Vec<String>,
    dot_files: DotFiles,
    symlinks: Symlinks,
    listing: Listing,
    precompressed: Precompressed,
    max_age: Option<Duration>,
}

/// Whether names that begin with a dot are served. `/.well-known` always is (RFC 8615).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DotFiles {
    /// They are not there.
    #[default]
    Refuse,
    /// They are files like others.
    Serve,
}

/// Where symbolic links may lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Nowhere: they are not there.
    Refuse,
    /// Anywhere within the folder. An absolute link leads out of it, wherever it comes back.
    #[default]
    Within,
    /// Anywhere at all.
    Anywhere,
}

/// Whether a folder without an index shows what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Listing {
    #[default]
    Refuse,
    Show,
}

/// Whether smaller files beside the originals are served in their stead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Precompressed {
    #[default]
    Ignore,
    Serve,
}

impl Files {
    /// Serves a folder.
    ///
    /// # Errors
    ///
    /// When there is none, or it may not be searched.
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

    /// Takes this off the front of each path; what does not begin so is not there. `/static` makes
    /// `/static/site.css` the file `site.css`.
    ///
    /// ```no_run
    /// use waterwheel_http::web::files::Files;
    /// # #[cfg(feature = "routes")]
    /// # fn main() -> std::io::Result<()> {
    /// use waterwheel_http::web::routes::Router;
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

    /// The names that stand for their folder, the first that is there. `index.html` by default.
    #[must_use]
    pub fn index<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.with(|options| options.index = names.into_iter().map(Into::into).collect())
    }

    /// Whether names that begin with a dot are served. Not by default.
    #[must_use]
    pub fn dot_files(self, choice: DotFiles) -> Self {
        self.with(|options| options.dot_files = choice)
    }

    /// Where symbolic links may lead. Within the folder by default.
    #[must_use]
    pub fn symlinks(self, choice: Symlinks) -> Self {
        self.with(|options| options.symlinks = choice)
    }

    /// Lists the files and folders in a folder that has no index, if a request can name them. Off by default.
    #[must_use]
    pub fn listing(self) -> Self {
        self.with(|options| options.listing = Listing::Show)
    }

    /// To clients that take it, serves `a.css.br`, `a.css.zst` or `a.css.gz` as `a.css`. Off by
    /// default.
    ///
    /// The original must be there, and not newer: a file made of an older one is left alone.
    #[must_use]
    pub fn precompressed(self) -> Self {
        self.with(|options| options.precompressed = Precompressed::Serve)
    }

    /// How long anybody may keep a file without asking again. Left to them by default.
    #[must_use]
    pub fn max_age(self, age: Duration) -> Self {
        self.with(|options| options.max_age = Some(age))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.options));
        self
    }

    /// Looks for what a request asks for; `None` if there is nothing to serve, so that something
    /// else can be done about it.
    ///
    /// # Errors
    ///
    /// When the process or the system is out of descriptors: 503. When the disk fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel_http::web::files::Files;
    /// use waterwheel_http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn file_or_page(files: &Files, request: Request<'_>) -> Result<Responded> {
    ///     match files.find(&request).await? {
    ///         Some(found) => found.respond(request).await,
    ///         None => request.respond(StatusCode::NOT_FOUND, "gone fishing\n", ()).await,
    ///     }
    /// }
    /// ```
    pub async fn find(&self, request: &Request<'_>) -> Result<Option<FileAnswer>> {
        match self.path_below(request.path()) {
            Some(path) => self.find_path(request, path).await,
            None => Ok(None),
        }
    }

    /// The same for a path of your own choice, encoded as in a request: `/a%20b.txt`.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
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

    /// What is behind the prefix.
    fn path_below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.options.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// GET and HEAD are answered with what is there, 404 if nothing is; all other methods with 405.
impl Handler for Files {
    async fn call(&self, request: Request<'_>) -> Result<Responded> {
        if !is_read(request.method()) {
            return refuse(request, StatusCode::METHOD_NOT_ALLOWED, [ALLOW]).await;
        }
        match self.find(&request).await? {
            Some(found) => found.respond(request).await,
            None => refuse(request, StatusCode::NOT_FOUND, NO_FIELDS).await,
        }
    }
}

/// What was found, ready to be answered with. It holds an open file.
pub struct FileAnswer {
    found: FoundItem,
    max_age: Option<Duration>,
}

impl FileAnswer {
    /// Answers with it; other methods than GET and HEAD with 405.
    ///
    /// # Errors
    ///
    /// When the file is cut while it is sent: then the connection is too. As
    /// [`Request::respond`].
    pub async fn respond(self, request: Request<'_>) -> Result<Responded> {
        if !is_read(request.method()) {
            return refuse(request, StatusCode::METHOD_NOT_ALLOWED, [ALLOW]).await;
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
const NO_FIELDS: [(&str, &str); 0] = [];
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

/// To the folder's own path, with its slash. Never to another host: `//host` would be one.
async fn redirect(request: Request<'_>) -> Result<Responded> {
    let path = request.path().trim_start_matches(['/', '\\']);
    let query = request
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let location = format!("/{path}/{query}");
    refuse(
        request,
        StatusCode::MOVED_PERMANENTLY,
        [("location", location)],
    )
    .await
}

/// A line of text, and fields.
async fn refuse<N, V>(
    request: Request<'_>,
    status: StatusCode,
    fields: impl IntoIterator<Item = (N, V)>,
) -> Result<Responded>
where
    N: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let text = status.canonical_reason().unwrap_or_default().to_lowercase() + "\n";
    let fields = Plain(fields.into_iter().collect());
    request.respond(status, text, fields).await
}

/// Fields, and that it is text.
struct Plain<N, V>(Vec<(N, V)>);

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> AnswerHeaders for Plain<N, V> {
    fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(b"content-type", b"text/plain; charset=utf-8")?;
        self.0.try_for_each(visit)
    }
}
