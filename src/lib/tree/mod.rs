//! Recipes and revisions: what a tree wants, and what of that is not built.
//!
//! Owns: reading recipes ([`read`], [`read_all`], [`find`]), asking a tree's repository ([`Repository`]), finding
//! published packages ([`published`]) and missing ones ([`unbuilt`]). Refuses: running a recipe anywhere but in a
//! sandbox without network (a .SRCINFO is not run at all), changing a repository. Invariant: one recipe, however
//! evil, costs one [`Problem`], a bounded time, and nothing outside its sandbox.

mod ages;
mod between;
mod command;
mod darcs;
mod export;
mod git;
mod inventory;
mod kept;
mod packages;
mod paths;
mod plain;
mod pristine;
mod processor;
mod read;
mod readers;
mod recipe;
mod revision;
mod sandbox;
mod session;
mod srcinfo;
pub mod unbuilt;

#[cfg(test)]
mod constructs;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod keeping;
#[cfg(test)]
mod repositories;

pub use ages::Change;
pub use between::Commit;
pub use export::SCHEMES;
pub use packages::{packages_in, published, published_paths};
pub use paths::{recipe_directory, recipes_of};
pub use read::{Desk, find, read, read_all, roomy};
pub use recipe::{Problem, Reading, Recipe};
pub use revision::Repository;
pub use sandbox::Limits;
