//! The configuration: `/etc/syncpkg/syncpkg.toml`, its defaults and its errors.
//!
//! Owns: every key (syncpkg.toml(5)) and its default. Refuses: unknown keys, values that do not fit, each with
//! file, line and column. Invariant: what it returns can be used without a further check.

mod builder;
mod lines;
mod mail;
mod place;
mod read;
mod sections;
mod units;

pub use builder::{BuilderSection, BuilderTree, Commands, Preset, Term};
pub use mail::{HooksSection, MailSection, Tls, Transport};
pub use place::{Host, Place, is_plain, plain_word};
pub use read::{load, parse};
pub use sections::{
    Config, Format, KeepSection, LeaseSection, LimitSection, NeedSection, PackageLimit, QuotaSection, Role,
    Scm, SshSection, TreeSection, TroubleSection, WebSection,
};
pub use units::{Bytes, Span};
