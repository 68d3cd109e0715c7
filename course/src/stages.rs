//! The stages, and their files.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::markers::{self, Form};

/// One stage of the course.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    pub number: usize,
    /// The name of its folders, below `stages/` and `solutions/`.
    pub folder: &'static str,
    pub title: &'static str,
}

/// All stages, in order.
pub const STAGES: [Stage; 16] = [
    stage(1, "01-future", "A future in memory"),
    stage(2, "02-spin", "A loop that polls"),
    stage(3, "03-park", "A parked thread and its waker"),
    stage(4, "04-queue", "A queue of tasks"),
    stage(5, "05-join-handle", "The value of a task"),
    stage(6, "06-join", "Join, spawn and threads"),
    stage(7, "07-timers", "Sleep: a heap, then a wheel"),
    stage(8, "08-reactor", "epoll and edges"),
    stage(9, "09-sockets", "Sockets"),
    stage(10, "10-cancel", "Cancel by drop"),
    stage(11, "11-budget", "Budget and starvation"),
    stage(12, "12-threads", "Wakes from other threads"),
    stage(13, "13-pool", "A pool for blocking jobs"),
    stage(14, "14-back-pressure", "Back-pressure"),
    stage(15, "15-http", "One HTTP request"),
    stage(16, "16-limit", "The descriptor limit"),
];

const fn stage(number: usize, folder: &'static str, title: &'static str) -> Stage {
    Stage {
        number,
        folder,
        title,
    }
}

/// Returns the folder of the course.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns a path as the learner would write it in the folder of the course.
pub fn shown(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.display().to_string()
}

impl Stage {
    /// The name of the learner's crate.
    pub fn package(&self) -> String {
        format!("my-stage-{:02}", self.number)
    }

    /// The name of the crate that has the solution.
    pub fn solution_package(&self) -> String {
        format!("solution-{:02}", self.number)
    }

    /// The folder of the learner's crate.
    pub fn home(&self) -> PathBuf {
        root().join("stages").join(self.folder)
    }

    /// The folder of the solution.
    pub fn solution(&self) -> PathBuf {
        root().join("solutions").join(self.folder)
    }

    /// The page of text.
    pub fn page(&self) -> PathBuf {
        self.home().join("README.md")
    }

    /// The answers to the exercises.
    pub fn answers(&self) -> PathBuf {
        root().join(format!("answers/{}.md", self.folder))
    }

    /// Returns the files of the stage in a form, with their paths from the stage's folder.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, or if its marks are wrong.
    pub fn files(&self, form: Form) -> io::Result<Vec<(PathBuf, String)>> {
        let home = self.solution();
        let mut made = Vec::new();
        for path in files_in(&home)? {
            let solution = fs::read_to_string(&path)?;
            let mut text = markers::make(&solution, form)
                .map_err(|fault| io::Error::other(format!("{}: {fault}", path.display())))?;
            let name = path.strip_prefix(&home).map_err(io::Error::other)?;
            if form != Form::Finished && name == Path::new("Cargo.toml") {
                // Code that is still to do uses few of its imports and variables.
                text = text.replace(
                    "[lints]\nworkspace = true\n",
                    "[lints.rust]\nunsafe_code = \"forbid\"\nunused = \"allow\"\n",
                );
            }
            made.push((name.to_owned(), text));
        }
        Ok(made)
    }

    /// Writes the stage in a form over the learner's crate. The page stays.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read or written.
    pub fn write(&self, form: Form) -> io::Result<()> {
        let made = self.files(form)?;
        for (name, text) in &made {
            let path = self.home().join(name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            // A file that is not touched need not be built again.
            if fs::read_to_string(&path).ok().as_ref() != Some(text) {
                fs::write(path, text)?;
            }
        }
        // A module of an earlier form would stay behind.
        for folder in ["src", "tests", "examples"] {
            for path in files_in(&self.home().join(folder))? {
                let is_made = made.iter().any(|(name, _)| self.home().join(name) == path);
                if !is_made {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the files below a folder, sorted by path.
///
/// # Errors
///
/// Fails if a folder cannot be read.
pub fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
