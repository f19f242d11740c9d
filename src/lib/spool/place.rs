//! The spool directory: where things lie in it, making an empty one, and refusing what is none.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::base::error::Kind;
use crate::base::output::inert;
use crate::base::{Error, Result, durable, lock};
use crate::names::{Arch, Builder, Id, Name, Outcome, Tree};

use super::TicketName;

/// What the file `format` of every spool says.
const FORMAT: &str = "syncpkg spool, format 1\n";

/// What a finished copy of a spool has in place of `format`: no program takes it for a spool, until somebody renames it.
pub const COPY: &str = "format.copy";

/// Where the spool has moved to; as long as it is there, no program uses the spool.
const MOVED: &str = "moved";

/// The directories of a spool; `spool-layout.md` has a section for each (a test says so).
pub const DIRECTORIES: &[&str] = &[
    "new", "park", "run", "done", "report", "log", "live", "hold", "batch", "late", "bad", "builder", "owed",
    "post", "sent", "told", "expired", "drop", "request", "upload", "lock", "cache", "tmp",
];

/// What may be there besides: a file system of its own has this in its root.
pub(super) const TOLERATED: &[&str] = &["lost+found"];

/// A spool directory that was found to be one.
#[derive(Debug, Clone)]
pub struct Spool {
    root: PathBuf,
}

impl Spool {
    /// Opens the spool at `root`.
    ///
    /// # Errors
    /// Wrong use when there is nothing, or a directory that is no spool, or a spool of another format; `Again` when it
    /// has moved.
    pub fn open(root: &Path) -> Result<Self> {
        let spool = Self::open_left(root)?;
        spool.stays()?;
        Ok(spool)
    }

    /// Opens the spool at `root`, also one that has moved.
    ///
    /// # Errors
    /// As [`Spool::open`].
    pub fn open_left(root: &Path) -> Result<Self> {
        let missing = |text: String| {
            Error::wrong(text).hint(format!("make an empty one with: syncpkg-init {}", root.display()))
        };
        match fs::read_to_string(root.join("format")) {
            Ok(text) if text == FORMAT => Ok(Self { root: root.to_owned() }),
            Ok(_) => Err(Error::wrong(format!("cannot use {}: its format is not 1", root.display()))),
            Err(_) if !root.exists() => {
                Err(missing(format!("cannot open {}: there is no spool", root.display())))
            }
            Err(_) if durable::present(&root.join(COPY))? => {
                Err(Error::wrong(format!("cannot open {}: it is the copy of a spool", root.display()))
                    .hint("syncpkg-mirror(1) says when and how it becomes one"))
            }
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(missing(format!("cannot open {}: it is no spool", root.display())))
            }
            Err(source) => Err(Error::io("open", root.join("format"), source)),
        }
    }

    /// Makes an empty spool at `root`, or finishes one whose making was interrupted; an existing one is opened.
    ///
    /// # Errors
    /// Wrong use for a directory that has other things in it.
    pub fn create(root: &Path) -> Result<Self> {
        match Self::open(root) {
            Ok(spool) => return Ok(spool),
            Err(error) if error.kind == Kind::Again => return Err(error),
            Err(_) => refuse_foreign(root)?,
        }
        durable::make_dir(root)?;
        DIRECTORIES.iter().try_for_each(|name| make(root, name))?;
        // Last: a spool is one when everything else is there.
        match durable::put(&root.join("tmp"), &root.join("format"), FORMAT.as_bytes())? {
            durable::Put::Made | durable::Put::Same => Self::open(root),
            durable::Put::Differs => {
                Err(Error::wrong(format!("cannot use {}: it has another format", root.display())))
            }
        }
    }

    /// Says that the spool has moved to `host`: from then on no program uses it.
    ///
    /// # Errors
    /// A failing system call; `Again` when somebody is at work in the queue for long.
    pub fn leave(&self, host: &str) -> Result<()> {
        // Whoever is just putting something there gets it done first; nobody else begins.
        let _queue = self.lock_left_queue(lock::PATIENCE)?;
        durable::remove(&self.at(MOVED))?;
        durable::put(&self.tmp(), &self.at(MOVED), format!("{host}\n").as_bytes()).map(drop)
    }

    /// Refuses a spool that has moved; whoever keeps one open asks again before he changes something.
    ///
    /// # Errors
    /// `Again` when it has.
    pub fn stays(&self) -> Result<()> {
        let path = self.at(MOVED);
        if !durable::present(&path)? {
            return Ok(());
        }
        let host = fs::read_to_string(path).unwrap_or_default();
        Err(Error::again(format!("spool moved to {}", inert(host.trim()))))
    }

    /// Makes again the directories that somebody removed.
    ///
    /// # Errors
    /// A failing system call.
    pub fn restore(&self) -> Result<()> {
        for name in DIRECTORIES {
            if !durable::present(&self.at(name))? {
                make(&self.root, name)?;
            }
        }
        Ok(())
    }

    /// Returns the spool's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a directory or file directly in the spool.
    pub fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns where puts begin.
    pub fn tmp(&self) -> PathBuf {
        self.at("tmp")
    }

    /// Returns `new/ARCH`.
    pub fn new_dir(&self, arch: &Arch) -> PathBuf {
        self.at("new").join(arch)
    }

    /// Returns `run/BUILDER`.
    pub fn run_dir(&self, builder: &Builder) -> PathBuf {
        self.at("run").join(builder)
    }

    /// Returns `park/TREE/NAME`: what waits for that package.
    pub fn parking(&self, tree: &Tree, name: &Name) -> PathBuf {
        self.at("park").join(tree).join(name)
    }

    /// Returns the path of a ticket that `builder` holds.
    pub fn building(&self, builder: &Builder, name: &TicketName) -> PathBuf {
        self.run_dir(builder).join(name.to_string())
    }

    /// Returns the path of an ended ticket.
    pub fn done(&self, name: &TicketName) -> PathBuf {
        self.at("done").join(&name.tree).join(&name.item.name).join(name.to_string())
    }

    /// Returns the path of the report on one try: `report/DAY/ID.EPOCH.OUTCOME.toml`.
    pub fn report(&self, id: &Id, epoch: u32, outcome: Outcome) -> PathBuf {
        self.at("report").join(id.day()).join(format!("{id}.{epoch}.{outcome}.toml"))
    }

    /// Returns the path of the log of one ended try: `log/DAY/ID.EPOCH.log`.
    pub fn log(&self, id: &Id, epoch: u32) -> PathBuf {
        self.at("log").join(id.day()).join(format!("{id}.{epoch}.log"))
    }

    /// Returns the path of the growing log of a running try.
    pub fn live(&self, id: &Id, epoch: u32) -> PathBuf {
        self.at("live").join(format!("{id}.{epoch}.log"))
    }

    /// Returns the directory of the packages of one try that are not published yet.
    pub fn hold(&self, id: &Id, epoch: u32) -> PathBuf {
        self.at("hold").join(format!("{id}.{epoch}"))
    }

    /// Returns the file that says why the packages of one try are not published yet.
    pub fn hold_reason(&self, id: &Id, epoch: u32) -> PathBuf {
        self.at("hold").join(format!("{id}.{epoch}.why"))
    }

    /// Returns where the packages of one try are kept once it is certain that they never will be published; the
    /// reason lies beside it, with `.why` added.
    pub fn unwanted(&self, id: &Id, epoch: u32) -> PathBuf {
        self.at("hold").join(format!("{id}.{epoch}.unwanted"))
    }

    /// Returns the file that says why the packages of one try never will be published.
    pub fn unwanted_reason(&self, id: &Id, epoch: u32) -> PathBuf {
        self.at("hold").join(format!("{id}.{epoch}.unwanted.why"))
    }

    /// Returns the note that somebody may have to be told of this try.
    pub fn owed(&self, id: &Id, epoch: u32, outcome: Outcome) -> PathBuf {
        self.at("owed").join(format!("{id}.{epoch}.{outcome}"))
    }

    /// Returns `upload/BUILDER`: what that builder brings from another host.
    pub fn upload_dir(&self, builder: &Builder) -> PathBuf {
        self.at("upload").join(builder)
    }

    /// Returns whether a person has paused all claims; when that cannot be told, nobody gets any either.
    pub fn is_paused(&self) -> bool {
        durable::present(&self.at("pause")).unwrap_or(true)
    }

    /// Tells who owns the spool: (user, group).
    ///
    /// # Errors
    /// The spool has vanished.
    pub fn owner(&self) -> Result<(u32, u32)> {
        let meta = fs::metadata(&self.root).map_err(|source| Error::io("look at", &self.root, source))?;
        Ok((meta.uid(), meta.gid()))
    }

    /// Takes the lock under which tickets come (back) into `new`.
    ///
    /// # Errors
    /// `Again` when somebody holds it longer than `patience`.
    pub fn lock_queue(&self, patience: std::time::Duration) -> Result<lock::Lock> {
        let lock = self.lock_left_queue(patience)?;
        self.stays()?;
        Ok(lock)
    }

    /// Takes that lock also in a spool that has moved.
    pub(super) fn lock_left_queue(&self, patience: std::time::Duration) -> Result<lock::Lock> {
        lock::exclusive(&self.at("lock").join("queue"), patience)
    }
}

/// Makes one directory of a spool, with the mode it needs.
pub(super) fn make(root: &Path, name: &str) -> Result<()> {
    let path = root.join(name);
    durable::make_dir(&path)?;
    if name != "drop" {
        return Ok(());
    }
    // Others may put a request here, but neither list it nor touch what is not theirs (protocol.md).
    fs::set_permissions(&path, fs::Permissions::from_mode(0o1730))
        .map_err(|source| Error::io("set the mode of", &path, source))
}

/// A directory with foreign things in it is never made a spool; the remains of an interrupted init may.
fn refuse_foreign(root: &Path) -> Result<()> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::io("read", root, source)),
    };
    for entry in entries {
        let entry = entry.map_err(|source| Error::io("read", root, source))?;
        let name = entry.file_name();
        if !DIRECTORIES.iter().chain(TOLERATED).any(|ours| name == **ours) {
            return Err(Error::wrong(format!(
                "cannot make a spool of {}: it is not empty (there is {})",
                root.display(),
                inert(&name.to_string_lossy())
            )));
        }
    }
    refuse_unfinished(root)
}

/// Where there are tickets, but no `format`, nobody interrupted an init: it may be a copy that was never finished.
fn refuse_unfinished(root: &Path) -> Result<()> {
    for name in ["new", "park", "run", "done"] {
        if !super::list::names(&root.join(name))?.is_empty() {
            let text = format!("cannot make a spool of {}: there are tickets in {name}", root.display());
            return Err(Error::wrong(text).hint(
                "it may be half of a copy; if it is a whole spool, give it \
                 back its file \"format\", from any other spool",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_is_made_once_and_never_of_a_foreign_directory() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("spool");
        assert!(Spool::open(&root).unwrap_err().to_string().ends_with("there is no spool"));
        Spool::create(&root).unwrap();
        Spool::create(&root).unwrap();
        let error = Spool::create(place.path()).unwrap_err();
        assert!(error.to_string().ends_with("it is not empty (there is spool)"), "{error}");
        assert!(Spool::open(place.path()).unwrap_err().to_string().ends_with("it is no spool"));
    }

    #[test]
    fn a_file_system_of_its_own_may_be_a_spool() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("lost+found")).unwrap();
        let spool = Spool::create(place.path()).unwrap();
        let clock = crate::base::Clock::system();
        assert_eq!(super::super::check::check(&spool, true, &clock).unwrap(), []);
    }

    #[test]
    fn an_interrupted_init_is_finished() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("new")).unwrap();
        Spool::create(place.path()).unwrap();
    }
}
