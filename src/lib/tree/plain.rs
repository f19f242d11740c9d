//! A tree without version control: a directory, whose revision is the hash of its recipes.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::ages::{Ages, Change};
use super::export::{self, FILE_LIMIT, Selection};
use super::paths::clean;
use super::srcinfo;
use crate::base::durable;
use crate::base::error::readable;
use crate::base::{Error, Result};
use crate::config::TreeSection;
use crate::names::Revision;

/// Returns all regular files below `root` that are not hidden, sorted; what vanishes meanwhile is passed over.
pub(super) fn list(root: &Path) -> Result<Vec<String>> {
    if !durable::is_dir(root)? {
        return Err(Error::wrong(format!("cannot read the tree {}: no such directory", root.display())));
    }
    let shown = |entry: &walkdir::DirEntry| {
        let name = entry.file_name();
        entry.depth() == 0 || !name.to_string_lossy().starts_with('.') || srcinfo::is_one(name)
    };
    let walk = WalkDir::new(root).follow_links(false).sort_by_file_name().into_iter().filter_entry(shown);
    let mut paths = Vec::new();
    for entry in walk {
        let entry = entry.map_err(|source| Error::io("list", root, source));
        let Some(entry) = readable(entry)?.filter(|entry| entry.file_type().is_file()) else { continue };
        let path = entry.path().strip_prefix(root).ok().and_then(Path::to_str);
        paths.extend(path.filter(|path| clean(path) == Some(*path)).map(str::to_owned));
    }
    Ok(paths)
}

/// Returns the SHA-256 over paths and contents of all recipe directories.
pub(super) fn tip(section: &TreeSection) -> Result<Revision> {
    let mut hash = Sha256::new();
    for (path, digest) in contents(section)? {
        hash.update(format!("{path}\0{digest}\0"));
    }
    format!("{:x}", hash.finalize()).parse()
}

/// Returns the paths of all files of recipe directories with the SHA-256 of their contents.
pub(super) fn contents(section: &TreeSection) -> Result<Vec<(String, String)>> {
    let selection = Selection::new(section, None);
    let mut paths = list(&section.path)?;
    paths.retain(|path| selection.takes(path));
    let digest = |path: String| -> Result<(String, String)> {
        let bytes = readable(durable::read(&section.path.join(&path), FILE_LIMIT))?.unwrap_or_default();
        Ok((path, format!("{:x}", Sha256::digest(bytes))))
    };
    paths.into_iter().map(digest).collect()
}

/// Copies the selected files into `into`, as they are now: there is no other revision.
pub(super) fn export(section: &TreeSection, selection: &Selection<'_>, into: &Path) -> Result<()> {
    export::make_root(into)?;
    for path in list(&section.path)?.iter().filter(|path| selection.takes(path)) {
        if let Some(bytes) = readable(durable::read(&section.path.join(path), FILE_LIMIT))? {
            export::write(into, path, &bytes)?;
        }
    }
    Ok(())
}

/// Returns those of `dirs` whose .SRCINFO was not written before its PKGBUILD.
pub(super) fn in_step(root: &Path, dirs: &[String]) -> HashSet<String> {
    let time = |dir: &String, file: &str| root.join(dir).join(file).symlink_metadata()?.modified();
    let ready = |dir: &&String| match (time(dir, ".SRCINFO"), time(dir, "PKGBUILD")) {
        (Ok(own), Ok(recipe)) => own >= recipe,
        (Ok(_), Err(_)) | (Err(_), _) => false,
    };
    dirs.iter().filter(ready).cloned().collect()
}

/// Returns the newest modification time of the files in each of `dirs`, for want of commits; none without files.
pub(super) fn ages(root: &Path, dirs: &[String]) -> Ages {
    let newest = |dir: &String| {
        let place = root.join(dir);
        let files = list(&place).unwrap_or_default();
        let times = files.iter().filter_map(|path| place.join(path).symlink_metadata().ok()?.modified().ok());
        Some((dir.clone(), Change::new(Timestamp::try_from(times.max()?).ok()?, "", "")))
    };
    dirs.iter().filter_map(newest).collect()
}
