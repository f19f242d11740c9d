//! The table of what was pushed.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

/// What one commit brought.
pub struct Push {
    pub at: Timestamp,
    pub recipes: Vec<Row>,
}

/// A recipe that it changed.
#[derive(Clone)]
pub struct Row {
    pub name: String,
    pub version: String,
    pub release: String,
    /// What the recipe says of its compiling time.
    pub units: Option<f64>,
    pub depends: Vec<String>,
}

/// Reads a table beside this file, oldest push first.
pub fn read(name: &str) -> Vec<Push> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay").join(name);
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let (mut pushes, mut last): (Vec<Push>, _) = (Vec::new(), "");
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [time, commit, name, version, release, units, depends] = words[..] else {
            unreachable!("{line}")
        };
        let depends = depends.split(',').filter(|name| *name != "-").map(str::to_owned).collect();
        let [name, version, release] = [name, version, release].map(str::to_owned);
        let row = Row { name, version, release, units: units.parse().ok(), depends };
        if commit != last {
            let at = Timestamp::from_second(time.parse().unwrap()).unwrap();
            pushes.push(Push { at, recipes: Vec::new() });
            last = commit;
        }
        pushes.last_mut().unwrap().recipes.push(row);
    }
    pushes
}

/// Keeps what was pushed on the day that begins with `begin`.
pub fn day(pushes: Vec<Push>, begin: Timestamp) -> Vec<Push> {
    let end = begin + SignedDuration::from_hours(24);
    pushes.into_iter().filter(|push| begin <= push.at && push.at < end).collect()
}

/// Moves a day so that it begins an hour after `end`.
pub fn after(mut pushes: Vec<Push>, end: Timestamp) -> Vec<Push> {
    let shift = end.duration_since(pushes[0].at) + SignedDuration::from_hours(1);
    pushes.iter_mut().for_each(|push| push.at += shift);
    pushes
}
