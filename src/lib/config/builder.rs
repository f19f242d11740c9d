//! What a host that builds is told: `[builder]`, and the ready commands for the builds of some distributions.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::Bytes;
use crate::base::{Error, Result};
use crate::names::{Arch, Builder, Name, Tree, Word};

/// `[builder]`, on builders.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuilderSection {
    /// Its name at the master; the host's name up to the first dot when not given.
    pub name: Option<Builder>,
    /// The architectures it builds.
    pub archs: Vec<Arch>,
    /// The master's spool, when it is not `spool`.
    pub spool: Option<String>,
    /// Where it clones, builds and keeps reports until they are acknowledged.
    pub work: PathBuf,
    /// How many tickets it builds at once.
    pub slots: usize,
    /// What it says of itself, for packages that need it.
    pub tags: Vec<Word>,
    /// Memory it has for one build; what is to spare when not given.
    pub memory: Option<Bytes>,
    /// Packages it leaves to others.
    pub except: Vec<Name>,
    /// Packages it takes only when there is nothing else.
    pub idle: Vec<Name>,
    /// Above this load of its last minute it claims nothing.
    pub load: Option<f64>,
    /// Below this much free space it claims nothing.
    pub free: Bytes,
    /// What becomes of running builds when it is asked to end.
    pub term: Term,
    /// Ready commands, where none are given.
    pub preset: Option<Preset>,
    /// Makes or updates the clean chroot; any failure is trouble.
    pub prepare: Option<Vec<String>>,
    /// Builds, in the recipe's directory.
    pub command: Option<Vec<String>>,
    /// What it leaves behind to be uploaded: a shell pattern in the recipe's directory.
    pub files: Option<String>,
    /// What `{jobs}` stands for; the number of processors for each slot when not given.
    pub jobs: Option<u32>,
    /// Variables of the commands; filled in as their words are.
    pub environment: BTreeMap<String, String>,
    /// Other commands for a tree.
    pub tree: BTreeMap<Tree, BuilderTree>,
}

impl Default for BuilderSection {
    fn default() -> Self {
        Self {
            name: None,
            archs: "x86_64".parse().into_iter().collect(),
            spool: None,
            work: "/var/lib/syncpkg/work".into(),
            slots: 1,
            tags: Vec::new(),
            memory: None,
            except: Vec::new(),
            idle: Vec::new(),
            load: None,
            free: Bytes(5 << 30),
            term: Term::HandBack,
            preset: None,
            prepare: None,
            command: None,
            files: None,
            jobs: None,
            environment: BTreeMap::new(),
            tree: BTreeMap::new(),
        }
    }
}

/// What becomes of running builds when a builder is asked to end; asked twice, it hands them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Term {
    /// They end by themselves, and are reported.
    Finish,
    /// They are stopped, and others get them.
    HandBack,
}

/// Ready commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Arch's makepkg on this host, which installs what is missing.
    Arch,
    /// Arch's devtools: a clean chroot for each tree, a copy for each slot.
    ArchChroot,
    /// Frugalware's makepkg on this host.
    Frugalware,
    /// Frugalware's makepkg in its own chroot for the tree.
    FrugalwareChroot,
}

/// The commands of one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// Makes or updates the clean chroot; nothing to do if empty.
    pub prepare: Vec<String>,
    /// Builds.
    pub command: Vec<String>,
    /// The pattern of the files to upload.
    pub files: String,
}

impl Commands {
    fn new(prepare: &str, command: &str, files: &str) -> Self {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Self { prepare: words(prepare), command: words(command), files: files.to_owned() }
    }
}

impl Preset {
    fn commands(self) -> Commands {
        match self {
            Self::Arch => Commands::new(
                "",
                "makepkg --force --cleanbuild --syncdeps --rmdeps --noconfirm --nocolor",
                "*.pkg.tar.*",
            ),
            // The lock is the one by which devtools keep a chroot from changing while it is copied.
            Self::ArchChroot => Commands::new(
                "flock /var/lib/archbuild/{tree}-{arch}/root.lock \
                 arch-nspawn /var/lib/archbuild/{tree}-{arch}/root pacman -Syu --noconfirm",
                "makechrootpkg -c -r /var/lib/archbuild/{tree}-{arch} -l slot{slot}",
                "*.pkg.tar.*",
            ),
            Self::Frugalware => Commands::new("", "sudo makepkg -H -s -c -f -u -m -j{jobs}", "*.fpm"),
            Self::FrugalwareChroot => {
                Commands::new("", "sudo makepkg -R -t {tree} -c -f -u -m -j{jobs}", "*.fpm")
            }
        }
    }
}

/// `[builder.tree.NAME]`: what is given replaces the general command.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuilderTree {
    /// As `builder.preset`.
    pub preset: Option<Preset>,
    /// As `builder.prepare`.
    pub prepare: Option<Vec<String>>,
    /// As `builder.command`.
    pub command: Option<Vec<String>>,
    /// As `builder.files`.
    pub files: Option<String>,
}

impl BuilderSection {
    /// Returns the commands for `tree`: its own, those of its preset, the general ones, those of the general preset.
    pub fn commands(&self, tree: &Tree) -> Commands {
        let Commands { prepare, command, files } = self.general();
        let Some(own) = self.tree.get(tree) else { return Commands { prepare, command, files } };
        let preset = own.preset.map_or(Commands { prepare, command, files }, Preset::commands);
        Commands {
            prepare: own.prepare.clone().unwrap_or(preset.prepare),
            command: own.command.clone().unwrap_or(preset.command),
            files: own.files.clone().unwrap_or(preset.files),
        }
    }

    fn general(&self) -> Commands {
        let preset =
            self.preset.map_or_else(|| Commands::new("", "makepkg -f", "*.pkg.tar.*"), Preset::commands);
        Commands {
            prepare: self.prepare.clone().unwrap_or(preset.prepare),
            command: self.command.clone().unwrap_or(preset.command),
            files: self.files.clone().unwrap_or(preset.files),
        }
    }

    /// Checks what its types do not.
    ///
    /// # Errors
    /// Names the key that cannot be right.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::wrong(format!("builder.{what}")));
        if !(1..=MOST_SLOTS).contains(&self.slots) {
            return wrong(&format!("slots must be between 1 and {MOST_SLOTS}"));
        }
        if self.load.is_some_and(|load| load.is_nan() || load <= 0.0) {
            return wrong("load must be above 0");
        }
        let presets = self.tree.values().map(|tree| tree.preset).chain([self.preset]);
        if self.slots > 1 && presets.flatten().any(|preset| preset == Preset::FrugalwareChroot) {
            return wrong(
                "slots must be 1 with frugalware-chroot: that makepkg has one chroot for each tree",
            );
        }
        let word = |name: &str| {
            name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
                && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
        };
        if let Some(name) = self.environment.keys().find(|name| !word(name)) {
            return wrong(&format!("environment.{name:?} is no name of a variable"));
        }
        self.check_commands()
    }

    fn check_commands(&self) -> Result<()> {
        let general = std::iter::once(("builder".to_owned(), self.general()));
        let trees = self.tree.keys().map(|tree| (format!("builder.tree.{tree}"), self.commands(tree)));
        for (section, commands) in general.chain(trees) {
            if commands.command.is_empty() {
                return Err(Error::wrong(format!("{section}.command is empty")));
            }
            super::read::pattern(&commands.files, &format!("{section}.files"))?;
        }
        Ok(())
    }
}

/// More builds at once than any host does well.
const MOST_SLOTS: usize = 256;
