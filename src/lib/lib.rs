//! syncpkg: the package build farm of a Linux distribution, run over a spool directory.
//!
//! Rooms, lowest first; a room uses only those before it (`tests/rooms.rs` holds them to it):
//!
//! | room | owns |
//! |---|---|
//! | [`base`] | errors, clock, durable files, locks, output, children |
//! | [`names`] | the words of the farm and their grammar |
//! | [`config`] | the configuration |
//! | [`spool`] | the mailbox: tickets, claims, leases, reports |
//! | [`tree`] | recipes and revisions: what is wanted, what is unbuilt |
//! | [`build`] | checking out, running with limits, reading the log |
//! | [`mail`] | whom to tell what |
//! | [`web`] | the pages |
//! | [`farm`] | what joins them: hook, builder, the master's rounds, drop box |
//! | [`program`] | the border: options, environment, exit statuses |
//!
//! `tree`, `build`, `mail` and `web` do not know each other. Start reading at [`spool`].

pub mod base;
pub mod build;
pub mod config;
pub mod farm;
pub mod mail;
pub mod names;
pub mod program;
pub mod spool;
pub mod tree;
pub mod web;

// The sample of a farm is made by tests in here and outside.
#[cfg(test)]
extern crate self as syncpkg;
