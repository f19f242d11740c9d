//! The mailbox: a directory in which every state can be seen with `ls` and changed with one rename.
//!
//! Owns: the layout (`spool-layout.md`), the grammar of file names ([`TicketName`]), and every change of
//! state: [`queue::enqueue`] → [`claim::take`] → [`lease::beat`] → [`report::end`], [`abort::abort`],
//! [`lease::reclaim`]. Refuses: networks, trees, mail. Invariant: a ticket is in exactly one of `new`, `run`,
//! `done` (or `bad`, with a reason), and each change is one rename whose source carries owner and epoch.

pub mod abort;
pub mod aside;
pub mod batch;
pub mod builder;
mod census;
pub mod check;
pub mod claim;
mod decide;
pub mod expire;
mod history;
mod index;
pub mod lease;
pub mod list;
pub mod listed;
pub mod log;
mod look;
pub mod picture;
mod place;
pub mod product;
pub mod queue;
mod record;
pub mod report;
mod shelf;
mod ticket;
mod ticket_name;
pub mod upload;
pub mod vitals;
pub mod waiting;

pub use claim::Claim;
#[cfg(test)]
pub(crate) use decide::tests::ask as sample_ask;
pub use history::History;
pub use list::Entry;
pub use look::Look;
pub use place::{COPY, DIRECTORIES, Spool};
pub use product::Product;
pub use report::Report;
pub use shelf::InOrder;
pub use ticket::Ticket;
pub use ticket_name::{Hold, Stamp, Stand, TicketName};
pub use vitals::Vitals;
