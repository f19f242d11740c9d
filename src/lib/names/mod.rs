//! The words of the farm and their grammar, one spelling each: in file names, records, JSON, pages and mails.
//!
//! Owns: what a package, version, architecture, builder, ticket ID may look like (protocol.md, "Names and
//! files"). Invariant: a value of these types is safe as a part of a path, a command line, a page: ASCII,
//! no `/`, no `..`, no leading `-` or `.`. Refuses: looking at any disk.

mod id;
mod item;
mod state;
mod word;

pub use id::Id;
pub use item::{Item, Package};
pub use state::{Outcome, Priority, State};
pub use word::{Arch, Builder, Instance, Name, Release, Revision, Tree, Version, Word};
