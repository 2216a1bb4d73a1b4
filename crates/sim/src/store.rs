// SPDX-License-Identifier: Apache-2.0
//! Small values under numeric ids, in memory or one a file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use devid_core::Error;

/// What a simulator's directory says of itself.
const MARKER_NAME: &str = "devid-sim.txt";
const MARKER: &str = "devid simulator, format 2: for development, keys in clear, never trust\n";

/// Suffix of a value that is being written.
const UNFINISHED: &str = "tmp";

pub(crate) enum Store {
    Memory(BTreeMap<u32, Vec<u8>>),
    Directory(PathBuf),
}

/// Why a directory is not a simulator's.
#[derive(Debug)]
pub(crate) enum Problem {
    Io(io::Error),
    NotEmpty,
    OtherFormat,
}

/// Makes the directory a simulator's, or finds that it is.
pub(crate) fn claim(directory: &Path) -> Result<(), Problem> {
    fs::create_dir_all(directory)?;
    let marker = directory.join(MARKER_NAME);
    match fs::read_to_string(&marker) {
        Ok(text) if text == MARKER => Ok(()),
        Ok(_) => Err(Problem::OtherFormat),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if fs::read_dir(directory)?.next().is_some() {
                return Err(Problem::NotEmpty);
            }
            Ok(fs::write(marker, MARKER)?)
        }
        Err(error) => Err(error.into()),
    }
}

impl Store {
    pub(crate) fn in_memory() -> Self {
        Self::Memory(BTreeMap::new())
    }

    pub(crate) fn in_directory(directory: PathBuf) -> Result<Self, Problem> {
        fs::create_dir_all(&directory)?;
        Ok(Self::Directory(directory))
    }

    /// A copy in memory.
    pub(crate) fn copy(&self) -> Result<Self, Error> {
        let mut copy = BTreeMap::new();
        for id in self.ids()? {
            copy.extend(self.get(id)?.map(|value| (id, value)));
        }
        Ok(Self::Memory(copy))
    }

    pub(crate) fn ids(&self) -> Result<Vec<u32>, Error> {
        match self {
            Self::Memory(values) => Ok(values.keys().copied().collect()),
            Self::Directory(directory) => ids_in(directory).map_err(storage_failure),
        }
    }

    pub(crate) fn get(&self, id: u32) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Memory(values) => Ok(values.get(&id).cloned()),
            Self::Directory(directory) => match fs::read(directory.join(name(id))) {
                Ok(value) => Ok(Some(value)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(storage_failure(error)),
            },
        }
    }

    /// Creates or replaces a value; a crash of this program leaves the old one
    /// or the new one.
    pub(crate) fn put(&mut self, id: u32, value: &[u8]) -> Result<(), Error> {
        match self {
            Self::Memory(values) => {
                values.insert(id, value.to_vec());
                Ok(())
            }
            Self::Directory(directory) => put_in(directory, id, value).map_err(storage_failure),
        }
    }

    pub(crate) fn remove(&mut self, id: u32) -> Result<(), Error> {
        match self {
            Self::Memory(values) => {
                values.remove(&id);
                Ok(())
            }
            Self::Directory(directory) => match fs::remove_file(directory.join(name(id))) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(storage_failure(error)),
                _ => Ok(()),
            },
        }
    }
}

fn name(id: u32) -> String {
    format!("{id:08x}")
}

fn ids_in(directory: &Path) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?.file_name();
        // An unfinished value has a suffix and is no value.
        let id = entry.to_str().and_then(|text| u32::from_str_radix(text, 16).ok());
        ids.extend(id.filter(|&id| entry == *name(id)));
    }
    ids.sort_unstable();
    Ok(ids)
}

fn put_in(directory: &Path, id: u32, value: &[u8]) -> io::Result<()> {
    let path = directory.join(name(id));
    let unfinished = path.with_extension(UNFINISHED);
    let mut file = create_private(&unfinished)?;
    file.write_all(value)?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    // The new name is safe once the directory is.
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

/// A file that only its owner reads; Windows gives it the directory's rights.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// PSA says the same of a medium that fails, and of one that is full.
fn storage_failure(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull => Error::StorageFull,
        _ => Error::Platform(-146),
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotEmpty => {
                write!(
                    f,
                    "holds other files and no {MARKER_NAME}; name an empty or a new directory"
                )
            }
            Self::OtherFormat => {
                write!(f, "{MARKER_NAME} is of another version; name a new directory")
            }
        }
    }
}
