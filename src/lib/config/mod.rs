//! The configuration: `/etc/syncpkg/syncpkg.toml`, its defaults and its errors.
//!
//! Owns: every key (syncpkg.toml(5)) and its default. Refuses: unknown keys, values that do not fit, each with
//! file, line and column. Invariant: what it returns can be used without a further check.

mod lines;
mod read;
mod sections;
mod units;

pub use read::{load, parse};
pub use sections::{
    BuilderSection, BuilderTree, Config, Format, LeaseSection, LimitSection, MailSection, PackageLimit, Scm,
    Transport, TreeSection, TroubleSection,
};
pub use units::{Bytes, Span};
