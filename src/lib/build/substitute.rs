//! Filling in what the words of a command stand for.

use crate::names::{Item, Tree, Word};

/// What `{name} {version} {release} {arch} {tree} {batch} {jobs} {slot}` stand for.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// What is built.
    pub item: &'a Item,
    /// The architecture it is built for, which for an item for `any` is the builder's own.
    pub arch: &'a str,
    /// The tree it comes from.
    pub tree: &'a Tree,
    /// What it belongs to; nothing stands for none.
    pub batch: Option<&'a Word>,
    /// How many processes may run at once.
    pub jobs: u32,
    /// Which of the builder's slots builds.
    pub slot: usize,
}

/// Returns `words` with the values filled in; an unknown `{word}` stays as it is, and a value is never looked
/// into again.
pub fn substitute(words: &[String], values: &Values<'_>) -> Vec<String> {
    words.iter().map(|word| fill(word, values)).collect()
}

/// Returns `word` with the values filled in, as [`substitute`] does.
pub fn fill(word: &str, values: &Values<'_>) -> String {
    let mut filled = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(name, tail)| Some((value(name, values)?, tail)));
        rest = match known {
            Some((value, tail)) => {
                filled.push_str(&value);
                tail
            }
            None => {
                filled.push('{');
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

fn value(name: &str, values: &Values<'_>) -> Option<String> {
    match name {
        "name" => Some(values.item.name.to_string()),
        "version" => Some(values.item.version.to_string()),
        "release" => Some(values.item.release.to_string()),
        "arch" => Some(values.arch.to_owned()),
        "tree" => Some(values.tree.to_string()),
        "batch" => Some(values.batch.map(Word::to_string).unwrap_or_default()),
        "jobs" => Some(values.jobs.to_string()),
        "slot" => Some(values.slot.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_filled_in_and_others_stay() {
        let (item, tree) = ("a-1:2-3-any".parse().unwrap(), "t".parse().unwrap());
        let values = Values { item: &item, arch: "x86_64", tree: &tree, batch: None, jobs: 4, slot: 0 };
        let words =
            ["-j{jobs}", "b{batch}", "{name}-{version}-{release}-{arch}", "{{tree}", "{x}{", "${HOME}"];
        let filled = substitute(&words.map(str::to_owned), &values);
        assert_eq!(filled, ["-j4", "b", "a-1:2-3-x86_64", "{t", "{x}{", "${HOME}"]);
    }
}
