//! Pages from a folder of minijinja templates.
//!
//! ```
//! # let folder = std::env::temp_dir().join(format!("waterwheel-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # std::fs::write(folder.join("hello.html"), "<p>Hello {{ name }}, {{ visits }} times</p>")?;
//! use waterwheel::http::testing::TestClient;
//! use waterwheel::http::web::templates::{Templates, context};
//! use waterwheel::http::{Request, StatusCode};
//! use waterwheel::runtime::block_on;
//!
//! let templates = Templates::new(&folder)?; // hello.html: <p>Hello {{ name }}, {{ visits }} times</p>
//! let hello = async move |request: Request<'_>| {
//!     let vars = context! { name => "<Nim>", visits => 3 };
//!     templates.respond(request, StatusCode::OK, "hello.html", vars).await
//! };
//! let page = block_on(async { TestClient::new(hello).get("/").await });
//! assert_eq!(page.text(), "<p>Hello &lt;Nim&gt;, 3 times</p>");
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), waterwheel::http::Error>(())
//! ```
//!
//! Templates have [minijinja's syntax](https://docs.rs/minijinja/latest/minijinja/syntax/): loops,
//! conditions, filters, and pages that extend others.
//!
//! # How it works
//!
//! All files of the folder are read and parsed at the start, so an error in a template is found before the
//! first request. A debug build checks the folder before each page, and reads it again if a file has changed.
//! A release build never reads the disk again.
//!
//! # Invariants
//!
//! - Always: variables are escaped, unless the name of the template ends in `.txt`.
//! - Always: a missing variable is an error, and not an empty text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use http::StatusCode;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use crate::error::Result;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;

pub use minijinja::value::Serde;
pub use minijinja::{Value, context};

/// The depth to which nested folders are read. A link that leads back up ends here.
const DEPTH_MAX: usize = 16;

/// A folder of templates.
///
/// The name of a template is its path below the folder: `page.html`, `mail/welcome.txt`. Files whose names
/// begin with a dot are ignored.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("waterwheel-templates-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # std::fs::write(folder.join("mill.html"), "<h1>{{ name }}</h1>")?;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::templates::{Templates, context};
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// // mill.html: <h1>{{ name }}</h1>
/// let templates = Templates::new(&folder)?;
/// let page = async move |request: Request<'_>| {
///     let name = context! { name => "<North>" };
///     templates.respond(request, StatusCode::OK, "mill.html", name).await
/// };
/// let answer = block_on(async { TestClient::new(page).get("/").await });
/// assert_eq!(answer.text(), "<h1>&lt;North&gt;</h1>");
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Templates {
    folder: PathBuf,
    reload: Reload,
    configure: Rc<dyn Fn(&mut Environment<'static>)>,
    loaded: RefCell<Loaded>,
}

/// Decides if changes on the disk are noticed.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::templates::Reload;
///
/// // Pages change without a restart where the site is made, and never where it runs.
/// let develops = std::env::var_os("MILL_DEVELOPMENT").is_some();
/// let reload = if develops { Reload::OnChange } else { Reload::Never };
/// assert_eq!(reload, Reload::Never);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reload {
    /// Checks the folder before each page, on the runtime's thread. For development; the default of a debug
    /// build.
    OnChange,
    /// Keeps the templates of the start. The default of a release build.
    Never,
}

/// The parsed templates, and the state of the files that they come from.
struct Loaded {
    environment: Rc<Environment<'static>>,
    stamps: Stamps,
}

/// The time of the last change and the length of each file, by its name.
type Stamps = BTreeMap<String, (Option<SystemTime>, u64)>;

impl Templates {
    /// Reads and parses all templates of a folder.
    ///
    /// # Errors
    ///
    /// If the folder or a file cannot be read, or if a file is not a valid template.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, TemplateError> {
        let reload = if cfg!(debug_assertions) {
            Reload::OnChange
        } else {
            Reload::Never
        };
        let folder = folder.into();
        let configure: Rc<dyn Fn(&mut Environment<'static>)> = Rc::new(|_| ());
        let loaded = RefCell::new(Loaded::read(&folder, &*configure)?);
        Ok(Self {
            folder,
            reload,
            configure,
            loaded,
        })
    }

    /// Sets if changes are noticed.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("waterwheel-reload-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # std::fs::write(folder.join("page.html"), "one")?;
    /// use waterwheel::http::web::templates::{Reload, Templates, context};
    ///
    /// let templates = Templates::new(&folder)?.reload(Reload::Never);
    /// std::fs::write(folder.join("page.html"), "two")?;
    /// assert_eq!(templates.render("page.html", context! {})?, "one");
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), waterwheel::http::Error>(())
    /// ```
    #[must_use]
    pub fn reload(mut self, reload: Reload) -> Self {
        self.reload = reload;
        self
    }

    /// Adds filters, functions or globals of your own. Reads the folder again.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("waterwheel-filter-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # std::fs::write(folder.join("loud.txt"), "{{ name|shout }}")?;
    /// use waterwheel::http::web::templates::{Templates, context};
    ///
    /// let templates = Templates::new(&folder)?.configure(|environment| {
    ///     environment.add_filter("shout", |text: String| text.to_uppercase() + "!");
    /// })?;
    /// // loud.txt: {{ name|shout }}
    /// assert_eq!(templates.render("loud.txt", context! { name => "Nim" })?, "NIM!");
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), waterwheel::http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new).
    pub fn configure(
        mut self,
        configure: impl Fn(&mut Environment<'static>) + 'static,
    ) -> Result<Self, TemplateError> {
        self.configure = Rc::new(configure);
        self.loaded = RefCell::new(Loaded::read(&self.folder, &*self.configure)?);
        Ok(self)
    }

    /// Renders a page. The variables are any [`Value`]: [`context!`] makes one, and [`Serde`] wraps a value
    /// that implements `Serialize`.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("waterwheel-render-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # std::fs::write(folder.join("list.html"), "{{ title }}:{% for n in sacks %} {{ n }}{% endfor %}")?;
    /// use waterwheel::http::web::templates::{Serde, Templates, context};
    ///
    /// // list.html: {{ title }}:{% for n in sacks %} {{ n }}{% endfor %}
    /// let page = Templates::new(&folder)?
    ///     .render("list.html", context! { title => "Sacks", sacks => Serde([7, 3]) })?;
    /// assert_eq!(page, "Sacks: 7 3");
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), waterwheel::http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the template does not exist, if a variable is missing, or if a changed file is not a valid
    /// template.
    pub fn render(&self, name: &str, vars: impl Into<Value>) -> Result<String, TemplateError> {
        let environment = self.environment()?;
        let template = environment.get_template(name)?;
        Ok(template.render(vars)?)
    }

    /// Renders a page and answers with it, as `text/plain` if the name ends in `.txt`, as `text/html`
    /// otherwise.
    ///
    /// # Errors
    ///
    /// The errors of [`render`](Self::render), which are answered with 500, and of [`Request::respond`].
    pub async fn respond(
        &self,
        request: Request<'_>,
        status: StatusCode,
        name: &str,
        vars: impl Into<Value>,
    ) -> Result<Responded> {
        let page = self.render(name, vars)?;
        let content_type = if is_text(name) {
            "text/plain; charset=utf-8"
        } else {
            "text/html; charset=utf-8"
        };
        request
            .respond(status, page, [("content-type", content_type)])
            .await
    }

    /// Returns the templates. Reads them again first if a file has changed and changes are noticed.
    fn environment(&self) -> Result<Rc<Environment<'static>>, TemplateError> {
        // A folder that fails to parse keeps its old stamps, so the next page tries again.
        if self.reload == Reload::OnChange && stamps(&self.folder)? != self.loaded.borrow().stamps {
            let loaded = Loaded::read(&self.folder, &*self.configure)?;
            self.loaded.replace(loaded);
        }
        Ok(self.loaded.borrow().environment.clone())
    }
}

impl Loaded {
    fn read(
        folder: &Path,
        configure: &dyn Fn(&mut Environment<'static>),
    ) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|name| {
            if is_text(name) {
                AutoEscape::None
            } else {
                AutoEscape::Html
            }
        });
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        configure(&mut environment);
        // The times are read before the texts, so that a change in between is found the next time.
        let stamps = stamps(folder)?;
        for name in stamps.keys() {
            let path = folder.join(name);
            let text =
                fs::read_to_string(&path).map_err(|error| TemplateError::unread(&path, error))?;
            environment.add_template_owned(name.clone(), text)?;
        }
        Ok(Self {
            environment: Rc::new(environment),
            stamps,
        })
    }
}

/// Returns true for a template whose variables are not escaped.
fn is_text(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|ending| ending == "txt")
}

fn stamps(folder: &Path) -> Result<Stamps, TemplateError> {
    let mut stamps = Stamps::new();
    gather(folder, "", DEPTH_MAX, &mut stamps)?;
    Ok(stamps)
}

fn gather(
    folder: &Path,
    prefix: &str,
    depth: usize,
    stamps: &mut Stamps,
) -> Result<(), TemplateError> {
    let unread = |error| TemplateError::unread(folder, error);
    for entry in fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The file was deleted since the folder was read.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        if metadata.is_file() {
            stamps.insert(name, (metadata.modified().ok(), metadata.len()));
        } else if metadata.is_dir() && depth > 0 {
            gather(&path, &format!("{name}/"), depth - 1, stamps)?;
        }
    }
    Ok(())
}

/// An error of reading or rendering templates.
///
/// ```
/// use waterwheel::http::web::templates::Templates;
///
/// let error = Templates::new("/no/such/folder").unwrap_err();
/// assert!(error.is_not_found());
/// assert_eq!(error.to_string(), "cannot read /no/such/folder");
/// ```
#[derive(Debug)]
pub struct TemplateError(TemplateFailure);

#[derive(Debug)]
enum TemplateFailure {
    Unread(PathBuf, io::Error),
    Template(minijinja::Error),
}

impl TemplateError {
    fn unread(path: &Path, error: io::Error) -> Self {
        Self(TemplateFailure::Unread(path.to_owned(), error))
    }

    /// Returns true if no template has that name.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match &self.0 {
            TemplateFailure::Unread(_, error) => error.kind() == io::ErrorKind::NotFound,
            TemplateFailure::Template(error) => {
                error.kind() == minijinja::ErrorKind::TemplateNotFound
            }
        }
    }
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        Self(TemplateFailure::Template(error))
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TemplateFailure::Unread(path, _) => write!(f, "cannot read {}", path.display()),
            TemplateFailure::Template(error) => error.fmt(f),
        }
    }
}

impl StdError for TemplateError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            TemplateFailure::Unread(_, error) => Some(error),
            TemplateFailure::Template(error) => error.source(),
        }
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates")
            .field("folder", &self.folder)
            .field("names", &self.loaded.borrow().stamps.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A folder of templates, which is deleted when it is dropped.
    struct TemplateFolder(PathBuf);

    impl TemplateFolder {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let folder =
                std::env::temp_dir().join(format!("waterwheel-{name}-{}", std::process::id()));
            drop(fs::remove_dir_all(&folder));
            let scene = Self(folder);
            files
                .iter()
                .for_each(|(name, text)| scene.write(name, text));
            scene
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().expect("it is in the folder"))
                .expect("it can be made");
            fs::write(path, text).expect("it can be written");
        }

        fn templates(&self) -> Templates {
            Templates::new(&self.0).expect("they are templates")
        }
    }

    impl Drop for TemplateFolder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[track_caller]
    fn check(templates: &Templates, name: &str, expected: &str) {
        let vars = context! { a => "<&>", n => -1, u => 2_usize, f => 0.5_f32 };
        assert_eq!(
            templates.render(name, vars).expect("there is a page"),
            expected
        );
    }

    #[test]
    fn variables_are_escaped_in_pages_and_not_in_text() {
        let scene = TemplateFolder::new(
            "escaped",
            &[
                ("page.html", "{{ a }} {{ n }} {{ u }} {{ f }}"),
                ("noending", "{{ a }}"),
                ("deep/mail.txt", "{{ a }}"),
                (
                    "child.html",
                    "{% extends \"frame.html\" %}{% block body %}{{ a }}{% endblock %}",
                ),
                ("frame.html", "<{% block body %}{% endblock %}>"),
                (".hidden", "{% no template"),
            ],
        );
        let templates = scene.templates();
        check(&templates, "page.html", "&lt;&amp;&gt; -1 2 0.5");
        check(&templates, "noending", "&lt;&amp;&gt;");
        check(&templates, "deep/mail.txt", "<&>");
        check(&templates, "child.html", "<&lt;&amp;&gt;>");
    }

    #[test]
    fn a_missing_template_or_variable_is_an_error() {
        let scene = TemplateFolder::new("missing", &[("page.html", "{{ b }}")]);
        let templates = scene.templates();
        let not_there = templates
            .render("other.html", context! {})
            .expect_err("it is not there");
        assert!(not_there.is_not_found());
        assert!(
            !templates
                .render("page.html", context! {})
                .expect_err("b is missing")
                .is_not_found()
        );
        assert!(templates.render("../page.html", context! {}).is_err());
        let no_folder = Templates::new(scene.0.join("none")).expect_err("there is no folder");
        assert!(no_folder.is_not_found() && no_folder.to_string().contains("none"));
        scene.write("broken.html", "{% if %}");
        assert!(Templates::new(&scene.0).is_err());
    }

    #[test]
    fn a_change_is_noticed_only_if_that_was_chosen() {
        let scene = TemplateFolder::new("reload", &[("page.html", "one")]);
        let (noticing, fixed) = (
            scene.templates().reload(Reload::OnChange),
            scene.templates().reload(Reload::Never),
        );
        scene.write("page.html", "three");
        scene.write("new.html", "new");
        check(&noticing, "page.html", "three");
        check(&noticing, "new.html", "new");
        check(&fixed, "page.html", "one");
        // A broken template stays an error until it is repaired.
        scene.write("page.html", "{{");
        assert!(noticing.render("page.html", context! {}).is_err());
        assert!(noticing.render("page.html", context! {}).is_err());
        scene.write("page.html", "five!");
        check(&noticing, "page.html", "five!");
        // The file is as long as before, but its time is later.
        scene.write("page.html", "seven");
        let later = SystemTime::now() + Duration::from_secs(5);
        let file = fs::File::options()
            .write(true)
            .open(scene.0.join("page.html"))
            .expect("it is there");
        file.set_modified(later).expect("it can be touched");
        check(&noticing, "page.html", "seven");
    }

    #[test]
    fn filters_of_your_own_survive_a_change() {
        let scene = TemplateFolder::new("filters", &[("page.html", "{{ a|shout }}")]);
        let shout = |environment: &mut Environment<'static>| {
            environment.add_filter("shout", |text: String| text + "!");
        };
        assert!(
            Templates::new(&scene.0)
                .is_ok_and(|templates| templates.render("page.html", context! { a => 1 }).is_err())
        );
        let templates = scene
            .templates()
            .configure(shout)
            .expect("they are templates")
            .reload(Reload::OnChange);
        assert_eq!(
            templates
                .render("page.html", context! { a => "x" })
                .ok()
                .as_deref(),
            Some("x!")
        );
        scene.write("page.html", "now {{ a|shout }}");
        assert_eq!(
            templates
                .render("page.html", context! { a => "x" })
                .ok()
                .as_deref(),
            Some("now x!")
        );
    }
}
