//! What the tree wants and the package directory lacks, and for how long; what is there and no recipe wants: pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::paths::recipe_directory;
use super::recipe::{Reading, Recipe};
use crate::base::Result;
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
        let long = long(past);
        let maintainer = self.maintainer.as_deref().unwrap_or("no maintainer");
        format!("{} {} is missing for {long}: {cause} ({maintainer})", self.path, self.item)
    }
}

/// Returns an age in words: whole days, or what is less than one.
pub fn long(past: SignedDuration) -> String {
    if past.as_secs() < 86_400 { age(past) } else { counted_days(past) }
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
///
/// # Errors
/// As `published`.
pub fn missing(
    tree: &Tree,
    readings: &[Reading],
    farm: &[Arch],
    published: impl Fn(&Recipe, &Arch) -> Result<bool>,
    mut committed: impl FnMut(&Recipe) -> Option<Timestamp>,
    (now, older_than): (Timestamp, Duration),
) -> Result<Vec<Missing>> {
    let older_than = SignedDuration::try_from(older_than).unwrap_or(SignedDuration::MAX);
    let mut found = Vec::new();
    for recipe in readings.iter().filter_map(|reading| reading.as_ref().ok()) {
        let mut archs = Vec::new();
        for arch in recipe.wanted_archs(farm) {
            if !published(recipe, &arch)? {
                archs.push(arch);
            }
        }
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
    Ok(found)
}

/// Returns the lines of Frugalware's test-suite, in the order of its old script: all architectures, then for each its
/// packages, sorted; nothing at all when nothing is missing, which is how a test passes.
pub fn fst_lines(missing: &[Missing], archs: &BTreeSet<Arch>, now: Timestamp) -> Vec<String> {
    if missing.is_empty() {
        return Vec::new();
    }
    let mut all: BTreeSet<&Arch> = missing.iter().map(|one| &one.item.arch).collect();
    all.extend(archs);
    let mut lines: Vec<String> = all.iter().map(ToString::to_string).collect();
    for arch in all {
        let own = missing.iter().filter(|one| one.item.arch == *arch);
        let mut rows: Vec<String> = own.map(|one| fst_line(one, now)).collect();
        rows.sort();
        lines.extend(rows);
    }
    lines
}

fn fst_line(missing: &Missing, now: Timestamp) -> String {
    let maintainer = missing.maintainer.as_deref().unwrap_or("nobody");
    let age = how_old(missing.age(now).as_secs());
    format!("{} is missing (FB is {age} old; {maintainer})", missing.item)
}

/// Names an age in the largest unit of which there are more than two, as that script does, rounded down.
fn how_old(seconds: i64) -> String {
    const UNITS: [(i64, &str); 6] = [
        (365 * 86_400, "years"),
        (30 * 86_400, "months"),
        (7 * 86_400, "weeks"),
        (86_400, "days"),
        (3_600, "hours"),
        (60, "minutes"),
    ];
    match UNITS.iter().find(|(unit, _)| seconds > unit * 2) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} seconds"),
    }
}

/// Says why no recipe wants the package `item` any more; none when one does, or might: one that says nobuild is
/// built by hand, and one that cannot be read is asked again when it can.
pub fn obsolete(readings: &[Reading], item: &Item) -> Option<String> {
    let stem = |path: &str| recipe_directory(path).rsplit('/').next() == Some(item.name.as_str());
    if readings.iter().any(|reading| reading.as_ref().is_err_and(|problem| stem(&problem.path))) {
        return None;
    }
    let makers = readings.iter().flatten().filter(|recipe| recipe.subpkgs.contains(&item.name));
    let mut why = "no recipe makes it".to_owned();
    for recipe in makers {
        let same = (&recipe.version, &recipe.release) == (&item.version, &item.release);
        let arch = item.arch.is_any() || recipe.archs.iter().any(|arch| arch.is_any() || *arch == item.arch);
        if recipe.nobuild || (same && arch) {
            return None;
        }
        why = match same {
            true => format!("its recipe is not for {} any more", item.arch),
            false => format!("its recipe makes {}-{}-{} now", item.name, recipe.version, recipe.release),
        };
    }
    Some(why)
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
        let published = |recipe: &Recipe, _: &Arch| Ok(recipe.name.as_str() == "there");
        let limits = (now, Duration::from_secs(2 * 86_400));
        (missing(&"t".parse().unwrap(), readings, &farm, published, |_| Some(since), limits).unwrap(), now)
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
        let readings = [recipe("b", &["x86_64"], Some("A <a@b>")), recipe("a", &["x86_64"], None)];
        let (missing, now) = found(&readings, 3 * 86_400);
        let archs = ["i686", "x86_64"].iter().map(|arch| arch.parse().unwrap()).collect();
        assert_eq!(
            fst_lines(&missing, &archs, now),
            [
                "i686",
                "x86_64",
                "a-1-2-x86_64 is missing (FB is 3 days old; nobody)",
                "b-1-2-x86_64 is missing (FB is 3 days old; A <a@b>)",
            ]
        );
        assert_eq!(fst_lines(&[], &archs, now), [""; 0], "a test that passes says nothing");
    }

    #[test]
    fn an_age_is_named_in_the_largest_unit_of_which_there_are_more_than_two() {
        const DAY: i64 = 86_400;
        for (seconds, said) in [
            (0, "0 seconds"),
            (120, "120 seconds"),
            (121, "2 minutes"),
            (2 * 3_600 + 1, "2 hours"),
            (2 * DAY, "48 hours"),
            (2 * DAY + 1, "2 days"),
            (14 * DAY, "14 days"),
            (15 * DAY, "2 weeks"),
            (61 * DAY, "2 months"),
            (731 * DAY, "2 years"),
        ] {
            assert_eq!(how_old(seconds), said);
        }
    }

    #[test]
    fn a_package_is_obsolete_when_no_recipe_wants_that_version_of_it() {
        let problem = super::super::Problem { path: "s/broken/PKGBUILD".to_owned(), error: "x".to_owned() };
        let mut by_hand = recipe("by-hand", &["x86_64"], None).unwrap();
        by_hand.nobuild = true;
        let readings =
            [recipe("a", &["x86_64"], None), recipe("n", &["any"], None), Ok(by_hand), Err(problem)];
        let said = |item: &str| obsolete(&readings, &item.parse().unwrap());
        for wanted in ["a-1-2-x86_64", "n-1-2-any", "broken-9-9-x86_64", "by-hand-9-9-x86_64"] {
            assert_eq!(said(wanted), None, "{wanted}");
        }
        assert_eq!(said("a-1-1-x86_64").unwrap(), "its recipe makes a-1-2 now");
        assert_eq!(said("a-1-2-i686").unwrap(), "its recipe is not for i686 any more");
        assert_eq!(said("gone-1-1-any").unwrap(), "no recipe makes it");
    }
}
