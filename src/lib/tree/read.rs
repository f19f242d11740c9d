//! Reading recipes of a revision: exported into a scratch directory, read in the sandbox, judged; or known already.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, DirEntry, Metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfs};

use super::export::SCHEMES;
use super::kept::{File, Kept, Sources};
use super::paths::{is_recipe, recipe_directory};
use super::readers::{Read, readings};
use super::recipe::{Problem, Reading};
use super::revision::Repository;
use super::sandbox::Limits;
use super::srcinfo;
use crate::base::durable::{make_dir, present, remove_tree};
use crate::base::lock::{self, Lock};
use crate::base::output::{Progress, SILENT};
use crate::base::random;
use crate::base::{Error, Result};
use crate::config::{Format, TreeSection};
use crate::names::{Name, Revision, Tree};
use crate::spool::Spool;

/// Up to so many directories are asked of a repository by name; more, and all are.
const BY_NAME: usize = 64;

/// Where whole trees are read.
#[derive(Debug, Clone)]
pub struct Desk {
    /// For what is needed meanwhile.
    pub scratch: PathBuf,
    /// For what is known afterwards; without it everything is read each time.
    pub kept: Option<PathBuf>,
    /// Told how many recipes are read.
    pub progress: Progress,
}

impl Desk {
    /// Returns the desk of the owner of `spool`.
    pub fn of(spool: &Spool) -> Self {
        Self { scratch: roomy(spool.tmp()), kept: Some(spool.at("cache")), progress: SILENT }
    }
}

/// Where every Linux host has files in memory: to write a whole tree costs ten thousand system calls, which take ten
/// times longer on a disk.
const MEMORY: &str = "/dev/shm";

/// So many bytes, and files, have to be free there; Frugalware's tree takes 40 MB in ten thousand files.
const ROOM: (u64, u64) = (1 << 30, 100_000);

/// What our directories begin with.
const PREFIX: &str = "syncpkg-read-";

/// Returns where a tree may be written meanwhile: in memory if there is room, else `otherwise`.
pub fn roomy(otherwise: PathBuf) -> PathBuf {
    let writable = rustix::fs::access(MEMORY, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    match writable && rustix::fs::statvfs(MEMORY).is_ok_and(|found| has_room(&found)) {
        true => PathBuf::from(MEMORY),
        false => otherwise,
    }
}

/// Whether a tree fits. A file system in memory may be out of files long before it is out of bytes; one that counts
/// none (`f_files` is 0) has as many as it likes.
fn has_room(found: &StatVfs) -> bool {
    found.f_bavail.saturating_mul(found.f_frsize) >= ROOM.0
        && (found.f_files == 0 || found.f_favail >= ROOM.1)
}

/// A directory below the scratch directory, for its owner only; dropped, it is gone. Whoever reads next removes what
/// killed programs left.
struct Place {
    path: PathBuf,
    /// Held as long as somebody lives who needs the directory.
    _lock: Lock,
}

impl Place {
    fn new(scratch: &Path) -> Result<Self> {
        make_dir(scratch)?;
        sweep(scratch)?;
        loop {
            let path = scratch.join(format!("{PREFIX}{}", random::word(12)));
            let made = DirBuilder::new().mode(0o700).create(&path);
            made.map_err(|source| Error::io("make directory", &path, source))?;
            let lock = lock::dir_if_free(&path);
            // Before it was locked, somebody who reads too may have taken it for one that was left.
            if present(&path)?
                && let Some(lock) = lock?
            {
                return Ok(Self { path, _lock: lock });
            }
        }
    }
}

/// Removes the directories of ours that nobody holds.
fn sweep(scratch: &Path) -> Result<()> {
    let ours = |entry: &DirEntry| {
        let owner = entry.metadata().ok().filter(Metadata::is_dir).map(|meta| meta.uid());
        owner == Some(rustix::process::geteuid().as_raw())
            && entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())
    };
    for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten().filter(ours) {
        if let Ok(Some(_left)) = lock::dir_if_free(&entry.path()) {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Reads the recipe files `paths` as of `revision`; a reading for each, in their order. When they are many, what is
/// not known yet of the whole tree is read instead: it is wanted again.
///
/// # Errors
/// The revision cannot be had, or recipes cannot be read at all here.
pub fn read(
    section: &TreeSection,
    tree: &Tree,
    revision: &Revision,
    paths: &[String],
    desk: &Desk,
) -> Result<Vec<Reading>> {
    let (good, _): (Vec<String>, Vec<String>) =
        paths.iter().cloned().partition(|path| is_recipe(path, section));
    let mut read = match &desk.kept {
        Some(_) if good.len() > BY_NAME => all(section, tree, revision, desk)?,
        Some(_) | None => read_at(Repository::new(tree, section), revision, good, desk)?,
    };
    let reading = |path: &String| {
        read.remove(path).unwrap_or_else(|| {
            let why = match is_recipe(path, section) {
                true => format!("it is not in the tree {tree}"),
                false => format!("it is not where recipes of the tree {tree} are ({})", section.recipes),
            };
            Err(Problem { path: crate::base::output::inert(path), error: why })
        })
    };
    Ok(paths.iter().map(reading).collect())
}

/// Reads all recipes of `revision`, in the order of their paths.
///
/// # Errors
/// As [`read`].
pub fn read_all(
    section: &TreeSection,
    tree: &Tree,
    revision: &Revision,
    desk: &Desk,
) -> Result<Vec<Reading>> {
    Ok(all(section, tree, revision, desk)?.into_values().collect())
}

/// Readings by the paths of their recipes.
type ByPath = BTreeMap<String, Reading>;

fn all(section: &TreeSection, tree: &Tree, revision: &Revision, desk: &Desk) -> Result<ByPath> {
    let repository = Repository::new(tree, section);
    let state = repository.state(revision)?;
    if let (Some(dir), Some(state)) = (&desk.kept, state)
        && let Some(readings) =
            read_changed(repository, revision, state, &dir.join(format!("recipes-{tree}")), desk)?
    {
        return Ok(readings);
    }
    read_at(repository, revision, repository.list(revision)?, desk)
}

/// Reads what is not kept in `file`, and keeps all; none when the repository cannot say what has changed.
fn read_changed(
    repository: Repository<'_>,
    revision: &Revision,
    state: String,
    file: &Path,
    desk: &Desk,
) -> Result<Option<ByPath>> {
    let (mut kept, changes) = load(repository, revision, &state, file)?;
    if kept.state == state {
        let unsure = std::mem::take(&mut kept.unsure);
        return Ok(Some(kept.with(read_at(repository, revision, unsure, desk)?)));
    }
    let touched = changes.and_then(|paths| kept.touched(repository.section, &paths));
    // Of a few, what they are read from is asked for by name: to list a whole tree takes longer than to read one.
    let touched = touched.filter(|touched| touched.len() <= BY_NAME);
    let dirs = touched.as_ref().map(with_schemes);
    let Some(mut contents) = repository.contents(revision, dirs.as_deref())? else { return Ok(None) };
    contents.sort();
    let sources = Sources::new(repository.section, &contents);
    let (kept, missing) = kept.renewed(state.clone(), touched.as_ref(), &sources);
    let (read, text) = std::thread::scope(|scope| {
        let text = scope.spawn(|| kept.text());
        (read_exported(repository, revision, &missing, Some(&contents), desk), text.join())
    });
    let (read, mut added) = (read?, Kept::default());
    missing.iter().zip(&read).for_each(|(path, read)| added.add(path, read, &sources));
    // What was read is what was listed only if nothing has moved meanwhile.
    if let Ok(text) = text
        && repository.state(revision)? == Some(state)
    {
        kept.store(text, &added, file);
    }
    Ok(Some(kept.with(missing.into_iter().zip(read.into_iter().map(|read| read.reading)).collect())))
}

/// Returns what is kept in `file`, and what has changed since then, if the repository can say and something has.
fn load(
    repository: Repository<'_>,
    revision: &Revision,
    state: &str,
    file: &Path,
) -> Result<(Kept, Option<Vec<String>>)> {
    let file = File::open(file);
    let old = file.state();
    let (kept, changes) = std::thread::scope(|scope| {
        let changes = (old != state).then(|| scope.spawn(|| repository.changes(old, revision)));
        (file.kept(repository.section), changes.and_then(|thread| thread.join().ok()))
    });
    // The answer is of no use for what was damaged, or read in another way: nothing is kept of that.
    let changes = changes.transpose()?.flatten().filter(|_| kept.state == old);
    Ok((kept, changes))
}

/// Returns the directories that the recipes `paths` are read from.
fn with_schemes(paths: &BTreeSet<String>) -> Vec<String> {
    paths.iter().map(|path| recipe_directory(path)).chain([SCHEMES]).map(str::to_owned).collect()
}

fn read_at(
    repository: Repository<'_>,
    revision: &Revision,
    paths: Vec<String>,
    desk: &Desk,
) -> Result<ByPath> {
    let read = read_exported(repository, revision, &paths, None, desk)?;
    Ok(paths.into_iter().zip(read.into_iter().map(|read| read.reading)).collect())
}

fn read_exported(
    repository: Repository<'_>,
    revision: &Revision,
    paths: &[String],
    contents: Option<&[(String, String)]>,
    desk: &Desk,
) -> Result<Vec<Read>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let place = Place::new(&desk.scratch).map_err(|error| repository.named(error))?;
    let dirs: Vec<String> = paths.iter().map(|path| recipe_directory(path).to_owned()).collect();
    let (section, limits) = (repository.section, Limits::default());
    let dirs = (dirs.len() <= BY_NAME).then_some(dirs);
    let export = |into: &Path| repository.export(revision, dirs.as_deref(), contents, into);
    if section.format == Format::Frugalbuild {
        return readings(section, &place.path, paths, limits, desk.progress, export);
    }
    let tree = place.path.join("tree");
    export(&tree)?;
    let ready = repository.in_step(revision, &srcinfo::directories(&tree, paths))?;
    let said = |path: &String| {
        let ready = ready.contains(recipe_directory(path));
        ready.then(|| srcinfo::read(section, &tree, path)).flatten()
    };
    let said: Vec<Option<Read>> = paths.iter().map(said).collect();
    let silent = paths.iter().zip(&said).filter(|(_, said)| said.is_none());
    let silent: Vec<String> = silent.map(|(path, _)| path.clone()).collect();
    let mut read = readings(section, &place.path, &silent, limits, desk.progress, |_| Ok(()))?.into_iter();
    Ok(said.into_iter().filter_map(|said| said.or_else(|| read.next())).collect())
}

/// Returns the recipe that produces the package `name` at `revision`: looked for in directories of that name
/// first, then everywhere. A recipe there that cannot be read is the answer too.
///
/// # Errors
/// As [`read`].
pub fn find(
    section: &TreeSection,
    tree: &Tree,
    revision: &Revision,
    name: &Name,
    desk: &Desk,
) -> Result<Option<Reading>> {
    let called = |path: &String| recipe_directory(path).rsplit('/').next() == Some(name.as_str());
    let all = Repository::new(tree, section).list(revision)?;
    let near: Vec<String> = all.into_iter().filter(called).collect();
    let produces = |reading: &Reading| match reading {
        Ok(recipe) => recipe.name == *name || recipe.subpkgs.contains(name),
        Err(_) => false,
    };
    let near = read(section, tree, revision, &near, desk)?;
    if let Some(found) = near.iter().find(|reading| produces(reading)) {
        return Ok(Some(found.clone()));
    }
    if let Some(problem) = near.into_iter().find(std::result::Result::is_err) {
        return Ok(Some(problem));
    }
    Ok(read_all(section, tree, revision, desk)?.into_iter().find(produces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_out_of_files_has_no_room() {
        let mut found = rustix::fs::statvfs("/").unwrap();
        (found.f_bavail, found.f_frsize, found.f_files, found.f_favail) = (1 << 30, 4096, 1 << 20, 1 << 20);
        assert!(has_room(&found));
        assert!(has_room(&StatVfs { f_files: 0, f_favail: 0, ..found }), "one that does not count its files");
        assert!(!has_room(&StatVfs { f_favail: 10, ..found }));
        assert!(!has_room(&StatVfs { f_bavail: 10, ..found }));
    }

    #[test]
    fn whoever_reads_next_removes_what_a_killed_reader_left() {
        let scratch = tempfile::tempdir().unwrap();
        let [left, other] = ["syncpkg-read-abc", "somebody-elses"].map(|name| scratch.path().join(name));
        std::fs::create_dir_all(left.join("tree/source")).unwrap();
        std::fs::create_dir(&other).unwrap();
        let one = Place::new(scratch.path()).unwrap();
        assert!(!left.exists() && other.exists());
        let two = Place::new(scratch.path()).unwrap();
        assert!(one.path.exists() && two.path.exists(), "both live");
        drop((one, two));
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
