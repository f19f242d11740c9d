//! The pages: a static site made from the spool, complete without scripts and from a plain directory.
//!
//! Owns: the data of the site ([`Model`], pure once loaded), how it is shown (`templates/`), the files of the
//! site directory ([`site::write`]), and what they were made from (`cache/site/`), so that only what has changed is
//! read and written. Refuses: changing the spool, looking at trees, judging logs; what it cannot
//! know is handed in ([`Facts`], [`Sources`]). Invariant: every byte from outside is made harmless when it is
//! loaded and escaped when it is shown; the same spool at the same time makes the same bytes.

mod cache;
mod chart;
pub mod control;
mod expected;
mod facts;
mod ledger;
mod lists;
mod load;
mod log;
mod model;
mod need;
mod pages;
mod refresh;
#[cfg(test)]
mod sample;
mod say;
pub mod site;
mod stand;
mod summary;
mod templates;
#[cfg(test)]
mod tests;
mod writer;

pub use facts::{Act, Between, Facts, FirstError, Shipped, Sources, UnbuiltRow, Undelivered};
pub use load::count;
pub use model::{BuilderRow, Counts, FileRow, Mark, Model, Package, Row, StandRow, Summary, TicketRow, Try};
pub use need::{Need, Turn};
pub use site::Written;
