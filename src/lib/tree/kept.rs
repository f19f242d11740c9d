//! What was read of a tree the last time, kept by all it was read from: the recipe's directory, the schemes it
//! included, the other files beside the schemes, and what all recipes have in common.
//!
//! A file for each tree, which holds what the last readings used and no more. It may be deleted at any time; one
//! that is damaged is none; who writes it replaces it as a whole. Not kept is what may be otherwise another time:
//! a recipe that took too long. Not seen is what else a recipe may ask: the date, the programs of the system.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::export::SCHEMES;
use super::paths::{is_recipe, recipe_directory};
use super::readers::Read;
use super::recipe::Reading;
use super::sandbox;
use crate::base::durable;
use crate::config::TreeSection;

/// The largest file that is believed: some twenty times what a real distribution needs.
const LIMIT: u64 = 64 << 20;

/// Readings of a tree, as they are kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The hash of what all recipes have in common.
    common: String,
    /// What was read, as a whole.
    pub(super) state: String,
    /// Its recipes that must be read each time.
    pub(super) unsure: Vec<String>,
    recipes: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: String,
    schemes: Vec<String>,
    reading: Reading,
}

/// What was kept before, as it is stored.
pub(super) struct Text {
    text: Vec<u8>,
    sum: Sha256,
}

/// What a file holds, before all of it is looked at: that takes as long as git takes for what changed since.
pub(super) struct File(Vec<u8>);

impl File {
    /// Opens what is kept in `file`, or nothing.
    pub(super) fn open(file: &Path) -> Self {
        Self(durable::read(file, LIMIT).unwrap_or_default())
    }

    fn split(&self) -> Option<(&[u8], &[u8])> {
        let end = self.0.iter().position(|&byte| byte == b'\n')?;
        Some((self.0.get(..end)?, self.0.get(end + 1..)?))
    }

    /// Returns the state it is said to be of; nothing may rest on it but a question.
    pub(super) fn state(&self) -> &str {
        let head = self.split().and_then(|(head, _)| std::str::from_utf8(head).ok());
        head.and_then(|head| head.split_once(' ')).map_or("", |(_, state)| state)
    }

    /// Takes out what was read the way `section` says now; nothing if there is nothing.
    pub(super) fn kept(&self, section: &TreeSection) -> Kept {
        let common = common(section);
        let kept = self.split().and_then(|(head, text)| parse(head, text));
        kept.filter(|kept| kept.common == common).unwrap_or_else(|| Kept { common, ..Kept::default() })
    }
}

impl Kept {
    /// Returns it as it is stored: made while the rest is read, that costs no time.
    pub(super) fn text(&self) -> Text {
        let text = serde_json::to_vec(self).unwrap_or_default();
        Text { sum: Sha256::new_with_prefix(&text), text }
    }

    /// Stores it, and what was `added` since its `text` was made; that it cannot be stored is nobody's trouble: who may
    /// only look reads again.
    pub(super) fn store(&self, text: Text, added: &Self, file: &Path) {
        let Ok(added) = serde_json::to_vec(added) else { return };
        let Text { text, sum } = text;
        let sum = sum.chain_update(b"\n").chain_update(&added).finalize();
        let head = format!("{sum:x} {}\n", self.state);
        let _ = durable::replace(file, &[head.as_bytes(), &text, b"\n", &added].concat());
    }

    /// Returns the recipes that may say something else now that the files `changed` are others, or are no more; none
    /// when all may.
    pub(super) fn touched(&self, section: &TreeSection, changed: &[String]) -> Option<BTreeSet<String>> {
        let beside: Vec<&str> = changed.iter().filter_map(|path| below_schemes(path)).collect();
        let schemes: Option<HashSet<&str>> =
            beside.into_iter().map(|name| name.strip_suffix(".sh")).collect();
        let (schemes, dirs) = (schemes?, changed.iter().flat_map(|path| above(path)).collect::<HashSet<_>>());
        let touched = |(path, entry): &(&String, &Entry)| {
            dirs.contains(recipe_directory(path))
                || entry.schemes.iter().any(|name| schemes.contains(name.as_str()))
        };
        let old = self.recipes.iter().filter(touched).map(|(path, _)| path);
        let new = changed.iter().filter(|path| is_recipe(path, section));
        let all: BTreeSet<String> = old.chain(new).chain(&self.unsure).cloned().collect();
        all.iter().all(|path| !recipe_directory(path).is_empty()).then_some(all)
    }

    /// Starts afresh for the state `state`: with the entries that were not touched or whose sources are the same,
    /// and the paths of the rest. Without `touched`, all may be.
    pub(super) fn renewed(
        mut self,
        state: String,
        touched: Option<&BTreeSet<String>>,
        sources: &Sources<'_>,
    ) -> (Self, Vec<String>) {
        let mut new = Self { common: self.common, state, ..Self::default() };
        if let Some(touched) = touched {
            (self.recipes, new.recipes) =
                self.recipes.into_iter().partition(|(path, _)| touched.contains(path));
        }
        let mut missing = Vec::new();
        for path in &sources.recipes {
            if new.recipes.contains_key(*path) {
                continue;
            }
            match self.recipes.remove(*path) {
                Some(entry) if entry.key == sources.key(path, &entry.schemes) => {
                    new.recipes.insert((*path).to_owned(), entry);
                }
                Some(_) | None => missing.push((*path).to_owned()),
            }
        }
        (new, missing)
    }

    /// Adds what was read now.
    pub(super) fn add(&mut self, path: &str, read: &Read, sources: &Sources<'_>) {
        match &read.schemes {
            Some(schemes) => {
                let key = sources.key(path, schemes);
                let entry = Entry { key, schemes: schemes.clone(), reading: read.reading.clone() };
                self.recipes.insert(path.to_owned(), entry);
            }
            None => self.unsure.push(path.to_owned()),
        }
    }

    /// Returns all that is kept, and `more`, by their paths.
    pub(super) fn with(self, mut more: BTreeMap<String, Reading>) -> BTreeMap<String, Reading> {
        more.extend(self.recipes.into_iter().map(|(path, entry)| (path, entry.reading)));
        more
    }
}

fn parse(head: &[u8], text: &[u8]) -> Option<Kept> {
    let whole = head.strip_prefix(sum(text).as_bytes())?.strip_prefix(b" ")?;
    let mut parts = text.split(|&byte| byte == b'\n');
    let mut kept: Kept = serde_json::from_slice(parts.next()?).ok()?;
    let added: Kept = serde_json::from_slice(parts.next()?).ok()?;
    kept.unsure.extend(added.unsure);
    kept.recipes.extend(added.recipes);
    (whole == kept.state.as_bytes()).then_some(kept)
}

fn sum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Returns the hash of what every reading of the tree rests on.
fn common(section: &TreeSection) -> String {
    let mut hash = Sha256::new();
    let words = [env!("CARGO_PKG_VERSION"), sandbox::READER, &section.recipes];
    words.iter().for_each(|word| hash.update(format!("{word}\0")));
    hash.update(format!("{:?} {:?}\0", section.format, section.archs.first()));
    let files = sandbox::SETTINGS.iter().map(Path::new).chain(section.prelude.as_deref());
    for file in files {
        let bytes = std::fs::read(file).unwrap_or_default();
        hash.update(format!("{}\0{}\0", file.display(), bytes.len()));
        hash.update(&bytes);
    }
    format!("{:x}", hash.finalize())
}

/// What the recipes of a state of the tree are read from: the paths of its files, each with a word that is another
/// one when the content is.
pub(super) struct Sources<'a> {
    recipes: Vec<&'a str>,
    /// The files of each recipe's directory.
    own: HashMap<&'a str, Vec<&'a (String, String)>>,
    schemes: HashMap<&'a str, &'a str>,
    /// The files beside the schemes that are none.
    beside: String,
}

impl<'a> Sources<'a> {
    /// Arranges `contents`, which must be in the order of the paths.
    pub(super) fn new(section: &TreeSection, contents: &'a [(String, String)]) -> Self {
        let recipes: Vec<&str> =
            contents.iter().map(|(path, _)| path.as_str()).filter(|path| is_recipe(path, section)).collect();
        let mut own: HashMap<&str, Vec<_>> =
            recipes.iter().map(|path| (recipe_directory(path), Vec::new())).collect();
        let (mut schemes, mut beside) = (HashMap::new(), String::new());
        for file in contents {
            for dir in above(&file.0) {
                if let Some(files) = own.get_mut(dir) {
                    files.push(file);
                }
            }
            if let Some(name) = below_schemes(&file.0) {
                match name.strip_suffix(".sh") {
                    Some(scheme) => drop(schemes.insert(scheme, file.1.as_str())),
                    None => beside.push_str(&format!("{name}\0{}\0", file.1)),
                }
            }
        }
        Self { recipes, own, schemes, beside }
    }

    /// Returns the hash of all that the recipe `path` is read from when it includes `schemes`.
    fn key(&self, path: &str, schemes: &[String]) -> String {
        let mut hash = Sha256::new();
        for (path, word) in self.own.get(recipe_directory(path)).into_iter().flatten() {
            hash.update(format!("{path}\0{word}\0"));
        }
        hash.update(&self.beside);
        for scheme in schemes {
            let word = self.schemes.get(scheme.as_str()).copied().unwrap_or_default();
            hash.update(format!("{scheme}\0{word}\0"));
        }
        format!("{:x}", hash.finalize())
    }
}

/// Returns what is left of `path` below the directory of the schemes.
fn below_schemes(path: &str) -> Option<&str> {
    path.strip_prefix(SCHEMES)?.strip_prefix('/')
}

/// Returns every directory above `path`, the root last.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(recipe_directory(path)), |dir| {
        (!dir.is_empty()).then(|| recipe_directory(dir))
    })
}
