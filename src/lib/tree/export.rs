//! Writing the files of a revision where the sandbox will see them.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::paths::{clean, recipe_directory, recipes_of};
use crate::base::{Error, Result};
use crate::config::{Format, TreeSection};

/// Larger files are no recipes and nothing a recipe reads; they are left out.
pub(super) const FILE_LIMIT: u64 = 1 << 20;

/// The directory of the schemes that recipes include.
pub const SCHEMES: &str = "source/include";

/// What of a tree is wanted.
pub(super) struct Selection<'a> {
    section: &'a TreeSection,
    dirs: Option<&'a [String]>,
}

impl<'a> Selection<'a> {
    /// Selects the recipe directories `dirs`, or all, and what the format needs besides.
    pub(super) fn new(section: &'a TreeSection, dirs: Option<&'a [String]>) -> Self {
        Self { section, dirs }
    }

    /// Returns the directory of schemes that every recipe may include.
    pub(super) fn schemes(&self) -> Option<&'static str> {
        match self.section.format {
            Format::Frugalbuild => Some(SCHEMES),
            Format::Pkgbuild => None,
        }
    }

    /// Returns the selected directories, if they are listed and none is the root.
    pub(super) fn listed(&self) -> Option<Vec<String>> {
        let dirs = self.dirs?.iter().filter_map(|dir| clean(dir)).map(str::to_owned);
        let dirs: Vec<String> = dirs.chain(self.schemes().map(str::to_owned)).collect();
        (self.dirs?.iter().all(|dir| clean(dir).is_some())).then_some(dirs)
    }

    /// Tells whether the file `path` is wanted.
    pub(super) fn takes(&self, path: &str) -> bool {
        if self.schemes().is_some_and(|schemes| below(path, schemes)) {
            return true;
        }
        match self.dirs {
            Some(dirs) => dirs.iter().any(|dir| dir.is_empty() || below(path, dir)),
            None => !recipes_of(&[path.to_owned()], self.section).is_empty(),
        }
    }
}

fn below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

/// Makes the directory `into`, open to the reader, who may be another user.
pub(super) fn make_root(into: &Path) -> Result<()> {
    DirBuilder::new().create(into).map_err(|source| Error::io("make directory", into, source))?;
    open_up(into)
}

pub(super) fn open_up(dir: &Path) -> Result<()> {
    // Not by the mode at creation: the umask would take away from it.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
        .map_err(|source| Error::io("open up", dir, source))
}

/// Makes the directory `path` below `into`, and those above it, open to the reader.
pub(super) fn make_dirs(into: &Path, path: &str) -> Result<()> {
    let mut dir = into.to_path_buf();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        dir.push(part);
        match DirBuilder::new().mode(0o755).create(&dir) {
            Ok(()) => open_up(&dir)?,
            Err(source) if source.kind() == ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::io("make directory", dir, source)),
        }
    }
    Ok(())
}

/// Writes the file `path`, new below `into`; a path that leads elsewhere is passed over.
pub(super) fn write(into: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let Some(path) = clean(path) else { return Ok(()) };
    let target = into.join(path);
    let failed = |source| Error::io("write", &target, source);
    let open = || File::options().write(true).create_new(true).mode(0o644).open(&target);
    let opened = match open() {
        // The first of its directory.
        Err(source) if source.kind() == ErrorKind::NotFound => {
            make_dirs(into, recipe_directory(path))?;
            open()
        }
        opened => opened,
    };
    let mut file = opened.map_err(failed)?;
    file.set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed)?;
    file.write_all(bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_lie_outside_is_not_written() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("tree");
        make_root(&root).unwrap();
        for path in ["../out", "a/../../out", "/out", "a//out", ".", ""] {
            write(&root, path, b"x").unwrap();
        }
        write(&root, "a/in", b"x").unwrap();
        let found = |dir: &Path| {
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        };
        assert_eq!([found(place.path()), found(&root), found(&root.join("a"))], [["tree"], ["a"], ["in"]]);
    }
}
