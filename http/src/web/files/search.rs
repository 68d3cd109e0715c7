//! The search for the file or folder of a target.
//!
//! # How it works
//!
//! ```text
//! open ─► a file ──────────────────► is there a compressed file that the client accepts?
//!      └► a folder ─► index.html? ─┘
//!           │             └► absent: list the folder, if that is allowed
//!           └► without its slash: redirect
//! ```
//!
//! The search runs first on the runtime's thread, with the kernel's caches only. If they do not suffice, it
//! runs again from its start on the pool.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::folder::Folder;
use super::listing::{self, ListEntry};
use super::options::{Listing, Options, Precompressed};
use super::sys::Reach;
use super::target::FileTarget;
use crate::web::coding::{AcceptedCodings, ContentCoding};

/// The input of a search, which can be sent to the pool.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) folder: Arc<Folder>,
    pub(super) options: Arc<Options>,
    pub(super) target: FileTarget,
    pub(super) accepted: AcceptedCodings,
}

/// The result of a search.
#[derive(Debug)]
pub(super) enum FoundItem {
    File(FoundFile),
    /// A folder whose path in the request has no slash at its end.
    FolderWithoutSlash,
    /// A folder that may be listed.
    List(Vec<ListEntry>),
}

/// An open file.
#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) file: File,
    pub(super) metadata: Metadata,
    /// The path of the original, below the folder.
    pub(super) path: PathBuf,
    pub(super) coding: Option<ContentCoding>,
    /// True if another client may receive another file.
    pub(super) varies: bool,
}

impl Search {
    /// Returns `None` if no file can be served, and `EAGAIN` if the kernel would have to wait.
    pub(super) fn run(&self, reach: Reach) -> Result<Option<FoundItem>, Errno> {
        let path = self.target.path();
        let Some((file, metadata)) = self.open(path, reach)? else {
            return Ok(None);
        };
        match (metadata.is_dir(), self.target.means_folder) {
            (false, false) => self.file(path, file, metadata, reach).map(Some),
            (false, true) => Ok(None),
            (true, false) => Ok(Some(FoundItem::FolderWithoutSlash)),
            (true, true) => self.folder(path, &file, reach),
        }
    }

    /// Opens a regular file or a folder. Returns `None` for anything else.
    fn open(&self, path: &Path, reach: Reach) -> Result<Option<(File, Metadata)>, Errno> {
        let file = match self.folder.read(path, self.options.symlinks, reach) {
            Ok(file) => file,
            // The server lacks something. The file may exist, so this is no 404.
            Err(
                error @ (Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::IO),
            ) => return Err(error),
            Err(_) => return Ok(None),
        };
        let metadata = file
            .metadata()
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let is_served = metadata.is_file() || metadata.is_dir();
        Ok(is_served.then_some((file, metadata)))
    }

    fn folder(&self, path: &Path, folder: &File, reach: Reach) -> Result<Option<FoundItem>, Errno> {
        for index in &self.options.index {
            let path = path.join(index);
            if let Some((file, metadata)) = self.open(&path, reach)?
                && metadata.is_file()
            {
                return self.file(&path, file, metadata, reach).map(Some);
            }
        }
        match (self.options.listing, reach) {
            (Listing::Refuse, _) => Ok(None),
            // Reading a folder may wait for the disk, and no flag forbids that.
            (Listing::Show, Reach::Memory) => Err(Errno::AGAIN),
            (Listing::Show, Reach::Disk) => {
                let entries = listing::read(folder, self.options.dot_files, |name| {
                    // A name that cannot be served is not listed.
                    let opened = self.open(&path.join(name), Reach::Disk).ok()?;
                    opened.map(|(_, metadata)| metadata)
                })?;
                Ok(Some(FoundItem::List(entries)))
            }
        }
    }

    /// Returns the file, or a compressed file beside it.
    fn file(
        &self,
        path: &Path,
        file: File,
        metadata: Metadata,
        reach: Reach,
    ) -> Result<FoundItem, Errno> {
        let mut found = FoundFile {
            file,
            metadata,
            path: path.to_owned(),
            coding: None,
            varies: false,
        };
        if self.options.precompressed == Precompressed::Serve {
            self.choose(&mut found, reach)?;
        }
        Ok(FoundItem::File(found))
    }

    /// Takes the client's best coding for which a file exists. Sets `varies` if a file of any coding exists.
    fn choose(&self, found: &mut FoundFile, reach: Reach) -> Result<(), Errno> {
        // The other codings are looked for as well, because Vary depends on files of any coding.
        let is_accepted = |coding: &ContentCoding| self.accepted.iter().any(|one| one == *coding);
        let is_stored = |coding: &ContentCoding| ContentCoding::STORED.contains(coding);
        let liked = self.accepted.iter().filter(is_stored);
        let others = ContentCoding::STORED
            .into_iter()
            .filter(|coding| !is_accepted(coding));
        for coding in liked.chain(others) {
            let mut beside = OsString::from(&found.path);
            beside.push(coding.suffix());
            let Some((file, metadata)) = self.open(Path::new(&beside), reach)? else {
                continue;
            };
            let is_older = match (metadata.modified(), found.metadata.modified()) {
                (Ok(time), Ok(original)) => time < original,
                _ => false,
            };
            // A coded file that is older than its original has the content of another version.
            if !metadata.is_file() || is_older {
                continue;
            }
            found.varies = true;
            if is_accepted(&coding) {
                (found.file, found.metadata) = (file, metadata);
                found.coding = Some(coding);
            }
            return Ok(());
        }
        Ok(())
    }
}
