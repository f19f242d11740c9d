//! What the tree wants and the package directory lacks, and for how long: pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::recipe::{Reading, Recipe};
use crate::base::clock::age;
use crate::names::{Arch, Item, Tree};

/// A package that is wanted and not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The recipe file, relative to the tree's root.
    pub path: String,
    /// What is missing.
    pub item: Item,
    /// The tree that wants it.
    pub tree: Tree,
    /// When its recipe was last changed.
    pub since: Timestamp,
    /// Who takes care of it, if the recipe says so.
    pub maintainer: Option<String>,
}

impl Missing {
    fn new(recipe: &Recipe, arch: &Arch, tree: &Tree, since: Timestamp) -> Self {
        let item = Item {
            name: recipe.name.clone(),
            version: recipe.version.clone(),
            release: recipe.release.clone(),
            arch: arch.clone(),
        };
        let (path, maintainer) = (recipe.path.clone(), recipe.maintainer.clone());
        Self { path, item, tree: tree.clone(), since, maintainer }
    }

    /// Returns how long it has been missing.
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.since)
    }

    /// Returns the line that `syncpkg-unbuilt` prints, with the cause in words.
    pub fn line(&self, now: Timestamp, cause: &str) -> String {
        let past = self.age(now);
        let long = if past.as_secs() < 86_400 { age(past) } else { counted_days(past) };
        let maintainer = self.maintainer.as_deref().unwrap_or("no maintainer");
        format!("{} {} is missing for {long}: {cause} ({maintainer})", self.path, self.item)
    }
}

fn counted_days(age: SignedDuration) -> String {
    match age.as_secs().max(0) / 86_400 {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Returns what of `readings` is wanted for `farm`, not `published`, and whose recipe has been as it is for longer
/// than `older_than`, by path and architecture. `committed` tells when a recipe was last changed; what it does not
/// know counts as changed just now.
pub fn missing(
    tree: &Tree,
    readings: &[Reading],
    farm: &[Arch],
    published: impl Fn(&Recipe, &Arch) -> bool,
    mut committed: impl FnMut(&Recipe) -> Option<Timestamp>,
    (now, older_than): (Timestamp, Duration),
) -> Vec<Missing> {
    let older_than = SignedDuration::try_from(older_than).unwrap_or(SignedDuration::MAX);
    let mut found = Vec::new();
    for recipe in readings.iter().filter_map(|reading| reading.as_ref().ok()) {
        let mut archs = recipe.wanted_archs(farm);
        archs.retain(|arch| !published(recipe, arch));
        if archs.is_empty() {
            continue;
        }
        // Asked for only now: it costs a look into the history.
        let since = committed(recipe).unwrap_or(now);
        if now.duration_since(since) > older_than {
            found.extend(archs.iter().map(|arch| Missing::new(recipe, arch, tree, since)));
        }
    }
    found.sort_by(|a, b| (&a.path, &a.item).cmp(&(&b.path, &b.item)));
    found
}

/// Returns the lines of Frugalware's test-suite: each architecture, then its packages, sorted.
pub fn fst_lines(missing: &[Missing], now: Timestamp) -> Vec<String> {
    let archs: BTreeSet<&Arch> = missing.iter().map(|one| &one.item.arch).collect();
    let mut lines = Vec::new();
    for arch in archs {
        lines.push(arch.to_string());
        let own = missing.iter().filter(|one| one.item.arch == *arch);
        let mut rows: Vec<String> = own.map(|one| fst_line(one, now)).collect();
        rows.sort();
        lines.extend(rows);
    }
    lines
}

fn fst_line(missing: &Missing, now: Timestamp) -> String {
    let maintainer = missing.maintainer.as_deref().unwrap_or("nobody");
    let age = counted_days(missing.age(now));
    format!("{} is missing (FB is {age} old; Maintainer {maintainer})", missing.item)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(name: &str, archs: &[&str], maintainer: Option<&str>) -> Reading {
        let name: crate::names::Name = name.parse().unwrap();
        Ok(Recipe {
            path: format!("{name}/PKGBUILD"),
            version: "1".parse().unwrap(),
            release: "2".parse().unwrap(),
            archs: archs.iter().map(|arch| arch.parse().unwrap()).collect(),
            subpkgs: vec![name.clone()],
            name,
            groups: Vec::new(),
            depends: Vec::new(),
            makedepends: Vec::new(),
            checkdepends: Vec::new(),
            provides: Vec::new(),
            options: Vec::new(),
            nobuild: false,
            maintainer: maintainer.map(str::to_owned),
        })
    }

    fn found(readings: &[Reading], age: i64) -> (Vec<Missing>, Timestamp) {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let since = now - SignedDuration::from_secs(age);
        let farm = ["i686", "x86_64"].map(|arch| arch.parse().unwrap());
        let published = |recipe: &Recipe, _: &Arch| recipe.name.as_str() == "there";
        let limits = (now, Duration::from_secs(2 * 86_400));
        (missing(&"t".parse().unwrap(), readings, &farm, published, |_| Some(since), limits), now)
    }

    #[test]
    fn what_is_missing_for_long_is_said_for_each_architecture() {
        let readings = [recipe("b", &["x86_64", "i686", "ppc"], None), recipe("there", &["any"], None)];
        let (missing, now) = found(&readings, 3 * 86_400 + 5);
        let lines: Vec<String> = missing.iter().map(|one| one.line(now, "never asked for")).collect();
        assert_eq!(
            lines,
            [
                "b/PKGBUILD b-1-2-i686 is missing for 3 days: never asked for (no maintainer)",
                "b/PKGBUILD b-1-2-x86_64 is missing for 3 days: never asked for (no maintainer)",
            ]
        );
    }

    #[test]
    fn what_was_changed_lately_is_not_missing_yet() {
        assert_eq!(found(&[recipe("b", &["any"], None)], 2 * 86_400).0, []);
    }

    #[test]
    fn a_recipe_that_cannot_be_read_is_not_missing() {
        let problem = super::super::Problem { path: "x".to_owned(), error: "y".to_owned() };
        assert_eq!(found(&[Err(problem)], 9 * 86_400).0, []);
    }

    #[test]
    fn the_test_suite_gets_its_old_lines() {
        let readings = [recipe("b", &["x86_64"], Some("A <a@b>")), recipe("a", &["x86_64", "i686"], None)];
        let (missing, now) = found(&readings, 3 * 86_400);
        assert_eq!(
            fst_lines(&missing, now),
            [
                "i686",
                "a-1-2-i686 is missing (FB is 3 days old; Maintainer nobody)",
                "x86_64",
                "a-1-2-x86_64 is missing (FB is 3 days old; Maintainer nobody)",
                "b-1-2-x86_64 is missing (FB is 3 days old; Maintainer A <a@b>)",
            ]
        );
    }
}
