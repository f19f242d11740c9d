//! Where a built package is found.

use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::{Error, Result, durable};
use crate::config::TreeSection;
use crate::names::{Arch, Item, Name, Release, Version};

/// Returns where the tree's pattern `packages` puts `name`; none when there is no pattern.
fn path(
    section: &TreeSection,
    name: &Name,
    version: &Version,
    release: &Release,
    arch: &str,
) -> Option<PathBuf> {
    if section.packages.is_empty() {
        return None;
    }
    let filled = section
        .packages
        .replace("{name}", name.as_str())
        .replace("{version}", version.as_str())
        .replace("{release}", release.as_str())
        .replace("{arch}", arch);
    Some(PathBuf::from(filled))
}

/// Returns where each of `outputs` is found once it is published for `arch`; nothing without a pattern.
pub fn published_paths(
    section: &TreeSection,
    outputs: &[Name],
    version: &Version,
    release: &Release,
    arch: &Arch,
) -> Vec<PathBuf> {
    outputs.iter().filter_map(|name| path(section, name, version, release, arch.as_str())).collect()
}

/// Tells whether every one of `outputs` is there as a regular file, for `arch` or (parts of a split package may
/// be) for `any`. Without a pattern or without outputs nothing is published.
///
/// # Errors
/// It cannot be told.
pub fn published(
    section: &TreeSection,
    outputs: &[Name],
    version: &Version,
    release: &Release,
    arch: &Arch,
) -> Result<bool> {
    for name in outputs {
        let places =
            [arch.as_str(), "any"].into_iter().filter_map(|arch| path(section, name, version, release, arch));
        let files = places.map(|path| is_file(&path)).collect::<Result<Vec<_>>>()?;
        if !files.contains(&true) {
            return Ok(false);
        }
    }
    Ok(!outputs.is_empty())
}

fn is_file(path: &Path) -> Result<bool> {
    Ok(durable::look(path)?.is_some_and(|meta| meta.is_file()))
}

/// Returns the packages that lie in the package directory, for the tree's architectures and `any`, sorted; other
/// files (databases, signatures) are none.
///
/// # Errors
/// The tree's pattern is of another form than `…/{name}-{version}-{release}-{arch}SUFFIX`; a directory that cannot be
/// read (one that is not there is empty).
pub fn packages_in(section: &TreeSection) -> Result<BTreeMap<PathBuf, Item>> {
    let mut found = BTreeMap::new();
    if section.packages.is_empty() {
        return Ok(found);
    }
    let form = section.packages.rsplit_once("/{name}-{version}-{release}-{arch}");
    let (directory, suffix) = form.filter(|(_, suffix)| !suffix.contains('/')).ok_or_else(|| {
        Error::wrong(format!("cannot tell packages from other files in {}", section.packages))
    })?;
    for arch in section.archs.iter().map(Arch::as_str).chain(["any"]) {
        let directory = PathBuf::from(directory.replace("{arch}", arch));
        for name in listed(&directory)? {
            let item = name.strip_suffix(suffix).and_then(|stem| stem.parse::<Item>().ok());
            if let Some(item) = item.filter(|item| item.arch.as_str() == arch) {
                found.insert(directory.join(name), item);
            }
        }
    }
    Ok(found)
}

fn listed(directory: &Path) -> Result<Vec<String>> {
    let entries = match directory.read_dir() {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("list", directory, source)),
    };
    let name = |entry: io::Result<DirEntry>| entry.map(|entry| entry.file_name().into_string().ok());
    let names = entries.filter_map(|entry| name(entry).transpose()).collect::<io::Result<_>>();
    names.map_err(|source| Error::io("list", directory, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_package_is_published_when_every_part_is() {
        let place = tempfile::tempdir().unwrap();
        let packages =
            format!("{}/{{arch}}/{{name}}-{{version}}-{{release}}-{{arch}}.pkg", place.path().display());
        let section = TreeSection { packages, ..TreeSection::default() };
        let outputs: Vec<Name> = ["a", "a-doc"].map(|name| name.parse().unwrap()).to_vec();
        let (version, release, arch) =
            ("1:2".parse().unwrap(), "1".parse().unwrap(), "x86_64".parse().unwrap());
        let told = || published(&section, &outputs, &version, &release, &arch);
        for arch in ["x86_64", "any"] {
            std::fs::create_dir(place.path().join(arch)).unwrap();
        }
        std::fs::write(place.path().join("x86_64/a-1:2-1-x86_64.pkg"), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", place.path().join("any/a-doc-1:2-1-any.pkg")).unwrap();
        assert!(!told().unwrap(), "a link is no package");
        std::fs::remove_file(place.path().join("any/a-doc-1:2-1-any.pkg")).unwrap();
        std::fs::write(place.path().join("any/a-doc-1:2-1-any.pkg"), "").unwrap();
        assert!(told().unwrap());
    }

    #[test]
    fn without_a_pattern_nothing_is_published() {
        let (section, one) = (TreeSection::default(), "1");
        let outputs = ["a".parse().unwrap()];
        let told = published(
            &section,
            &outputs,
            &one.parse().unwrap(),
            &one.parse().unwrap(),
            &"any".parse().unwrap(),
        );
        assert!(!told.unwrap());
    }

    #[test]
    fn only_packages_of_the_trees_architectures_are_listed() {
        let place = tempfile::tempdir().unwrap();
        let packages =
            format!("{}/f-{{arch}}/{{name}}-{{version}}-{{release}}-{{arch}}.fpm", place.path().display());
        let section = TreeSection { packages, ..TreeSection::default() };
        let directory = place.path().join("f-x86_64");
        assert_eq!(packages_in(&section).unwrap().len(), 0, "a directory that is not there is empty");
        std::fs::create_dir(&directory).unwrap();
        for name in
            ["a-b-1-2-x86_64.fpm", "a-1-1-i686.fpm", "a-1-1-x86_64.fpm.sig", "f.fdb", "1-1-x86_64.fpm"]
        {
            std::fs::write(directory.join(name), "").unwrap();
        }
        let found = packages_in(&section).unwrap();
        assert_eq!(found.into_values().map(|item| item.to_string()).collect::<Vec<_>>(), ["a-b-1-2-x86_64"]);
        let other = TreeSection { packages: "/p/{arch}-{name}-{version}-{release}".to_owned(), ..section };
        assert!(packages_in(&other).is_err());
    }
}
