//! The only module that creates, renames, links, removes and fsyncs files of the spool.
//!
//! [`put`] makes a file whose content is on the disk before its name is, and whose name is on the disk
//! before the answer is. [`shift`] moves a file to a name that must be free; it is the compare-and-swap
//! every change of state is made of.

mod derived;
mod put;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

pub use derived::{
    changed, changes, copy, forget, identity, lead, link, link_tree, page, prune, remove_tree, replace,
    replace_by, ring, touch, unlink, write_at,
};
pub use put::{Put, draft, hand_in, name_all, put, put_all, put_entry, put_from};

use super::error::readable;
pub use super::regular::{open_beneath, open_regular, read, read_open};
use super::{Error, Result, random};

/// What became of [`shift`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// The file has its new name, durably.
    Moved,
    /// The file was not there any more: somebody else changed the state first.
    Gone,
}

/// Moves `from` durably to `to`, which must be free. One of any number of callers wins.
///
/// A `to` that exists with the same bytes is a repeat after a crash and counts as moved.
///
/// # Errors
/// `to` exists with other bytes (that is a bug or a hand-made copy), or a system call failed.
pub fn shift(from: &Path, to: &Path) -> Result<Shift> {
    if from == to {
        // The kernel says EEXIST here too, and what "exists with the same bytes" is the only copy.
        return if present(from)? { confirm(from).map(|()| Shift::Moved) } else { Ok(Shift::Gone) };
    }
    match rename_into(from, to)? {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(Shift::Gone),
        // The name that stays is made durable before the other one goes.
        Err(Errno::EXIST) if same_bytes(from, to)? => confirm(to).and_then(|()| remove(from))?,
        Err(Errno::EXIST) => return Err(taken(to)),
        Err(source) => return Err(Error::io("rename", from, source)),
    }
    // btrfs may find both names again when only the directories were flushed, the new one first: a ticket would be
    // had twice. A file flushed by itself has one name.
    sync_moved(to)?;
    // Name before answer, on both sides: without the fsync of `to` the file may be lost, without that of
    // `from` it may come back beside itself.
    sync_dir(parent(to))?;
    if parent(from) != parent(to) {
        sync_left(parent(from))?;
    }
    Ok(Shift::Moved)
}

/// Moves `from` to `to`, which must be free, between two places that mean the same: a power cut may take the move back,
/// but leaves one name.
///
/// # Errors
/// As [`shift`].
pub fn relocate(from: &Path, to: &Path) -> Result<Shift> {
    match rename_into(from, to)? {
        Ok(()) => sync_moved(to).map(|()| Shift::Moved),
        Err(Errno::NOENT) => Ok(Shift::Gone),
        Err(Errno::EXIST) => Err(taken(to)),
        Err(source) => Err(Error::io("rename", from, source)),
    }
}

fn taken(target: &Path) -> Error {
    Error::wrong(format!("cannot put {}: it exists with other content", target.display()))
}

/// Removes the file `path` and makes that durable; one that is gone already is fine.
///
/// # Errors
/// Any other failing system call.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_dir(parent(path)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::io("remove", path, source)),
    }
}

/// Makes the directory `path` and its missing parents, each durable in its own parent.
///
/// # Errors
/// Any failing system call.
pub fn make_dir(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Ok(()) => sync_dir(parent(path)),
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            make_dir(parent(path))?;
            make_dir(path)
        }
        Err(source) => Err(Error::io("make directory", path, source)),
    }
}

/// Makes durable the name and the bytes of a file that somebody else made: an answer that rests on a name
/// found, not made, must not rest on a name its maker had not fsynced yet.
///
/// # Errors
/// Any failing system call.
pub fn confirm(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
    file.sync_all().map_err(|source| Error::io("fsync", path, source))?;
    sync_dir(parent(path))
}

/// Flushes the whole file system `path` lies on.
///
/// # Errors
/// Any failing system call.
pub fn sync_fs(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
    rustix::fs::syncfs(file).map_err(|source| Error::io("sync", path, source))
}

/// Returns the bytes that an ordinary user can still write on the file system of `path`.
///
/// # Errors
/// `path` does not exist.
pub fn available(path: &Path) -> Result<u64> {
    fs2::available_space(path).map_err(|source| Error::io("measure", path, source))
}

/// Makes the temporary file of `target`. Errors name the target: a person knows it, and the same failure says the
/// same each time.
fn create(dir: &Path, target: &Path) -> Result<(PathBuf, File)> {
    let last = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let short: String = last.chars().filter(char::is_ascii).take(200).collect();
    let path = dir.join(format!(".{short}.{}", random::word(8)));
    let opened = match create_at(&path) {
        // `tmp/` was tidied away by somebody.
        Err(Errno::NOENT) => make_dir(dir).map(|()| create_at(&path))?,
        other => other,
    };
    opened.map(|file| (path, file)).map_err(|source| Error::io("create", target, source))
}

fn create_at(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o644)).map(File::from)
}

/// Gives the finished temporary file its name; false when the name is taken.
fn name(path: &Path, target: &Path) -> Result<bool> {
    match rename_into(path, target)? {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(source) => Err(Error::io("rename", target, source)),
    }
}

/// Renames into a directory that is made when it is missing.
fn rename_into(from: &Path, to: &Path) -> Result<Result<(), Errno>> {
    into(from, to, || rename_free(from, to))
}

/// Names something in a directory that is made when it is missing, and again when somebody removes it, empty, before
/// the name comes. Either name may be what is missing: the source is looked at before that is judged.
fn into(from: &Path, to: &Path, name: impl Fn() -> Result<(), Errno>) -> Result<Result<(), Errno>> {
    for _ in 0..100 {
        match name() {
            Err(Errno::NOENT) if present(from)? => make_dir(parent(to))?,
            other => return Ok(other),
        }
    }
    Err(Error::again(format!(
        "cannot name {}: somebody keeps removing {}",
        from.display(),
        parent(to).display()
    )))
}

/// `std::fs::rename` would overwrite in silence; this one call is the compare-and-swap of the protocol.
fn rename_free(from: &Path, to: &Path) -> Result<(), Errno> {
    rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

/// Tells whether two files have the same content.
///
/// # Errors
/// One of them cannot be read.
pub fn same_bytes(one: &Path, other: &Path) -> Result<bool> {
    let (first, mut second) = (open_regular(one)?, open_regular(other)?);
    let inode = |file: &File| file.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
    Ok(inode(&first).is_some() && inode(&first) == inode(&second) || equal(first, &mut second, one)?)
}

/// Tells whether two sources yield the same bytes.
///
/// # Errors
/// One of them, called `path`, cannot be read.
pub fn equal(one: impl Read, other: &mut impl Read, path: &Path) -> Result<bool> {
    let fail = |source| Error::io("read", path, source);
    let (mut one, mut other) = (io::BufReader::new(one), io::BufReader::new(other));
    loop {
        let (left, right) =
            (io::BufRead::fill_buf(&mut one).map_err(fail)?, io::BufRead::fill_buf(&mut other));
        let right = right.map_err(fail)?;
        let n = left.len().min(right.len());
        if n == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        if left.get(..n) != right.get(..n) {
            return Ok(false);
        }
        io::BufRead::consume(&mut one, n);
        io::BufRead::consume(&mut other, n);
    }
}

/// Tells whether something has the name `path`. A disk that cannot say so has not said no.
///
/// # Errors
/// It cannot be told.
pub fn present(path: &Path) -> Result<bool> {
    look(path).map(|meta| meta.is_some())
}

/// Returns what the name `path` stands for, without following a link; none if nothing has that name.
///
/// # Errors
/// It cannot be told.
pub fn look(path: &Path) -> Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(source) if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(source) => Err(Error::io("look at", path, source)),
    }
}

/// Tells whether `path` is a directory, or leads to one.
///
/// # Errors
/// It cannot be told just now.
pub fn is_dir(path: &Path) -> Result<bool> {
    let meta = readable(fs::metadata(path).map_err(|source| Error::io("look at", path, source)))?;
    Ok(meta.is_some_and(|meta| meta.is_dir()))
}

/// What is not there any more was moved on by somebody, who flushes it too.
fn sync_moved(path: &Path) -> Result<()> {
    match File::open(path) {
        Ok(file) => file.sync_all().map_err(|source| Error::io("fsync", path, source)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::io("open", path, source)),
    }
}

fn sync_dir(path: &Path) -> Result<()> {
    let directory = File::open(path).map_err(|source| Error::io("open", path, source))?;
    directory.sync_all().map_err(|source| Error::io("fsync", path, source))
}

/// What a file has left may be removed as soon as it is empty; then its own name is what must not come back.
fn sync_left(path: &Path) -> Result<()> {
    match sync_dir(path) {
        Err(_) if !present(path)? => sync_left(parent(path)),
        other => other,
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Best effort: what stays behind in `tmp/` is swept by the next round.
fn discard(path: &Path) {
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests;
