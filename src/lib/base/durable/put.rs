//! Making files: what they hold is on the disk before their names are, and those before the answer.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;

use super::{
    confirm, create, create_at, discard, equal, into, make_dir, name, open_regular, parent, rename_free,
    sync_dir, sync_fs, taken,
};
use crate::base::{Error, Result};

/// What [`put`] found under the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Nothing: the file was made.
    Made,
    /// A file with the same bytes: somebody was here before, or this is a repeat.
    Same,
    /// A file with other bytes; it was left alone.
    Differs,
}

/// Puts `bytes` durably under `target`, which must not exist; `tmp` is a directory of the same file system.
///
/// # Errors
/// Any failing system call; then nothing has the name `target` that was not there before, or (a directory
/// fsync failed) the name may or may not survive a power cut: the caller must not acknowledge.
pub fn put(tmp: &Path, target: &Path, bytes: &[u8]) -> Result<Put> {
    put_from(tmp, target, &mut io::Cursor::new(bytes))
}

/// Puts what `source` yields durably under `target`, as [`put`] does; `source` is read from its start.
///
/// # Errors
/// As [`put`], and when `source` cannot be read.
pub fn put_from<S: Read + Seek>(tmp: &Path, target: &Path, source: &mut S) -> Result<Put> {
    let fresh = Fresh::written(tmp, target, source)?;
    fresh.flush()?;
    if fresh.name()? { sync_dir(parent(target)).map(|()| Put::Made) } else { settle(target, source) }
}

/// Puts several files durably, each as [`put`] does, but waits for the disk together: all data, all names, then the
/// directories. A name that is taken keeps what it has, made durable.
///
/// # Errors
/// As [`put`]; some of the files may have been named.
pub fn put_all(tmp: &Path, files: &[(PathBuf, Vec<u8>)]) -> Result<()> {
    let fresh = files.iter().map(|(target, bytes)| Fresh::written(tmp, target, &mut io::Cursor::new(bytes)));
    let fresh = fresh.collect::<Result<Vec<_>>>()?;
    fresh.iter().try_for_each(Fresh::flush)?;
    for one in fresh {
        let target = one.target;
        if !one.name()? {
            confirm(target)?;
        }
    }
    let directories: BTreeSet<&Path> = files.iter().map(|(target, _)| parent(target)).collect();
    directories.into_iter().try_for_each(sync_dir)
}

/// A file that has no name of its own yet; without one it goes.
struct Fresh<'a> {
    target: &'a Path,
    path: PathBuf,
    file: File,
}

impl<'a> Fresh<'a> {
    fn written<S: Read + Seek>(tmp: &Path, target: &'a Path, source: &mut S) -> Result<Self> {
        let (path, file) = create(tmp, target)?;
        let mut fresh = Self { target, path, file };
        source.rewind().map_err(|error| Error::io("read", target, error))?;
        io::copy(source, &mut fresh.file).map_err(|error| Error::io("write", target, error))?;
        Ok(fresh)
    }

    /// Data before name: after a power cut a name must never lead to missing bytes. A failed fsync is final for this
    /// descriptor (the kernel may have dropped the pages), so the file is given up.
    fn flush(&self) -> Result<()> {
        self.file.sync_all().map_err(|source| Error::io("fsync", self.target, source))
    }

    /// Gives it its name; false when that is taken.
    fn name(mut self) -> Result<bool> {
        let named = name(&self.path, self.target)?;
        if named {
            self.path.clear();
        }
        Ok(named)
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            discard(&self.path);
        }
    }
}

/// Writes `bytes` to the new file `path`, not durable yet: a draft, for [`name_all`].
///
/// # Errors
/// Any failing system call.
pub fn draft(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = match create_at(path) {
        Err(Errno::NOENT) => make_dir(parent(path)).map(|()| create_at(path))?,
        other => other,
    }
    .map_err(|source| Error::io("create", path, source))?;
    file.write_all(bytes).map_err(|source| Error::io("write", path, source))
}

/// Names the drafts in `drafts`, each called like its target, durably before one answer: all data, all names, each
/// directory once.
///
/// # Errors
/// As [`put`]; a name that exists is an error here. Some of the files may have been named.
pub fn name_all(drafts: &Path, targets: &mut dyn Iterator<Item = Result<PathBuf>>) -> Result<()> {
    let draft = |target: &Path| drafts.join(target.file_name().unwrap_or_default());
    // One flush of the file system instead of an fsync for each file; same promise, see `put_from`.
    sync_fs(drafts)?;
    let mut directories = BTreeSet::new();
    for target in targets {
        let target = target?;
        if !name(&draft(&target), &target)? {
            return Err(taken(&target));
        }
        directories.insert(parent(&target).to_owned());
    }
    directories.iter().try_for_each(|directory| sync_dir(directory))
}

/// Puts `bytes` durably under `target`, which must be free; `entry`, in an index, becomes another name of the file in place
/// of whatever had it. It is there first, and half written: so no name is made only to be taken away.
///
/// # Errors
/// As [`put`]; a `target` that exists.
pub fn put_entry(entry: &Path, target: &Path, bytes: &[u8]) -> Result<()> {
    let (draft, mut file) = match create_at(entry) {
        Ok(file) => (entry.to_owned(), file),
        // One that is there stays whole until the new one is written.
        Err(_) => create(parent(entry), entry)?,
    };
    let put = file
        .write_all(bytes)
        .map_err(|source| Error::io("write", target, source))
        .and_then(|()| file.sync_all().map_err(|source| Error::io("fsync", target, source)))
        .and_then(|()| if draft == entry { Ok(()) } else { rename_over(&draft, entry) })
        .and_then(|()| link_free(entry, target));
    if put.is_err() {
        discard(&draft);
    }
    put.and_then(|()| sync_dir(parent(target)))
}

fn rename_over(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|source| Error::io("rename", to, source))
}

fn link_free(entry: &Path, target: &Path) -> Result<()> {
    match into(entry, target, || rustix::fs::link(entry, target))? {
        Err(Errno::EXIST) => Err(taken(target)),
        other => other.map_err(|source| Error::io("link", target, source)),
    }
}

/// Puts `bytes` durably under `name` into `dir`, a directory this user may create files in but not read. Readable
/// by everybody, whatever the umask: its owner decides who asked, not who may look.
///
/// # Errors
/// As [`put`]; a name that is taken.
pub fn hand_in(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let target = dir.join(name);
    let (path, mut file) = create(dir, &target)?;
    let fail = |verb| move |source: io::Error| Error::io(verb, dir, source);
    let written = rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))
        .map_err(|source| Error::io("set the mode in", dir, source))
        .and_then(|()| file.write_all(bytes).map_err(fail("write into")))
        .and_then(|()| file.sync_all().map_err(fail("fsync in")))
        .and_then(|()| rename_free(&path, &target).map_err(|source| Error::io("rename in", dir, source)));
    if written.is_err() {
        discard(&path);
    }
    written?;
    // The directory cannot be opened for an fsync, so the whole file system is flushed through the file.
    rustix::fs::syncfs(&file).map_err(|source| Error::io("sync", dir, source))
}

/// Judges a taken name: equal bytes are a repeat, made durable before it is acknowledged.
fn settle<S: Read + Seek>(target: &Path, source: &mut S) -> Result<Put> {
    source.rewind().map_err(|error| Error::io("read", target, error))?;
    if !equal(open_regular(target)?, source, target)? {
        return Ok(Put::Differs);
    }
    confirm(target)?;
    Ok(Put::Same)
}
