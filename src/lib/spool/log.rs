//! The logs of tries that are over: as the build printed them, and packed with gzip once they are old. Whoever reads one
//! by [`open`] need not know which.
//!
//! Invariant: the plain one goes only after what the packed one holds was compared with it. Killed in between, both are
//! there, and the next round goes on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use jiff::SignedDuration;

use super::{Spool, list};
use crate::base::{Clock, Error, Result, durable};
use crate::config::KeepSection;

/// How many logs one call packs at the most.
const MOST: usize = 1000;

/// Opens the log `path`, packed or not.
///
/// # Errors
/// There is neither, or it cannot be read.
pub fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let packed = packed(path);
    // The plain one first: it goes only when the other is there.
    match durable::open_regular(path) {
        Err(_) if !durable::present(path)? && durable::present(&packed)? => {
            Ok(Box::new(BufReader::new(unpacked(&packed)?)))
        }
        plain => Ok(Box::new(BufReader::new(plain?))),
    }
}

/// Tells whether the log `path` is there, packed or not.
///
/// # Errors
/// It cannot be told.
pub fn is_kept(path: &Path) -> Result<bool> {
    Ok(durable::present(path)? || durable::present(&packed(path))?)
}

/// Returns what the log `path` is called once it is packed.
pub(super) fn packed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

fn unpacked(path: &Path) -> Result<GzDecoder<File>> {
    Ok(GzDecoder::new(durable::open_regular(path)?))
}

/// Packs the logs of tickets that were asked for on a day before the last `keep.plain`; some of them, if there are
/// many. Returns whether there may be more.
///
/// # Errors
/// The first that cannot be packed, after the others were.
pub fn pack(spool: &Spool, keep: &KeepSection, clock: &Clock) -> Result<bool> {
    let age = SignedDuration::try_from(keep.plain.0).ok();
    let Some(before) = age.and_then(|age| clock.now().checked_sub(age).ok()) else { return Ok(false) };
    let before = before.strftime("%Y%m%d").to_string();
    let (known, mut looked) = (known(spool), BTreeMap::new());
    let (mut count, mut wrong) = (0, None);
    for day in list::names(&spool.at("log"))?.into_iter().filter(|day| *day < before) {
        let place = spool.at("log").join(&day);
        // Another one whenever a log came or went: what has none to pack is not listed each round.
        let changed = durable::changed(&place)?.unwrap_or_default();
        if known.get(&day) != Some(&changed) {
            let plain = list::names(&place)?.into_iter().filter(|name| name.ends_with(".log"));
            let plain: Vec<PathBuf> = plain.take(MOST - count).map(|name| place.join(name)).collect();
            count += plain.len();
            let errors = plain.iter().filter_map(|path| pack_one(spool, path).err());
            wrong = errors.fold(wrong, |wrong, error| wrong.or(Some(error)));
            if !plain.is_empty() {
                continue;
            }
        }
        looked.insert(day, changed);
    }
    let lines: String = looked.iter().map(|(day, changed)| format!("{day} {changed}\n")).collect();
    durable::replace(&record(spool), lines.as_bytes())?;
    wrong.map_or(Ok(count == MOST), Err)
}

/// The days that had nothing to pack, and the time of their directories then.
fn known(spool: &Spool) -> BTreeMap<String, i64> {
    let text = std::fs::read_to_string(record(spool)).unwrap_or_default();
    let day =
        |line: &str| line.split_once(' ').and_then(|(day, time)| Some((day.to_owned(), time.parse().ok()?)));
    text.lines().filter_map(day).collect()
}

fn record(spool: &Spool) -> PathBuf {
    spool.at("cache").join("packed")
}

fn pack_one(spool: &Spool, path: &Path) -> Result<()> {
    let packed = packed(path);
    if durable::present(&packed)? {
        durable::confirm(&packed)?;
    } else {
        durable::put_from(&spool.tmp(), &packed, &mut Packing::new(durable::open_regular(path)?))?;
    }
    if !durable::equal(unpacked(&packed)?, &mut durable::open_regular(path)?, &packed)? {
        let text = format!("cannot pack {}: {} has other content", path.display(), packed.display());
        return Err(Error::wrong(text).hint("remove the one that is wrong"));
    }
    durable::remove(path)
}

/// A file as it is when packed.
struct Packing(GzEncoder<File>);

impl Packing {
    fn new(file: File) -> Self {
        Self(GzEncoder::new(file, Compression::default()))
    }
}

impl Read for Packing {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Seek for Packing {
    /// Only to the start, where packing begins anew.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if to != SeekFrom::Start(0) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut file = self.0.get_ref().try_clone()?;
        file.rewind()?;
        *self = Self::new(file);
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Scene {
        _place: tempfile::TempDir,
        spool: Spool,
        clock: Clock,
    }

    impl Scene {
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            let spool = Spool::create(&place.path().join("spool")).unwrap();
            Self { _place: place, spool, clock: Clock::fixed("2026-11-22T12:00:00Z".parse().unwrap()) }
        }

        fn log(&self, day: &str, text: &str) -> PathBuf {
            let path = self.spool.log(&format!("202611{day}-120000-000-aaaaaa").parse().unwrap(), 1);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        }

        fn pack(&self) -> Result<bool> {
            pack(&self.spool, &KeepSection::default(), &self.clock)
        }
    }

    fn text(path: &Path) -> String {
        io::read_to_string(open(path).unwrap()).unwrap()
    }

    #[test]
    fn old_logs_are_packed_and_read_as_before() {
        let scene = Scene::new();
        let (old, new) = (scene.log("20", "old\n"), scene.log("21", "new\n"));
        assert!(!scene.pack().unwrap());
        assert!(!old.exists() && packed(&old).exists() && new.exists());
        assert_eq!((text(&old), text(&new)), ("old\n".to_owned(), "new\n".to_owned()));
        assert!(is_kept(&old).unwrap() && is_kept(&new).unwrap() && !is_kept(Path::new("/none")).unwrap());
        assert!(open(Path::new("/none")).is_err());
    }

    #[test]
    fn who_was_killed_between_the_two_steps_left_nothing_to_mend() {
        let scene = Scene::new();
        let old = scene.log("20", "old\n");
        scene.pack().unwrap();
        let again = scene.log("20", "old\n");
        assert_eq!(text(&old), "old\n");
        scene.pack().unwrap();
        assert!(!again.exists() && text(&old) == "old\n");
    }

    #[test]
    fn what_differs_stays_and_is_said_and_the_others_are_packed() {
        let scene = Scene::new();
        let (old, other) = (scene.log("19", "old\n"), scene.log("20", "other\n"));
        fs::write(packed(&old), "no gzip").unwrap();
        assert!(scene.pack().is_err());
        assert!(old.exists() && !other.exists());
        fs::remove_file(packed(&old)).unwrap();
        scene.pack().unwrap();
        assert!(!old.exists());
    }

    #[test]
    fn a_day_that_was_packed_is_looked_at_again_when_a_log_comes() {
        let scene = Scene::new();
        scene.log("20", "old\n");
        scene.pack().unwrap();
        scene.pack().unwrap();
        assert_eq!(known(&scene.spool).len(), 1);
        let path = scene.spool.log(&"20261120-130000-000-bbbbbb".parse().unwrap(), 1);
        fs::write(&path, "late\n").unwrap();
        scene.pack().unwrap();
        assert!(!path.exists() && is_kept(&path).unwrap());
    }
}
