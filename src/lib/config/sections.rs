//! The sections of the configuration, as they are written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{BuilderSection, Bytes, HooksSection, MailSection, Span};
use crate::names::{Arch, Name, Tree, Word};

/// The whole configuration; every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The spool directory of this master.
    pub spool: PathBuf,
    /// Where requests wait on this host, with the spool on another one.
    pub outbox: PathBuf,
    /// Where `syncpkg-stats` writes the site.
    pub site: PathBuf,
    /// Where the site is seen; ends in `/`.
    pub url: String,
    /// Templates that replace built-in ones, by file name; none by default.
    pub templates: Option<PathBuf>,
    /// How the farm is called on pages and in mails.
    pub title: String,
    /// The trees this master serves.
    pub tree: BTreeMap<Tree, TreeSection>,
    /// When a claim that is not heard of goes back.
    pub lease: LeaseSection,
    /// What happens after trouble.
    pub trouble: TroubleSection,
    /// Limits of a build, with exceptions for packages.
    pub limit: LimitSection,
    /// What is kept of what has ended.
    pub keep: KeepSection,
    /// What may be asked for through the web.
    pub web: WebSection,
    /// Who is mailed what, and how.
    pub mail: MailSection,
    /// Programs of one's own that hear of what happens.
    pub hooks: HooksSection,
    /// How spools on other hosts are reached.
    pub ssh: SshSection,
    /// What each builder on another host may take of this one.
    pub quota: QuotaSection,
    /// What packages need of the builder that builds them.
    pub need: BTreeMap<Name, NeedSection>,
    /// This host as a builder.
    pub builder: BuilderSection,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            spool: "/var/spool/syncpkg".into(),
            outbox: "/var/lib/syncpkg/outbox".into(),
            site: "/var/cache/syncpkg/www".into(),
            url: "https://build.example.org/syncpkg/".to_owned(),
            templates: None,
            title: "syncpkg".to_owned(),
            tree: BTreeMap::new(),
            lease: LeaseSection::default(),
            trouble: TroubleSection::default(),
            limit: LimitSection::default(),
            keep: KeepSection::default(),
            web: WebSection::default(),
            mail: MailSection::default(),
            hooks: HooksSection::default(),
            ssh: SshSection::default(),
            quota: QuotaSection::default(),
            need: BTreeMap::new(),
            builder: BuilderSection::default(),
        }
    }
}

/// The program a tree is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scm {
    /// darcs.
    Darcs,
    /// git, bare or with a work tree.
    Git,
    /// A plain directory: no revisions.
    None,
}

/// The kind of recipes a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Frugalware's.
    Frugalbuild,
    /// Arch's.
    Pkgbuild,
}

/// A version-controlled collection of recipes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TreeSection {
    /// What keeps its history.
    pub scm: Scm,
    /// The repository on the master that receives pushes.
    pub path: PathBuf,
    /// Where builders get it; the path when not given.
    pub url: Option<String>,
    /// The branch builds are made of (git only).
    pub branch: String,
    /// Which files are recipes: a shell pattern relative to the repository.
    pub recipes: String,
    /// What the recipes are written in.
    pub format: Format,
    /// Sourced before a recipe.
    pub prelude: Option<PathBuf>,
    /// The architectures this farm builds.
    pub archs: Vec<Arch>,
    /// Where a built package is found; `{name} {version} {release} {arch}` are filled in.
    pub packages: String,
    /// As `packages`, `{batch}` too: where those of a batch that is held back find what is built of it; empty: nowhere.
    pub staging: String,
    /// Commands run when publishing a file; `{file} {arch}` are filled in.
    pub sign: Vec<String>,
    /// As `sign`, afterwards, in the package directory.
    pub repo: Vec<String>,
    /// How many earlier versions of a package stay when a newer one is published; when not given, all.
    pub keep_versions: Option<usize>,
}

impl Default for TreeSection {
    fn default() -> Self {
        Self {
            scm: Scm::Git,
            path: PathBuf::new(),
            url: None,
            branch: "main".to_owned(),
            recipes: "*/PKGBUILD".to_owned(),
            format: Format::Pkgbuild,
            prelude: None,
            archs: "x86_64".parse().into_iter().collect(),
            packages: String::new(),
            staging: String::new(),
            sign: Vec::new(),
            repo: Vec::new(),
            keep_versions: None,
        }
    }
}

impl TreeSection {
    /// Returns where builders get the tree.
    pub fn source(&self) -> String {
        self.url.clone().unwrap_or_else(|| self.path.to_string_lossy().into_owned())
    }
}

/// `[lease]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseSection {
    /// How often a builder says that it lives.
    pub beat: Span,
    /// How long a claim lives without a beat; a builder not heard of for so long is away.
    pub expires: Span,
    /// How much longer the claims of a builder that is away are kept for it.
    pub grace: Span,
}

impl Default for LeaseSection {
    fn default() -> Self {
        Self { beat: Span::seconds(60), expires: Span::seconds(600), grace: Span::seconds(0) }
    }
}

/// Who may do something through the web, of those who have signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everybody.
    User,
    /// The maintainer of that package, and the admins.
    Maintainer,
    /// The admins.
    Admin,
}

/// `[web]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebSection {
    /// The user that syncweb runs as: in its requests the asker is who has signed in; none: no control from the web.
    pub user: Option<String>,
    /// Who may have something built again.
    pub force: Role,
    /// Who may end something.
    pub abort: Role,
    /// Who may do everything.
    pub admins: Vec<String>,
}

impl Default for WebSection {
    fn default() -> Self {
        Self { user: None, force: Role::User, abort: Role::User, admins: Vec::new() }
    }
}

/// `[keep]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepSection {
    /// How long results, logs and copies of mails are kept.
    pub results: Span,
    /// So many of the last failures of a package and architecture are kept for ever, as its last success is.
    pub failures: usize,
    /// How long logs are kept as they are; then they are packed.
    pub plain: Span,
}

impl Default for KeepSection {
    fn default() -> Self {
        let day = 24 * 3600;
        Self { results: Span::seconds(90 * day), failures: 5, plain: Span::seconds(day) }
    }
}

/// `[trouble]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TroubleSection {
    /// How long a ticket rests after its first trouble; three times as long after each further one.
    pub rest: Span,
    /// How many claims a ticket gets in all.
    pub claims: u32,
    /// So many troubles of one builder in a row set it aside for a while; with 0 none do.
    pub in_a_row: u32,
    /// So many failures of one builder in a row, of different packages that had been built before, set it aside until a
    /// person has looked; with 0 none do.
    pub failures: usize,
    /// How long the mails about several such failures wait, lest the builder was at fault.
    pub hold: Span,
}

impl Default for TroubleSection {
    fn default() -> Self {
        Self { rest: Span::seconds(60), claims: 5, in_a_row: 3, failures: 5, hold: Span::seconds(30 * 60) }
    }
}

/// `[limit]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSection {
    /// How long a build may take in all.
    pub total: Span,
    /// How long a build may print nothing.
    pub silence: Span,
    /// How large a log may grow; the build goes on, the log ends with a line that says so.
    pub log: Bytes,
    /// Between TERM and KILL.
    pub grace: Span,
    /// Exceptions for packages, by name.
    pub package: BTreeMap<Name, PackageLimit>,
}

impl Default for LimitSection {
    fn default() -> Self {
        Self {
            total: Span::seconds(24 * 3600),
            silence: Span::seconds(2 * 3600),
            log: Bytes(64 << 20),
            grace: Span::seconds(10),
            package: BTreeMap::new(),
        }
    }
}

/// `[limit.package.NAME]`: what is given replaces the general limit.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PackageLimit {
    /// As `limit.total`.
    pub total: Option<Span>,
    /// As `limit.silence`.
    pub silence: Option<Span>,
    /// As `limit.log`.
    pub log: Option<Bytes>,
}

/// `[ssh]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SshSection {
    /// The ssh client, with options of one's own.
    pub command: Vec<String>,
    /// The socket of the connection that is kept open, with ssh's own tokens; `none` opens one for each command.
    pub control: String,
    /// How long it is kept open after its last use.
    pub persist: Span,
    /// Where the master's host key is pinned: no other is taken, and nobody is asked.
    pub known_hosts: Option<PathBuf>,
}

impl Default for SshSection {
    fn default() -> Self {
        Self {
            command: vec!["ssh".to_owned()],
            control: "~/.ssh/syncpkg-%C".to_owned(),
            persist: Span::seconds(600),
            known_hosts: None,
        }
    }
}

/// `[quota]`, of each builder that comes through `syncpkg-shell`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaSection {
    /// How much it may have brought that is not acted on yet.
    pub bytes: Bytes,
    /// In how many files and directories.
    pub files: u64,
    /// How many claims it may hold.
    pub claims: usize,
    /// Below this much free space nothing is taken from anybody.
    pub free: Bytes,
}

impl Default for QuotaSection {
    fn default() -> Self {
        Self { bytes: Bytes(20 << 30), files: 2000, claims: 16, free: Bytes(1 << 30) }
    }
}

/// `[need.NAME]`: a builder that has less is not given the package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NeedSection {
    /// Tags the builder must have, all of them.
    pub tags: Vec<Word>,
    /// Memory it must have to spare.
    pub memory: Option<Bytes>,
    /// Free space it must have.
    pub disk: Option<Bytes>,
}

impl LimitSection {
    /// Returns the limits that hold for `name`: total, silence, size of the log.
    pub fn of(&self, name: &Name) -> (Span, Span, Bytes) {
        let own = self.package.get(name).copied().unwrap_or_default();
        (own.total.unwrap_or(self.total), own.silence.unwrap_or(self.silence), own.log.unwrap_or(self.log))
    }
}
