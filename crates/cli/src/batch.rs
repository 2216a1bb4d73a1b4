// SPDX-License-Identifier: Apache-2.0
//! Many tokens: what the arguments stand for, one after the other, and all
//! cores at work on them.
//!
//! A stream of tokens is a CBOR sequence (RFC 8742) of byte strings, each of
//! which holds one token. A token in it may be broken; a head that is none ends
//! the stream, for nobody can tell where the next begins.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use devid_verifier::MAX_TOKEN_LEN;

use crate::input::read;

/// Something to be verified.
pub(crate) struct Input {
    /// What the report calls it.
    pub(crate) name: String,
    content: Content,
}

enum Content {
    File(PathBuf),
    Token(Vec<u8>),
    Trouble(Trouble),
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// What there is, is none.
    Broken(&'static str),
    /// It could not be read.
    Unreadable(String),
}

impl Input {
    /// The token, read now if it is in a file.
    pub(crate) fn load(&self) -> Result<Vec<u8>, Trouble> {
        match &self.content {
            Content::File(path) => read(path).map_err(|error| Trouble::unreadable(&error)),
            Content::Token(token) => Ok(token.clone()),
            Content::Trouble(trouble) => Err(trouble.clone()),
        }
    }
}

impl Trouble {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Broken(reason) => (*reason).to_owned(),
            Self::Unreadable(reason) => reason.clone(),
        }
    }

    fn unreadable(error: &io::Error) -> Self {
        Self::Unreadable(format!("the file could not be read: {error}"))
    }
}

/// The files, and all files in the directories, in the order of their names.
pub(crate) fn files(paths: &[PathBuf]) -> Vec<Input> {
    let mut inputs = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = inputs.len();
            add_directory(path, &mut inputs);
            if inputs.len() == before {
                let trouble = Trouble::Unreadable("there is no file in this directory".into());
                inputs.push(Input::new(path, Content::Trouble(trouble)));
            }
        } else {
            inputs.push(Input::new(path, Content::File(path.clone())));
        }
    }
    inputs
}

impl Input {
    fn new(path: &Path, content: Content) -> Self {
        Self { name: path.to_string_lossy().into_owned(), content }
    }
}

/// Links to directories are not followed: they may lead in a circle.
fn add_directory(directory: &Path, inputs: &mut Vec<Input>) {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let trouble = Content::Trouble(Trouble::unreadable(&error));
            return inputs.push(Input::new(directory, trouble));
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => add_directory(&path, inputs),
            Ok(_) if path.is_file() => inputs.push(Input::new(&path, Content::File(path.clone()))),
            Ok(kind) if !kind.is_symlink() || path.exists() => {}
            // A link that leads nowhere is a file that cannot be read.
            _ => inputs.push(Input::new(&path, Content::File(path.clone()))),
        }
    }
}

/// The tokens of streams.
pub(crate) fn streams(paths: &[PathBuf]) -> impl Iterator<Item = Input> {
    paths.iter().flat_map(|path| {
        let reader: io::Result<Box<dyn Read>> = match path == Path::new("-") {
            true => Ok(Box::new(io::stdin().lock())),
            false => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
        };
        Stream {
            name: path.to_string_lossy().into_owned(),
            reader: Some(reader.map(BufReader::new)),
            tokens: 0,
        }
    })
}

struct Stream<R> {
    name: String,
    /// `None` behind its end.
    reader: Option<io::Result<R>>,
    tokens: usize,
}

impl<R: Read> Iterator for Stream<R> {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        let next = match self.reader.as_mut()? {
            Err(error) => Err(Trouble::unreadable(error)),
            Ok(reader) => next_token(reader),
        };
        let content = match next {
            Ok(Some(token)) => Content::Token(token),
            Ok(None) if self.tokens > 0 => {
                self.reader = None;
                return None;
            }
            // Nothing is no reason to be content.
            Ok(None) => {
                self.reader = None;
                Content::Trouble(Trouble::Broken("there is no token in the stream"))
            }
            Err(trouble) => {
                self.reader = None;
                Content::Trouble(trouble)
            }
        };
        let name = format!("{}#{}", self.name, self.tokens);
        self.tokens += 1;
        Some(Input { name, content })
    }
}

/// Of what is longer than any token, one byte more than that is kept.
fn next_token(reader: &mut impl Read) -> Result<Option<Vec<u8>>, Trouble> {
    const TRUNCATED: Trouble = Trouble::Broken("the stream ends inside a token");
    let unreadable = |error: io::Error| Trouble::unreadable(&error);
    let mut initial = Vec::new();
    if reader.take(1).read_to_end(&mut initial).map_err(unreadable)? == 0 {
        return Ok(None);
    }
    let width = match initial[0] {
        0x40..=0x57 => 0,
        0x58 => 1,
        0x59 => 2,
        0x5a => 4,
        0x5b => 8,
        _ => return Err(Trouble::Broken("the stream goes on with something else than a token")),
    };
    let mut argument = Vec::new();
    if reader.take(width).read_to_end(&mut argument).map_err(unreadable)? as u64 != width {
        return Err(TRUNCATED);
    }
    let length = match width {
        0 => u64::from(initial[0] & 0x1f),
        _ => argument.iter().fold(0, |length, &byte| length << 8 | u64::from(byte)),
    };
    let kept = length.min(MAX_TOKEN_LEN as u64 + 1);
    let mut token = Vec::new();
    let mut read = reader.take(kept).read_to_end(&mut token).map_err(unreadable)? as u64;
    read += io::copy(&mut reader.take(length - kept), &mut io::sink()).map_err(unreadable)?;
    if read == length { Ok(Some(token)) } else { Err(TRUNCATED) }
}

/// Does the work on every item, on all cores; results are in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    if cores.min(items.len()) < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item)));
        }
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores.min(items.len())).map(|_| scope.spawn(take)).collect();
        workers
            .into_iter()
            .flat_map(|worker| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(stream: &[u8]) -> Vec<Result<Vec<u8>, Trouble>> {
        let stream = Stream { name: "s".into(), reader: Some(Ok(stream)), tokens: 0 };
        stream.map(|input| input.load()).collect()
    }

    #[test]
    fn takes_tokens_out_of_a_stream() {
        assert_eq!(tokens(&[]), [Err(Trouble::Broken("there is no token in the stream"))]);
        assert_eq!(tokens(&[0x41, 7, 0x40, 0x58, 1, 8]), [Ok(vec![7]), Ok(vec![]), Ok(vec![8])]);
        let wide = [0x5b, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2];
        assert_eq!(tokens(&wide), [Ok(vec![1, 2])]);
    }

    #[test]
    fn ends_a_stream_that_nobody_can_follow() {
        let broken = tokens(&[0x41, 7, 0x01, 0x41, 8]);
        assert_eq!(broken.len(), 2);
        assert!(matches!(broken[1], Err(Trouble::Broken(_))));
        for cut in [&[0x42, 1][..], &[0x58], &[0x5a, 0, 0], &[0x5b, 255, 255, 255, 255, 0, 0, 0, 0]]
        {
            let tokens = tokens(cut);
            assert!(matches!(&tokens[..], [Err(Trouble::Broken(_))]), "{tokens:?}");
        }
    }

    #[test]
    fn keeps_little_of_what_is_too_long_and_goes_on_behind_it() {
        let length = MAX_TOKEN_LEN + 100;
        let mut stream = vec![0x5a];
        stream.extend((length as u32).to_be_bytes());
        stream.resize(stream.len() + length, 0);
        stream.extend([0x41, 9]);
        let tokens = tokens(&stream);
        assert_eq!(tokens[0].as_ref().map(Vec::len), Ok(MAX_TOKEN_LEN + 1));
        assert_eq!(tokens[1], Ok(vec![9]));
    }

    #[test]
    fn keeps_the_order_whoever_did_the_work() {
        let items: Vec<_> = (0..1000).collect();
        assert_eq!(in_parallel(&items, |n| n * 2), (0..1000).map(|n| n * 2).collect::<Vec<_>>());
    }
}
