//! From changed paths to the recipes they belong to, by the tree's pattern alone.

use std::collections::BTreeSet;

use glob::{MatchOptions, Pattern};

use crate::config::TreeSection;

const LITERAL: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Tells whether `path` is the path of a recipe.
pub(super) fn is_recipe(path: &str, section: &TreeSection) -> bool {
    clean(path) == Some(path) && matches(&section.recipes, path)
}

/// Returns the directory of the recipe file `path`, empty for the root.
pub fn recipe_directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// Returns the paths of the recipes in whose directories `paths` lie, sorted, each once.
///
/// `paths` may begin with `./`, be directories, and name what is removed; a recipe may therefore be named that
/// is not there. Directories above recipes (darcs lists them too) name none.
pub fn recipes_of(paths: &[String], section: &TreeSection) -> Vec<String> {
    let recipes: BTreeSet<String> =
        paths.iter().filter_map(|path| clean(path)).filter_map(|path| recipe_of(path, section)).collect();
    recipes.into_iter().collect()
}

fn recipe_of(path: &str, section: &TreeSection) -> Option<String> {
    if is_recipe(path, section) {
        return Some(path.to_owned());
    }
    let (above, file) = section.recipes.rsplit_once('/').unwrap_or(("", &section.recipes));
    if file.contains(['*', '?', '[']) {
        // Which of the recipes in that directory it belongs to cannot be told.
        return None;
    }
    if above.is_empty() {
        return Some(file.to_owned());
    }
    let depth = above.split('/').count();
    let parts: Vec<&str> = path.split('/').take(depth).collect();
    let dir = parts.join("/");
    (parts.len() == depth && matches(above, &dir)).then(|| format!("{dir}/{file}"))
}

fn matches(pattern: &str, path: &str) -> bool {
    Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_with(path, LITERAL))
}

/// Returns `path` without `./` and a final `/`; none when it leads elsewhere or holds what could act.
pub(super) fn clean(path: &str) -> Option<&str> {
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    (path.split('/').all(plain) && !path.chars().any(char::is_control)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str, paths: &[&str]) -> Vec<String> {
        let section = TreeSection { recipes: pattern.to_owned(), ..TreeSection::default() };
        recipes_of(&paths.iter().map(|&path| path.to_owned()).collect::<Vec<_>>(), &section)
    }

    #[test]
    fn any_change_below_a_recipes_directory_names_the_recipe_once() {
        let paths =
            ["./source/x/a/fix.diff", "source/x/a/FrugalBuild", "./source/x/a", "source/y/b/sub/deep/file"];
        let recipes = of("source/*/*/FrugalBuild", &paths);
        assert_eq!(recipes, ["source/x/a/FrugalBuild", "source/y/b/FrugalBuild"]);
    }

    #[test]
    fn directories_above_recipes_and_other_places_name_none() {
        let paths = ["./source", "./source/x", ".", "", "docs/x/a/FrugalBuild", "source/x/.b/FrugalBuild"];
        assert_eq!(of("source/*/*/FrugalBuild", &paths), [""; 0]);
    }

    #[test]
    fn a_path_that_climbs_or_acts_names_none() {
        let paths = ["../a/PKGBUILD", "a/../b/PKGBUILD", "/etc/PKGBUILD", "a\n/PKGBUILD", "a//PKGBUILD"];
        assert_eq!(of("*/PKGBUILD", &paths), [""; 0]);
    }
}
