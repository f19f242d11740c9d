//! The pages: a static site made from the spool, complete without scripts and from a plain directory.
//!
//! Owns: the data of the site ([`Model`], pure once loaded), how it is shown (`templates/`), the files of the
//! site directory ([`site::write`]). Refuses: changing the spool, looking at trees, judging logs; what it cannot
//! know is handed in ([`Facts`], [`Sources`]). Invariant: every byte from outside is made harmless when it is
//! loaded and escaped when it is shown; the same spool at the same time makes the same bytes.

mod api;
pub mod control;
mod facts;
mod load;
mod log;
mod model;
mod need;
mod package;
mod pages;
#[cfg(test)]
mod sample;
mod say;
pub mod site;
mod templates;
#[cfg(test)]
mod tests;

pub use facts::{Facts, FirstError, Sources, UnbuiltRow};
pub use load::load;
pub use model::{BuilderRow, Counts, FileRow, Model, PackageRow, StandRow, TicketRow, Try};
pub use need::{Need, Turn};
pub use site::Written;
