//! Reports from other hosts: what a builder has brought by rsync into `upload/BUILDER/CLAIM/`, which is hostile until it
//! was copied and the copy compared with what the builder says of it.
//!
//! `delivery.toml` says how the try ended and measures the rest: `log`, and packages in `files/`. Its hash comes by the
//! way that builders cannot touch afterwards. An upload that was cut off is there in part: that is no report yet.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::product::{base_name, measure};
use super::report::{self, Ending};
use super::{Claim, Product, Spool, list, record};
use crate::base::error::Kind;
use crate::base::output::inert;
use crate::base::{Clock, Error, Result, durable, random};
use crate::config::{Bytes, TroubleSection};
use crate::names::{Builder, Outcome};

/// What an upload says of itself.
const DELIVERY: &str = "delivery.toml";

/// The largest of these that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// The most packages a try may leave.
const MOST: usize = 1000;

/// How a try ended, as its builder writes it for another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Delivery {
    format: u32,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<i32>,
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Product>,
    #[serde(default)]
    files: Vec<Product>,
}

/// Lays out in the directory `stage`, by links, what is to be brought of `ending`; returns the hash it is known by.
///
/// # Errors
/// A file that is not there or has a name no package may have.
pub fn stage(ending: &Ending, stage: &Path) -> Result<String> {
    let log = ending.log.as_deref().map(measure).transpose()?;
    let files = ending.files.iter().map(|path| measure(path)).collect::<Result<Vec<Product>>>()?;
    if let Some(path) = &ending.log {
        durable::lead(&stage.join("log"), &absolute(path)?)?;
    }
    for (path, product) in ending.files.iter().zip(&files) {
        durable::lead(&stage.join("files").join(&product.name), &absolute(path)?)?;
    }
    let Ending { outcome, stage: at, reason, exit, host, .. } = ending.clone();
    let text = record::text(&Delivery { format: 1, outcome, stage: at, reason, exit, host, log, files })?;
    durable::draft(&stage.join(DELIVERY), text.as_bytes())?;
    measure(&stage.join(DELIVERY)).map(|delivery| delivery.sha256)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|source| Error::io("find", path, source))
}

/// Returns where a try's report is brought to.
pub fn dir(spool: &Spool, claim: &Claim) -> PathBuf {
    spool.upload_dir(&claim.builder).join(claim.to_string())
}

/// Ends a claim by what its builder has brought, which is known by the hash `sha256`.
///
/// # Errors
/// As [`report::end`]; `Again` as long as something of it is not there yet.
pub fn end(
    spool: &Spool,
    claim: &Claim,
    sha256: &str,
    trouble: &TroubleSection,
    clock: &Clock,
) -> Result<()> {
    let copies = spool.tmp().join(format!(".upload-{}", random::word(8)));
    let upload = Upload { root: spool.upload_dir(&claim.builder), claim: claim.to_string(), copies: &copies };
    let ended = upload.ending(sha256).and_then(|ending| report::end(spool, claim, &ending, trouble, clock));
    durable::remove_tree(&copies)?;
    match &ended {
        Err(error) if error.kind != Kind::No => {}
        // Accepted, or refused and kept as far as anybody wants it.
        Ok(()) | Err(_) => durable::remove_tree(&dir(spool, claim))?,
    }
    ended
}

/// One try's upload on its way to private copies.
struct Upload<'a> {
    root: PathBuf,
    claim: String,
    copies: &'a Path,
}

impl Upload<'_> {
    fn ending(&self, sha256: &str) -> Result<Ending> {
        let Delivery { outcome, stage, reason, exit, host, log, files, .. } = self.delivery(sha256)?;
        if files.len() > MOST {
            return Err(Error::wrong(format!("cannot take {} packages of one try", files.len())));
        }
        let log = log.map(|log| self.take("log", &log)).transpose()?;
        let files = files.iter().map(|file| {
            // A path would be one of its last part only.
            match base_name(Path::new(&file.name)).is_ok_and(|name| name == file.name) {
                true => self.take(&format!("files/{}", file.name), file),
                false => Err(Error::wrong(format!(
                    "cannot take {}: its name is not a package's",
                    inert(&file.name)
                ))),
            }
        });
        let files = files.collect::<Result<Vec<PathBuf>>>()?;
        Ok(Ending { outcome, stage, reason, exit, host, log, files })
    }

    fn delivery(&self, sha256: &str) -> Result<Delivery> {
        let file = self.open(DELIVERY)?;
        let copy = self.copies.join(DELIVERY);
        durable::copy(&mut std::io::Read::take(file, LARGEST), &copy)?;
        if measure(&copy)?.sha256 != sha256 {
            return Err(self.missing(DELIVERY, "it is another one"));
        }
        let text = String::from_utf8_lossy(&durable::read(&copy, LARGEST)?).into_owned();
        toml::from_str(&text).map_err(|source| {
            Error::wrong(format!("cannot read {DELIVERY} of {}: {}", self.claim, source.message()))
        })
    }

    /// Copies the file `name` and judges the copy.
    fn take(&self, name: &str, said: &Product) -> Result<PathBuf> {
        let file = self.open(name)?;
        let there = file.metadata().map_err(|source| Error::io("read", name, source))?.len();
        if there != said.size {
            return Err(self.missing(name, &format!("{there} of {} bytes are there", said.size)));
        }
        let copy = self.copies.join(name);
        durable::copy(&mut std::io::Read::take(file, said.size), &copy)?;
        if measure(&copy)?.sha256 != said.sha256 {
            // Of the same length and age rsync takes it for the same: it must go, or it never becomes right.
            durable::forget(&self.root.join(&self.claim).join(name));
            return Err(self.missing(name, "its hash is another one"));
        }
        Ok(copy)
    }

    fn open(&self, name: &str) -> Result<std::fs::File> {
        let path = Path::new(&self.claim).join(name);
        match durable::open_beneath(&self.root, &path) {
            Err(_) if !durable::present(&self.root.join(&path))? => {
                Err(self.missing(name, "it is not there"))
            }
            other => other,
        }
    }

    fn missing(&self, name: &str, what: &str) -> Error {
        Error::again(format!("cannot take {name} of {}: {what}", self.claim))
    }
}

/// Returns what lies in a builder's uploads: (bytes, files). What cannot be looked at counts as nothing.
pub fn weigh(spool: &Spool, builder: &Builder) -> (u64, u64) {
    let found = WalkDir::new(spool.upload_dir(builder)).min_depth(1).into_iter().filter_map(Result::ok);
    found.fold((0, 0), |(bytes, files), entry| {
        (bytes + entry.metadata().map_or(0, |meta| meta.len()), files + 1)
    })
}

/// Returns the uploads that nobody has touched for `age` and that no claim is waiting for.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn forgotten(spool: &Spool, age: Duration) -> Result<Vec<PathBuf>> {
    let held: Vec<String> =
        list::building(spool)?.iter().filter_map(Claim::of).map(|claim| claim.to_string()).collect();
    let mut forgotten = Vec::new();
    for builder in list::directories::<Builder>(&spool.at("upload"))? {
        for name in list::names(&spool.upload_dir(&builder))? {
            let path = spool.upload_dir(&builder).join(&name);
            if !held.contains(&name) && is_older(&path, age) {
                forgotten.push(path);
            }
        }
    }
    Ok(forgotten)
}

/// Tells whether nothing in `path` was written for `age`. The times of change are this host's; those of modification came
/// with the files, and the builder's clock may be years off.
fn is_older(path: &Path, age: Duration) -> bool {
    use std::os::unix::fs::MetadataExt;
    let changed = |meta: std::fs::Metadata| u64::try_from(meta.ctime()).ok().map(Duration::from_secs);
    let times = WalkDir::new(path).into_iter().filter_map(|entry| changed(entry.ok()?.metadata().ok()?));
    let last = SystemTime::UNIX_EPOCH + times.max().unwrap_or_default();
    last.elapsed().is_ok_and(|elapsed| elapsed > age)
}

/// Tells whether nothing is taken from builders on other hosts for want of room; changes nothing. Once there is less than
/// `least`, there must be twice as much before anything is taken again: no to and fro.
///
/// # Errors
/// The disk cannot be measured.
pub fn is_full(spool: &Spool, least: Bytes) -> Result<bool> {
    let was_full = durable::present(&full(spool))?;
    let least = if was_full { least.0.saturating_mul(2) } else { least.0 };
    Ok(durable::available(spool.root())? < least)
}

/// Notes that something was refused for want of room.
///
/// # Errors
/// A failing system call.
pub fn note_full(spool: &Spool) -> Result<()> {
    durable::replace(&full(spool), b"nothing is taken from builders until there is twice quota.free\n")
        .map(drop)
}

/// Forgets that.
pub fn note_room(spool: &Spool) {
    durable::forget(&full(spool));
}

fn full(spool: &Spool) -> PathBuf {
    spool.at("cache").join("full")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::names::Instance;
    use crate::spool::{claim, decide, queue};

    struct Scene {
        place: tempfile::TempDir,
        spool: Spool,
        claim: Claim,
        sha256: String,
    }

    impl Scene {
        /// A claim whose report was brought whole.
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            let spool = Spool::create(&place.path().join("spool")).unwrap();
            queue::enqueue(&spool, &[decide::tests::ask()], &Clock::system(), Duration::ZERO).unwrap();
            let (builder, archs) = ("b1".parse().unwrap(), vec!["x86_64".parse().unwrap()]);
            let instance = Instance::random().unwrap();
            let request = claim::Request { builder, instance, archs, count: 1, choice: Default::default() };
            let claim = claim::take(&spool, &request, &Clock::system()).unwrap().remove(0).claim;
            let at = |name: &str| place.path().join(name);
            fs::write(at("build.log"), "a log").unwrap();
            fs::write(at("gcc-1-1-x86_64.fpm"), "a package").unwrap();
            let ending = Ending {
                outcome: Outcome::Built,
                stage: None,
                reason: String::new(),
                exit: Some(0),
                host: "h".to_owned(),
                log: Some(at("build.log")),
                files: vec![at("gcc-1-1-x86_64.fpm")],
            };
            let sha256 = stage(&ending, &at("stage")).unwrap();
            let scene = Self { place, spool, claim, sha256 };
            scene.bring();
            scene
        }

        fn bring(&self) {
            for name in [DELIVERY, "log", "files/gcc-1-1-x86_64.fpm"] {
                let bytes = fs::read(self.place.path().join("stage").join(name)).unwrap();
                fs::create_dir_all(self.at("files")).unwrap();
                fs::write(self.at(name), bytes).unwrap();
            }
        }

        fn at(&self, name: &str) -> PathBuf {
            dir(&self.spool, &self.claim).join(name)
        }

        fn end(&self) -> Result<()> {
            end(&self.spool, &self.claim, &self.sha256, &TroubleSection::default(), &Clock::system())
        }

        fn refuses(&self, kind: Kind, why: &str) {
            let error = self.end().unwrap_err();
            assert!(error.kind == kind && error.to_string().contains(why), "{error}");
            assert_eq!(list::building(&self.spool).unwrap().len(), 1, "the claim still holds");
            assert_eq!(list::names(&self.spool.at("hold")).unwrap().len(), 0, "nothing was taken");
        }
    }

    #[test]
    fn what_was_brought_whole_ends_the_claim_and_is_gone() {
        let scene = Scene::new();
        scene.end().unwrap();
        let hold = scene.spool.hold(&scene.claim.id, 1).join("gcc-1-1-x86_64.fpm");
        assert_eq!(fs::read(hold).unwrap(), b"a package");
        assert_eq!(fs::read(scene.spool.log(&scene.claim.id, 1)).unwrap(), b"a log");
        assert!(!scene.at("").exists() && fs::read_dir(scene.spool.tmp()).unwrap().next().is_none());
        assert_eq!(scene.end().unwrap_err().kind, Kind::Again, "a lost answer: it is brought again");
        scene.bring();
        scene.end().unwrap();
    }

    #[test]
    fn what_was_cut_off_is_no_report() {
        let scene = Scene::new();
        fs::write(scene.at("files/gcc-1-1-x86_64.fpm"), "a pack").unwrap();
        scene.refuses(Kind::Again, "6 of 9 bytes are there");
        fs::remove_file(scene.at("log")).unwrap();
        scene.refuses(Kind::Again, "cannot take log");
        fs::write(scene.at(DELIVERY), "format = 1\n").unwrap();
        scene.refuses(Kind::Again, "it is another one");
        fs::remove_dir_all(scene.at("")).unwrap();
        scene.refuses(Kind::Again, "it is not there");
    }

    #[test]
    fn other_bytes_of_the_same_length_are_sent_again() {
        let scene = Scene::new();
        fs::write(scene.at("files/gcc-1-1-x86_64.fpm"), "A PACKAGE").unwrap();
        scene.refuses(Kind::Again, "its hash is another one");
        assert!(!scene.at("files/gcc-1-1-x86_64.fpm").exists(), "rsync would take it for the same");
    }

    #[test]
    fn no_link_leads_out_of_an_upload() {
        let scene = Scene::new();
        let secret = scene.place.path().join("secret");
        fs::write(&secret, "a package").unwrap();
        let file = scene.at("files/gcc-1-1-x86_64.fpm");
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&secret, &file).unwrap();
        scene.refuses(Kind::Wrong, "symbolic links");
        fs::remove_file(&file).unwrap();
        fs::hard_link(&secret, &file).unwrap();
        scene.refuses(Kind::Wrong, "not a regular file with one name");
        fs::remove_file(&file).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &file,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        scene.refuses(Kind::Wrong, "not a regular file with one name");
        fs::remove_dir_all(scene.at("files")).unwrap();
        std::os::unix::fs::symlink(scene.place.path(), scene.at("files")).unwrap();
        scene.refuses(Kind::Wrong, "symbolic links");
    }

    #[test]
    fn a_package_called_like_something_else_is_refused() {
        for name in ["../../../../x", ".x", "a b", "-x", ""] {
            let scene = Scene::new();
            let text = fs::read_to_string(scene.at(DELIVERY)).unwrap();
            fs::write(scene.at(DELIVERY), text.replace("gcc-1-1-x86_64.fpm", name)).unwrap();
            let scene = Scene { sha256: measure(&scene.at(DELIVERY)).unwrap().sha256, ..scene };
            scene.refuses(Kind::Wrong, "its name is not a package's");
        }
    }

    #[test]
    fn what_is_brought_for_a_claim_that_is_held_is_not_forgotten() {
        let scene = Scene::new();
        assert!(forgotten(&scene.spool, Duration::ZERO).unwrap().is_empty());
        let other = scene.spool.upload_dir(&scene.claim.builder).join("b1.x.1.y");
        fs::create_dir(&other).unwrap();
        assert_eq!(forgotten(&scene.spool, Duration::ZERO).unwrap(), [other]);
        assert!(forgotten(&scene.spool, Duration::from_secs(60)).unwrap().is_empty());
        assert_eq!(weigh(&scene.spool, &scene.claim.builder).1, 6);
    }

    #[test]
    fn what_a_builder_brings_does_not_age_by_its_clock() {
        let scene = Scene::new();
        let other = scene.spool.upload_dir(&scene.claim.builder).join("b1.x.1.y");
        fs::create_dir(&other).unwrap();
        for seconds in [1_000_000_000, 4_000_000_000] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::open(&other).unwrap().set_modified(time).unwrap();
            assert_eq!(forgotten(&scene.spool, Duration::ZERO).unwrap(), std::slice::from_ref(&other));
            assert!(forgotten(&scene.spool, Duration::from_secs(60)).unwrap().is_empty());
        }
    }
}
