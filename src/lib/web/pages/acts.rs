//! Who did what: what people asked for by hand, a page a day.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::facts::{Act, Sources};
use super::super::load;
use super::super::writer::Writer;
use super::rows::parts;
use super::{Pager, Place, Section, Site};
use crate::base::Result;

#[derive(Serialize)]
struct Acts<'a> {
    root: &'a str,
    /// The day it is about; none on the page that leads to all of them.
    day: Option<String>,
    acts: &'a [Act],
    days: Vec<Day>,
    pager: Option<Pager>,
}

#[derive(Serialize)]
struct Day {
    day: String,
    href: String,
}

/// Writes the pages of what was asked for by hand on each of `days`, if there is more of it than last time.
pub(in super::super) fn acts(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    (days, sources): (&BTreeMap<String, u64>, &Sources<'_>),
) -> Result<()> {
    let days = days.iter().filter_map(|(day, stamp)| Some((day, parted(day)?, stamp)));
    let days: Vec<(&String, [&str; 3], &u64)> = days.collect();
    let read = |day: &str| -> Result<Vec<Act>> {
        Ok((sources.acts)(day)?.into_iter().rev().map(load::act).collect())
    };
    for (name, parted, stamp) in &days {
        let start = format!("control-log/{}", parted.join("/"));
        let first = format!("{start}/index.html");
        if !writer.differs(&first, stamp) {
            writer.leave(&format!("{start}/"), |path| path != first);
            continue;
        }
        let acts = read(name)?;
        for (path, pager, acts) in parts(&start, &acts) {
            let root = super::root(&path);
            let day = parted.join("-");
            let title = format!("Who did what on {day}");
            let view = Acts { root: &root, day: Some(day), acts, days: Vec::new(), pager };
            let (path, text) = site.page(Place::new(Section::None, &title, path), "acts.html", &view)?;
            match path == first {
                true => writer.file(&path, text.as_bytes())?,
                false => writer.list(&path, text.as_bytes())?,
            }
        }
    }
    let path = "control-log/index.html";
    if writer.differs(path, &days) {
        let latest = days.last().map(|(name, ..)| read(name)).transpose()?.unwrap_or_default();
        let acts = latest.get(..latest.len().min(super::LINES)).unwrap_or_default();
        let link = |(_, parted, _): &(&String, [&str; 3], &u64)| Day {
            day: parted.join("-"),
            href: format!("{}/index.html", parted.join("/")),
        };
        let view =
            Acts { root: "../", day: None, acts, days: days.iter().rev().map(link).collect(), pager: None };
        let (path, text) = site.page(Place::new(Section::None, "Who did what", path), "acts.html", &view)?;
        writer.file(&path, text.as_bytes())?;
    }
    Ok(())
}

/// Returns year, month and day of `YYYYMMDD`; none of anything else.
fn parted(day: &str) -> Option<[&str; 3]> {
    let plain = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
    plain.then_some(())?;
    Some([day.get(..4)?, day.get(4..6)?, day.get(6..)?])
}
