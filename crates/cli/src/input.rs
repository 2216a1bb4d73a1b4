// SPDX-License-Identifier: Apache-2.0
//! Files as arguments, and text that came from elsewhere.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use devid_verifier::MAX_TOKEN_LEN;

/// Reads a file, or standard input for `-`.
///
/// One byte more than any token may have is read at most, so that what is too
/// long can be told from what is not.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_at_most(path, MAX_TOKEN_LEN)
}

/// The same for what may have `limit` bytes.
pub(crate) fn read_at_most(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let limit = limit as u64 + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut content)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut content)?;
    }
    Ok(content)
}

/// The path itself, or the files in the directory that it is of, in the order of
/// their names. A directory without a file is an error.
pub(crate) fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(io::Error::other("there is no file in this directory")),
        false => Ok(files),
    }
}

/// Text on one line, without anything that a terminal would act on.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
