//! Where a built package is found.

use std::path::PathBuf;

use crate::config::TreeSection;
use crate::names::{Arch, Name, Release, Version};

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
pub fn published(
    section: &TreeSection,
    outputs: &[Name],
    version: &Version,
    release: &Release,
    arch: &Arch,
) -> bool {
    let there = |name: &Name| {
        [arch.as_str(), "any"].iter().any(|arch| {
            path(section, name, version, release, arch)
                .and_then(|path| path.symlink_metadata().ok())
                .is_some_and(|meta| meta.is_file())
        })
    };
    !outputs.is_empty() && outputs.iter().all(there)
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
        assert!(!told(), "a link is no package");
        std::fs::remove_file(place.path().join("any/a-doc-1:2-1-any.pkg")).unwrap();
        std::fs::write(place.path().join("any/a-doc-1:2-1-any.pkg"), "").unwrap();
        assert!(told());
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
        assert!(!told);
    }
}
