//! The sandbox recipes are read in: no network, nothing to write to, few processes, little time.
//!
//! Many recipes share one, for the sake of the prelude. What keeps a recipe from speaking for those after it: the
//! reader is a shell whose file nobody in there may read, so that the kernel lets nobody look into it or change
//! it (ptrace, /proc/PID/mem); before the next recipe begins every other process is dead and every file in /tmp gone; lowered limits of
//! its own end it. And a recipe sees of the tree its own directory and the schemes, nothing of other recipes.
//! What remains is slowness: a recipe that broke the conversation is read a second time in a sandbox of its own.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};

use super::export::SCHEMES;
use crate::base::{Error, Result, contain};
use crate::config::{Format, TreeSection};

pub(super) const READER: &str = include_str!("reader.sh");

/// What a recipe may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The time one recipe may take.
    pub recipe: Duration,
    /// The time all may take that are read by one call.
    pub scan: Duration,
    /// The bytes the fields of one recipe may have.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { recipe: Duration::from_secs(2), scan: Duration::from_secs(600), fields: 1 << 20 }
    }
}

/// The first of the users that readers become when they are started by root: far from all that are given to
/// people and services. Each sandbox has one of its own, because the limit on processes counts by user.
const USERS: u64 = 1 << 30;

/// Tells whether there is such a user here: root of a user namespace may be alone in it.
fn is_mapped(uid: u64) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first.saturating_add(count)).contains(&uid))
    })
}

/// What recipes of one tree are read in.
pub(super) struct Sandbox<'a> {
    section: &'a TreeSection,
    schemes: Option<&'a Path>,
    bash: &'static str,
}

/// What starts a reader, and what must stay open until it has.
pub(super) struct Launch {
    pub(super) command: Command,
    pub(super) bash: File,
}

const REPOMAN: &str = "/etc/repoman.conf";

/// What makepkg and Frugalware's prelude source.
pub(super) const SETTINGS: [&str; 2] = ["/etc/makepkg.conf", REPOMAN];

impl<'a> Sandbox<'a> {
    /// Prepares for reading recipes of a tree whose schemes are, or will be, in the directory `schemes`.
    ///
    /// # Errors
    /// There is no bash.
    pub(super) fn new(section: &'a TreeSection, schemes: Option<&'a Path>) -> Result<Self> {
        let missing =
            || Error::wrong("cannot read recipes: bash is not installed").hint("apt-get install bash");
        let bash = ["/usr/bin/bash", "/bin/bash"].into_iter().find(|path| Path::new(path).exists());
        Ok(Self { section, schemes, bash: bash.ok_or_else(missing)? })
    }

    /// Returns what starts a reader that sees the directory `root` as its tree.
    ///
    /// # Errors
    /// A failing system call.
    pub(super) fn launch(&self, root: &Path) -> Result<Launch> {
        let root_user = rustix::process::geteuid().is_root() && is_mapped(USERS + 0xffff);
        let mut command = Command::new("bwrap");
        isolate(&mut command, root_user);
        furnish(&mut command, self.section);
        self.furnish_tree(&mut command, root);
        let bash = install(self.bash, &mut command)?;
        command.args(["--remount-ro", "/dev", "--remount-ro", "/", "--", "prlimit", "--core=0"]);
        command.args(["--as=536870912", "--nproc=64", "--fsize=1048576", "--nofile=256"]);
        if root_user {
            let user = USERS + u64::from(crate::base::random::number());
            let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
            command.args(["setpriv", &user, &group, "--clear-groups"]);
        }
        command.args([BASH, "--noprofile", "--norc", "-c", READER, "reader"]);
        let arch = self.section.archs.first().map_or("x86_64", |arch| arch.as_str());
        let format = match self.section.format {
            Format::Frugalbuild => "frugalbuild",
            Format::Pkgbuild => "pkgbuild",
        };
        command.args([format, arch, self.section.prelude.as_ref().map_or("", |_| PRELUDE)]);
        Ok(Launch { command, bash })
    }

    fn furnish_tree(&self, command: &mut Command, root: &Path) {
        command.arg("--ro-bind").arg(root).args(["/tree", "--chdir", "/tree"]);
        if let Some(schemes) = self.schemes {
            command.arg("--ro-bind").arg(schemes).arg(Path::new("/tree").join(SCHEMES));
        }
    }
}

/// Where the reader's bash is inside.
const BASH: &str = "/bash";

/// Where the prelude is inside.
const PRELUDE: &str = "/prelude";

/// Makes a copy of `bash` inside that may be run, not read.
fn install(bash: &str, command: &mut Command) -> Result<File> {
    let failed = |source| Error::io("open", bash, source);
    let file = File::open(bash).map_err(failed)?;
    // bwrap inherits it; so may a program that another thread starts now, which can do nothing with it.
    fcntl_setfd(&file, FdFlags::empty()).map_err(|source| failed(source.into()))?;
    command.args(["--perms", "0111", "--file", &file.as_raw_fd().to_string(), BASH]);
    Ok(file)
}

fn isolate(command: &mut Command, root_user: bool) {
    contain::detach(command);
    if root_user {
        // In a user namespace root would still be the real root to the limit on processes; so the reader
        // becomes somebody else. bwrap's first process stays root, and so may be told to die.
        command.args(["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]);
        command.args(["--unshare-cgroup-try", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]);
    } else {
        // bwrap's own first process would be of the same user as a recipe, which could look into it.
        command.args(["--unshare-all", "--as-pid-1"]);
    }
    command.args(["--setenv", "HOME", "/tmp", "--setenv", "LC_ALL", "C"]);
}

fn furnish(command: &mut Command, section: &TreeSection) {
    contain::show_system(command);
    for file in SETTINGS {
        command.args(["--ro-bind-try", file, file]);
    }
    if section.format == Format::Frugalbuild && !Path::new(REPOMAN).exists() {
        // Frugalware's prelude gives up without it, and needs nothing that is in it.
        command.args(["--symlink", "/dev/null", REPOMAN]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    command.args(["--size", "16777216", "--perms", "1777", "--tmpfs", "/tmp"]);
    if let Some(prelude) = &section.prelude {
        // Not where it is outside: that may be in a directory that is emptied inside, or seen by its owner only.
        command.arg("--ro-bind").arg(prelude).arg(PRELUDE);
    }
}
