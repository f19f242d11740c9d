//! Single words: each a string that has passed its grammar, shared by its copies: a mass rebuild has a million
//! of them.

use std::fmt;
use std::sync::Arc;

use crate::base::{Error, Result};

const NAME_BYTES: usize = 128;

macro_rules! words {
    ($($(#[$doc:meta])* $type:ident, $what:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Returns the word.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(why) => Err(Error::wrong(format!("{} \"{}\" is not allowed: {why}", $what, shown(text)))),
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(word: $type) -> String {
                word.0.to_string()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<std::path::Path> for $type {
            fn as_ref(&self) -> &std::path::Path {
                str::as_ref(&self.0)
            }
        }
    )*};
}

words! {
    /// The name of a package: `[A-Za-z0-9][A-Za-z0-9@._+-]*`, at most 128 bytes, no `..`.
    Name, "the package name", name;
    /// The name of a tree; same grammar as a package's.
    Tree, "the tree name", name;
    /// The version of a package, with its epoch if it has one: `[A-Za-z0-9][A-Za-z0-9:._+~^]*`.
    Version, "the version", version;
    /// The release of a package version: as a version, without `:`.
    Release, "the release", release;
    /// An architecture, `any` included: `[A-Za-z0-9][A-Za-z0-9_]*`.
    Arch, "the architecture", arch;
    /// The name of a builder: `[a-z0-9][a-z0-9-]{0,31}`.
    Builder, "the builder name", builder;
    /// A builder's word for one request to claim: `[a-z0-9]{1,16}`.
    Instance, "the instance", instance;
    /// A free word people choose, such as a batch: the grammar of a package name.
    Word, "the word", name;
    /// A revision of a tree, the whole hash its repository goes by: `[0-9a-f]{4,64}`.
    Revision, "the revision", revision;
}

impl Arch {
    /// Tells whether a package for this architecture can be built anywhere.
    pub fn is_any(&self) -> bool {
        *self.0 == *"any"
    }
}

impl Instance {
    /// Makes a new one.
    ///
    /// # Errors
    /// None that can happen.
    pub fn random() -> Result<Self> {
        crate::base::random::word(8).parse()
    }
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    crate::base::output::inert(&short)
}

fn all(text: &str, limit: usize, more: &str) -> Result<(), &'static str> {
    let mut bytes = text.bytes();
    match bytes.next() {
        None => return Err("it is empty"),
        Some(first) if !first.is_ascii_alphanumeric() => return Err("it must begin with a letter or digit"),
        Some(_) => {}
    }
    if text.len() > limit {
        return Err("it is too long");
    }
    if text.contains("..") {
        return Err("it contains \"..\"");
    }
    if bytes.all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte)) {
        Ok(())
    } else {
        Err("it has a character that names may not have")
    }
}

fn name(text: &str) -> Result<(), &'static str> {
    all(text, NAME_BYTES, "@._+-")
}

fn version(text: &str) -> Result<(), &'static str> {
    all(text, 64, ":._+~^")
}

fn release(text: &str) -> Result<(), &'static str> {
    all(text, 32, "._+~^")
}

fn arch(text: &str) -> Result<(), &'static str> {
    all(text, 32, "_")
}

fn builder(text: &str) -> Result<(), &'static str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("it must be lower case");
    }
    all(text, 32, "-")
}

fn instance(text: &str) -> Result<(), &'static str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("it must be lower case");
    }
    all(text, 16, "")
}

fn revision(text: &str) -> Result<(), &'static str> {
    match text.len() {
        4..=64 if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) => Ok(()),
        4..=64 => Err("it has a character that is no lower case hexadecimal digit"),
        0..=3 => Err("it is too short"),
        _ => Err("it is too long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_leave_its_directory_or_pass_for_an_option() {
        for bad in
            ["", "../../etc/x", "a/b", "-rf", ".hidden", "a..b", "a b", "a\n", "a;b", "ä", "a,b", "a\0b"]
        {
            assert_eq!(bad.parse::<Name>().unwrap_err().kind.status(), 2, "{bad:?}");
        }
        for good in ["a", "gtk+", "lib32-x.y_z@1", "0ad", &"n".repeat(128)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        assert!("n".repeat(129).parse::<Name>().is_err());
    }

    #[test]
    fn versions_carry_epochs_and_never_a_dash() {
        assert!("1:2.0~rc1+git^3".parse::<Version>().is_ok());
        assert!("2.0-1".parse::<Version>().is_err());
        assert!("1:1".parse::<Release>().is_err());
        assert!("x86-64".parse::<Arch>().is_err());
        assert!("B1".parse::<Builder>().is_err());
    }

    #[test]
    fn a_revision_is_a_hash_and_never_an_expression() {
        for bad in ["", "abc", "HEAD", "-abcd", "abcd^", "ABCD", &"0".repeat(65)] {
            assert!(bad.parse::<Revision>().is_err(), "{bad}");
        }
        assert!("0a1f".parse::<Revision>().is_ok());
    }
}
