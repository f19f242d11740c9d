//! Builders as the master knows them: one record each, a pause file, and when they were last seen.

use std::path::PathBuf;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::aside::{self, Aside};
use super::vitals::{self, Vitals};
use super::{Claim, Spool, Stand, list, queue, record};
use crate::base::durable;
use crate::base::error::readable;
use crate::base::{Clock, Error, Result, lock};
use crate::names::{Arch, Builder, Version, Word};

/// What a builder said of itself when it registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The version of this record's shape.
    pub format: u32,
    /// Its name.
    pub name: Builder,
    /// What it said.
    #[serde(flatten)]
    pub profile: Profile,
    /// When it registered so.
    pub since: Timestamp,
}

/// What a builder can do, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What it builds.
    pub archs: Vec<Arch>,
    /// How many tickets at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<usize>,
    /// What packages may need of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Word>,
    /// The version of its syncpkg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Its host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Word>,
}

impl Profile {
    /// A builder of which only this is known.
    pub fn of(archs: &[Arch]) -> Self {
        Self { archs: archs.to_vec(), ..Self::default() }
    }

    /// Returns it as options of syncpkg-builder.
    pub fn words(&self) -> Vec<String> {
        fn list<T: ToString>(words: &[T]) -> Option<String> {
            let words: Vec<String> = words.iter().map(T::to_string).collect();
            Some(words.join(",")).filter(|text| !text.is_empty())
        }
        let options = [
            ("--arch", list(&self.archs)),
            ("--slots", self.slots.map(|slots| slots.to_string())),
            ("--tag", list(&self.tags)),
            ("--runs", self.version.as_ref().map(Version::to_string)),
            ("--host", self.host.as_ref().map(Word::to_string)),
        ];
        let given = options.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value?]));
        given.flatten().collect()
    }
}

/// A builder as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: Builder,
    /// What it said of itself.
    #[serde(flatten)]
    pub profile: Profile,
    /// Since when it is registered so.
    pub since: Timestamp,
    /// When it last asked, beat or reported (file time of its record).
    pub seen: Timestamp,
    /// A person has paused it.
    pub paused: bool,
    /// The farm has set it aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aside: Option<Aside>,
    /// How many tickets it holds.
    pub building: usize,
    /// How its host did when it was last seen, as it says.
    #[serde(flatten)]
    pub vitals: Vitals,
}

impl Listed {
    /// Tells whether it is given nothing now.
    pub fn is_out(&self) -> bool {
        self.paused || self.aside.is_some()
    }

    /// Says in few words what it does.
    pub fn state(&self) -> String {
        let out = match &self.aside {
            _ if self.paused => Some("paused".to_owned()),
            Some(aside) => Some(aside.state()),
            None => None,
        };
        match (out, self.building) {
            (None, 0) => "idle".to_owned(),
            (None, n) => format!("building {n}"),
            (Some(out), 0) => out,
            (Some(out), n) => format!("{out}, building {n}"),
        }
    }
}

fn file(spool: &Spool, name: &Builder) -> PathBuf {
    spool.at("builder").join(format!("{name}.toml"))
}

/// Returns the file that says what was refused to a builder.
pub fn refusals(spool: &Spool, name: &Builder) -> PathBuf {
    spool.at("builder").join(format!("{name}.refused"))
}

fn pause_file(spool: &Spool, name: &Builder) -> PathBuf {
    spool.at("builder").join(format!("{name}.pause"))
}

/// Registers a builder, or changes what it says of itself.
///
/// # Errors
/// A failing system call.
pub fn register(spool: &Spool, name: &Builder, profile: &Profile, clock: &Clock) -> Result<()> {
    let _lock = lock::exclusive(&spool.at("lock").join("builder"), lock::PATIENCE)?;
    let path = file(spool, name);
    let known: Option<Registration> = readable(record::read(&path))?;
    if known.as_ref().is_some_and(|known| known.profile == *profile) {
        return touch(spool, name);
    }
    let record = Registration { format: 1, name: name.clone(), profile: profile.clone(), since: clock.now() };
    // Not fsynced: a registration that a power cut takes back comes with the next request for work.
    durable::replace(&path, record::text(&record)?.as_bytes())?;
    durable::make_dir(&spool.run_dir(name))?;
    durable::make_dir(&spool.upload_dir(name))
}

/// Notes that a builder asked for work; the first request registers it.
///
/// # Errors
/// A failing system call.
pub fn seen(spool: &Spool, name: &Builder, archs: &[Arch], clock: &Clock) -> Result<()> {
    match readable(record::read::<Registration>(&file(spool, name)))? {
        Some(known) if archs.iter().all(|arch| known.profile.archs.contains(arch)) => touch(spool, name),
        Some(known) => register(spool, name, &Profile { archs: archs.to_vec(), ..known.profile }, clock),
        None => register(spool, name, &Profile::of(archs), clock),
    }
}

/// Notes a sign of life.
///
/// # Errors
/// A failing system call.
pub fn touch(spool: &Spool, name: &Builder) -> Result<()> {
    durable::touch(&file(spool, name), SystemTime::now()).map(drop)
}

/// Tells whether a person has paused this builder; when that cannot be told, it gets nothing either.
pub fn is_paused(spool: &Spool, name: &Builder) -> bool {
    durable::present(&pause_file(spool, name)).unwrap_or(true)
}

/// Pauses a builder: it is given nothing more.
///
/// # Errors
/// A failing system call.
pub fn pause(spool: &Spool, name: &Builder) -> Result<()> {
    known(spool, name)?;
    durable::put(&spool.tmp(), &pause_file(spool, name), b"").map(drop)
}

/// Ends the pause of a builder, and brings it back if it was set aside. Says what becomes of mails, as
/// [`aside::clear`].
///
/// # Errors
/// A failing system call.
pub fn resume(spool: &Spool, name: &Builder) -> Result<Vec<String>> {
    known(spool, name)?;
    let mails = aside::clear(spool, name)?;
    durable::remove(&pause_file(spool, name))?;
    Ok(mails)
}

/// Forgets a builder that holds nothing.
///
/// # Errors
/// `No` when it still holds tickets.
pub fn forget(spool: &Spool, name: &Builder) -> Result<()> {
    known(spool, name)?;
    let held = list::building_by(spool, name)?.len();
    if held > 0 {
        let plural = if held == 1 { "1 ticket".to_owned() } else { format!("{held} tickets") };
        return Err(Error::no(format!("cannot forget {name}: it holds {plural}"))
            .hint(format!("give them back first: syncpkg-builder --pause --release {name}")));
    }
    aside::clear(spool, name)?;
    durable::remove(&pause_file(spool, name))?;
    durable::remove(&file(spool, name))?;
    // Not an error if somebody claims under this name just now: then the directory is not empty and stays.
    durable::prune(&spool.run_dir(name));
    durable::prune(&spool.upload_dir(name));
    durable::remove(&refusals(spool, name))?;
    durable::remove(&vitals::file(spool, name))?;
    Ok(())
}

/// Gives everything a builder holds back to the queue; returns how many tickets.
///
/// # Errors
/// A failing system call.
pub fn release(spool: &Spool, name: &Builder, clock: &Clock) -> Result<usize> {
    known(spool, name)?;
    let directory = spool.run_dir(name);
    if !durable::present(&directory)? {
        return Ok(0);
    }
    let _queue = spool.lock_queue(lock::PATIENCE)?;
    let _beats = lock::exclusive_dir(&directory, lock::PATIENCE)?;
    let mut released = 0;
    for entry in list::building_by(spool, name)? {
        let back = entry.name.standing(Stand::Waiting(None));
        if queue::come_back(spool, &entry.path, &back, clock)? == durable::Shift::Moved {
            released += 1;
            if let Some(claim) = Claim::of(&entry) {
                durable::forget(&spool.live(&claim.id, claim.epoch));
            }
        }
    }
    Ok(released)
}

fn known(spool: &Spool, name: &Builder) -> Result<()> {
    if durable::present(&file(spool, name))? {
        Ok(())
    } else {
        Err(Error::no(format!("there is no builder {name}")))
    }
}

/// Returns the builders by name.
///
/// # Errors
/// A directory that cannot be read.
pub fn listed(spool: &Spool, now: Timestamp) -> Result<Vec<Listed>> {
    let mut builders = Vec::new();
    for file_name in list::names(&spool.at("builder"))? {
        let Some(name) = file_name.strip_suffix(".toml").and_then(|stem| stem.parse::<Builder>().ok()) else {
            continue;
        };
        let path = file(spool, &name);
        let known = readable(record::read::<Registration>(&path))?;
        let (Some(known), Some(meta)) = (known, durable::look(&path)?) else { continue };
        let seen =
            meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(known.since);
        builders.push(Listed {
            profile: known.profile,
            since: known.since,
            seen,
            paused: is_paused(spool, &name),
            aside: aside::of(spool, &name, now)?,
            building: list::building_by(spool, &name)?.len(),
            vitals: vitals::of(spool, &name)?,
            name,
        });
    }
    builders.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(builders)
}
