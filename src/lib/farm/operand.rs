//! What people name: a package, a version of it, a recipe's path; in which tree.

use std::path::Path;

use crate::base::output::inert;
use crate::base::{Error, Result};
use crate::config::Config;
use crate::names::{Item, Name, Tree};

/// What an operand asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// Whatever recipe this path of the tree belongs to.
    Path(String),
    /// What the tree wants of this package.
    Name(Name),
    /// Exactly this version, an [`Item`] as it is written: a mass rebuild has a hundred thousand.
    Version(&'a str),
}

impl Wanted<'_> {
    /// Returns the name of the package, when it is named.
    pub fn name(&self) -> Option<&str> {
        match self {
            Wanted::Path(_) => None,
            Wanted::Name(name) => Some(name.as_str()),
            Wanted::Version(item) => item.rsplitn(4, '-').nth(3),
        }
    }
}

/// An operand as it was written, and what it asks for.
#[derive(Debug, Clone)]
pub struct Operand<'a> {
    /// As written.
    pub text: &'a str,
    /// What it asks for.
    pub wanted: Wanted<'a>,
}

impl Operand<'_> {
    /// Returns the path it names, if it names one.
    pub fn path(&self) -> Option<&str> {
        match &self.wanted {
            Wanted::Path(path) => Some(path),
            Wanted::Name(_) | Wanted::Version(_) => None,
        }
    }
}

/// Reads `text`, given the tree named by an option and the directory it was written in.
///
/// # Errors
/// Wrong use: text that is no name and no path, a tree that is not there, or a tree that was not named.
pub fn operand<'a>(
    config: &Config,
    text: &'a str,
    tree: Option<&Tree>,
    directory: Option<&Path>,
) -> Result<(Tree, Wanted<'a>)> {
    if let Some(tree) = tree
        && !config.tree.contains_key(tree)
    {
        return Err(unknown(config, tree));
    }
    if text.starts_with('/') {
        return absolute(config, Path::new(text), tree);
    }
    if let Some((named, rest)) = qualified(config, text, tree) {
        return named_in(rest, named);
    }
    let tree = tree.cloned().map_or_else(|| the_only(config, text, directory), Ok)?;
    if text.contains('/') || text == "." {
        return Ok((tree.clone(), Wanted::Path(relative(config, &tree, text, directory)?)));
    }
    named_in(text, tree)
}

fn named_in(text: &str, tree: Tree) -> Result<(Tree, Wanted<'_>)> {
    let wrong = |error: Error| error.within(format!("cannot enqueue {}", inert(text)));
    // "gtk-2-1-x" may be either; a version is the likelier thing to be written with three dashes.
    match text.parse::<Item>() {
        Ok(_) => Ok((tree, Wanted::Version(text))),
        Err(_) => text.parse().map(|name| (tree, Wanted::Name(name))).map_err(wrong),
    }
}

/// `TREE/NAME`, where TREE is a tree and NAME no path.
fn qualified<'a>(config: &Config, text: &'a str, tree: Option<&Tree>) -> Option<(Tree, &'a str)> {
    let (first, rest) = text.split_once('/')?;
    let named: Tree = first.parse().ok()?;
    let fits = config.tree.contains_key(&named) && tree.is_none_or(|tree| *tree == named);
    (fits && !rest.contains('/') && !rest.is_empty()).then_some((named, rest))
}

fn absolute(config: &Config, path: &Path, tree: Option<&Tree>) -> Result<(Tree, Wanted<'static>)> {
    let mut trees = config.tree.iter().filter(|(name, _)| tree.is_none_or(|tree| tree == *name));
    let found =
        trees.find_map(|(name, section)| Some((name.clone(), path.strip_prefix(&section.path).ok()?)));
    let shown = || inert(&path.to_string_lossy());
    let (tree, rest) =
        found.ok_or_else(|| Error::wrong(format!("cannot enqueue {}: it is in no tree", shown())))?;
    let rest =
        rest.to_str().ok_or_else(|| Error::wrong(format!("cannot enqueue {}: it is not UTF-8", shown())))?;
    Ok((tree, Wanted::Path(rest.to_owned())))
}

/// A path written inside the tree's own directory begins there; any other begins at the tree's root.
fn relative(config: &Config, tree: &Tree, text: &str, directory: Option<&Path>) -> Result<String> {
    if text.split('/').any(|part| part == "..") {
        return Err(Error::wrong(format!("cannot enqueue {}: it contains \"..\"", inert(text))));
    }
    let inside = directory.zip(config.tree.get(tree)).and_then(|(directory, section)| {
        let root = section.path.canonicalize().ok()?;
        Some(directory.canonicalize().ok()?.strip_prefix(root).ok()?.to_str()?.to_owned())
    });
    let text = text.strip_prefix("./").unwrap_or(text);
    let text = if text == "." { "" } else { text };
    Ok(match inside {
        Some(inside) if !inside.is_empty() => format!("{inside}/{text}").trim_end_matches('/').to_owned(),
        Some(_) | None => text.to_owned(),
    })
}

/// The tree meant by somebody who names none: the only one, or the one he stands in.
fn the_only(config: &Config, text: &str, directory: Option<&Path>) -> Result<Tree> {
    let here = directory.and_then(|directory| directory.canonicalize().ok());
    let stands_in = |path: &Path| {
        here.as_ref().zip(path.canonicalize().ok()).is_some_and(|(here, root)| here.starts_with(root))
    };
    let mut names = config.tree.keys();
    match (names.next(), names.next()) {
        (None, _) => Err(Error::wrong("there is no tree in the configuration")
            .hint("add a section [tree.NAME], see syncpkg.toml(5)")),
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(_)) => {
            let standing = config.tree.iter().find(|(_, section)| stands_in(&section.path));
            standing.map(|(name, _)| name.clone()).ok_or_else(|| {
                let all: Vec<&str> = config.tree.keys().map(Tree::as_str).collect();
                Error::wrong(format!("cannot enqueue {}: say of which tree", inert(text)))
                    .hint(format!("--tree one of {}", all.join(", ")))
            })
        }
    }
}

fn unknown(config: &Config, tree: &Tree) -> Error {
    let all: Vec<&str> = config.tree.keys().map(Tree::as_str).collect();
    Error::wrong(format!("there is no tree {tree} in the configuration"))
        .hint(format!("it has {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(trees: &[&str]) -> Config {
        let text: String =
            trees.iter().map(|name| format!("[tree.{name}]\npath = \"/t/{name}\"\n")).collect();
        crate::config::parse(&text, "f").unwrap()
    }

    fn read<'a>(text: &'a str, trees: &[&str]) -> Result<(String, Wanted<'a>)> {
        operand(&config(trees), text, None, None).map(|(tree, wanted)| (tree.to_string(), wanted))
    }

    #[test]
    fn an_operand_is_a_name_a_version_or_a_path() {
        let one = ["current"];
        assert_eq!(read("gcc", &one).unwrap().1, Wanted::Name("gcc".parse().unwrap()));
        assert_eq!(read("gcc-1-1-any", &one).unwrap().1, Wanted::Version("gcc-1-1-any"));
        assert_eq!(read("current/gcc", &one).unwrap().1, Wanted::Name("gcc".parse().unwrap()));
        for path in ["./gcc/PKGBUILD", "gcc/PKGBUILD", "/t/current/gcc/PKGBUILD"] {
            assert_eq!(read(path, &one).unwrap().1, Wanted::Path("gcc/PKGBUILD".to_owned()), "{path}");
        }
    }

    #[test]
    fn of_two_trees_one_must_be_named() {
        assert!(read("gcc", &["a", "b"]).is_err());
        assert_eq!(read("b/gcc", &["a", "b"]).unwrap().0, "b");
        assert_eq!(read("/t/b/gcc", &["a", "b"]).unwrap().0, "b");
    }

    #[test]
    fn nothing_climbs_out_of_a_tree() {
        for bad in ["../../etc/x", "a/../../x", "/etc/passwd", "-x", "a b"] {
            assert_eq!(read(bad, &["current"]).unwrap_err().kind.status(), 2, "{bad}");
        }
    }
}
