//! Where a spool or its copy is: a directory of this host, or `HOST:DIR` as rsync and scp write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::base::output::inert;
use crate::base::{Error, Result};

/// Where a spool or its copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a directory of this host.
    Here(PathBuf),
    /// On another one.
    There(Host),
}

/// A directory of another host, reached through ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `[USER@]NAME`, an alias of ssh's configuration, or an address in brackets.
    name: String,
    /// Absolute, of characters that no shell takes for its own.
    dir: String,
}

impl Host {
    /// Returns what ssh calls it.
    pub fn name(&self) -> &str {
        let (user, host) = self.name.rsplit_once('@').map_or(("", &*self.name), |(user, host)| (user, host));
        match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) if user.is_empty() => address,
            Some(_) | None => &self.name,
        }
    }

    /// Returns the directory there.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// Returns `HOST:DIR/PATH`, as rsync takes it.
    pub fn at(&self, path: &str) -> String {
        format!("{self}/{path}")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.dir)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Here(path) => write!(f, "{}", path.display()),
            Place::There(host) => host.fmt(f),
        }
    }
}

impl FromStr for Place {
    type Err = Error;

    /// A colon before the first slash makes it another host's.
    fn from_str(text: &str) -> Result<Self> {
        let first = text.split('/').next().unwrap_or_default();
        let Some((name, _)) = first.rsplit_once(':') else {
            let empty = || Error::wrong("what has no name is no place: it is a directory, or HOST:DIR");
            return if text.is_empty() { Err(empty()) } else { Ok(Self::Here(text.into())) };
        };
        let dir = text.get(name.len() + 1..).unwrap_or_default();
        let wrong = |what: &str| Err(Error::wrong(format!("cannot use {}: {what}", inert(text))));
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._@[]:%-".contains(&byte);
        if name.is_empty() || name.starts_with('-') || !name.bytes().all(in_name) {
            return wrong("before the colon stands [USER@]HOST");
        }
        if !dir.starts_with('/') || !dir.bytes().all(is_plain) {
            return wrong(
                "the directory on the other host must be absolute, of letters, digits and @%+=:,._~^-",
            );
        }
        Ok(Self::There(Host { name: name.to_owned(), dir: dir.trim_end_matches('/').to_owned() }))
    }
}

/// Takes a word that no shell, page or terminal takes for anything else, such as a host, or `HOST:DIR`.
///
/// # Errors
/// It is empty, an option, or has other characters.
pub fn plain_word(text: &str) -> Result<String> {
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(Error::wrong(format!("\"{}\" is no host", inert(text))))
}

/// Tells whether a shell takes `byte` for itself, at any place of a word; what passes a forced command is made of these.
pub fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"@%+=:,./_~^-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_before_the_first_slash_makes_it_another_hosts() {
        let there = |text: &str| match text.parse().unwrap() {
            Place::There(host) => (host.name().to_owned(), host.dir().to_owned()),
            Place::Here(path) => ("here".to_owned(), path.display().to_string()),
        };
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        assert_eq!(there("master:/var/spool/syncpkg/"), pair("master", "/var/spool/syncpkg"));
        assert_eq!(there("s@10.0.0.1:/s"), pair("s@10.0.0.1", "/s"));
        assert_eq!(there("[fe80::1]:/s"), pair("fe80::1", "/s"));
        assert_eq!(there("/var/a:b"), pair("here", "/var/a:b"));
        assert_eq!(there("./a:b"), pair("here", "./a:b"));
        for bad in [
            "",
            ":/s",
            "-oProxyCommand=x:/s",
            "a b:/s",
            "m:",
            "m:s",
            "m:/s;id",
            "m:/a b",
            "m:/$HOME",
            "m:/a\nb",
        ] {
            assert_eq!(bad.parse::<Place>().unwrap_err().kind.status(), 2, "{bad}");
        }
    }
}
