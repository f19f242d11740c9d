//! What is built: `NAME-VERSION-RELEASE-ARCH`, and what identifies a package.

use std::fmt;
use std::str::FromStr;

use super::{Arch, Name, Release, Tree, Version};
use crate::base::{Error, Result};

/// One version of one package for one architecture, written `NAME-VERSION-RELEASE-ARCH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// The package; for a split package the name of its recipe.
    pub name: Name,
    /// With the epoch, if the recipe has one.
    pub version: Version,
    /// The packaging's own count.
    pub release: Release,
    /// `any` for what every builder may build.
    pub arch: Arch,
}

impl FromStr for Item {
    type Err = Error;
    /// Splits from the right: version, release and architecture have no `-`, names may.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.rsplitn(4, '-');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(arch), Some(release), Some(version), Some(name)) => Ok(Self {
                name: name.parse()?,
                version: version.parse()?,
                release: release.parse()?,
                arch: arch.parse()?,
            }),
            _ => Err(Error::wrong(format!(
                "\"{}\" is not of the form NAME-VERSION-RELEASE-ARCH",
                crate::base::output::inert(text)
            ))),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}-{}-{}", self.name, self.version, self.release, self.arch))
    }
}

/// What identifies a package everywhere: tree, name and architecture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Package {
    /// The tree it comes from.
    pub tree: Tree,
    /// Its name.
    pub name: Name,
    /// The architecture it is for.
    pub arch: Arch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_split_from_the_right() {
        let item: Item = "lib32-gtk+-2:1.0~rc1-3-x86_64".parse().unwrap();
        assert_eq!(item.name.as_str(), "lib32-gtk+");
        assert_eq!(item.version.as_str(), "2:1.0~rc1");
        assert_eq!(item.to_string(), "lib32-gtk+-2:1.0~rc1-3-x86_64");
    }

    #[test]
    fn three_parts_are_no_item() {
        assert!("a-1-1".parse::<Item>().is_err());
        assert!("../../etc/x-1-1-any".parse::<Item>().is_err());
    }
}
