//! What a recipe needs of its tree, in names of recipes.

use std::collections::HashMap;

use crate::names::Name;
use crate::tree::Recipe;

/// Which recipe of the batch makes (or stands in for) what.
pub(super) fn providers<'a>(recipes: impl Iterator<Item = &'a Recipe>) -> HashMap<Name, Name> {
    let provided = |recipe: &Recipe| {
        let name = recipe.name.clone();
        recipe.provided().into_iter().map(move |provided| (provided, name.clone()))
    };
    recipes.flat_map(provided).collect()
}

/// The recipes this one needs: of the batch, or (what the spool knows nothing of holds up nobody) of that name.
pub(super) fn needs(recipe: &Recipe, providers: &HashMap<Name, Name>) -> Vec<Name> {
    let mut needs: Vec<Name> = Vec::new();
    for needed in recipe.dependencies() {
        let needed = providers.get(&needed).cloned().unwrap_or(needed);
        if needed != recipe.name && !recipe.subpkgs.contains(&needed) && !needs.contains(&needed) {
            needs.push(needed);
        }
    }
    needs
}
