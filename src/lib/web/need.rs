//! What needs a person, and which one: the first thing the front page says. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::Undelivered;
use super::model::{Model, Row, StandRow, TicketRow};
use super::say::{package_dir, segment};
use crate::config::Bytes;
use crate::names::State;

/// Below this much free space uploads are refused.
const LOW: u64 = 1 << 30;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// Who runs the farm.
    Admin,
    /// Whom the recipe names.
    Maintainer,
}

/// Something a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Whose turn it is.
    pub turn: Turn,
    /// In one word: a state, or `paused`, `aside`, `away`, `disk`, `mail`, `held`, `bad`, `unbuilt`.
    pub kind: &'static str,
    /// What it is about.
    pub what: String,
    /// The page about it, from the site's root.
    pub href: String,
    /// Why.
    pub why: String,
    /// Who exactly, if that is known.
    pub who: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Something is on its way already: a newer ticket waits or is being built.
    pub under_way: bool,
}

impl Need {
    fn admin(kind: &'static str, what: impl Into<String>, href: &str, why: impl Into<String>) -> Self {
        Self {
            turn: Turn::Admin,
            kind,
            what: what.into(),
            href: href.to_owned(),
            why: why.into(),
            who: String::new(),
            since: None,
            under_way: false,
        }
    }
}

/// Returns what needs a person: the admin's first (the farm before single packages), then the maintainers',
/// newest first.
pub(super) fn needs(model: &Model) -> Vec<Need> {
    let mut needs: Vec<Need> = farm(model).into_iter().chain(builders(model)).chain(nobody(model)).collect();
    needs.extend(troubled(model));
    needs.extend(held(model));
    let mut failing = failing(model);
    failing.sort_by_key(|need| std::cmp::Reverse(need.since));
    needs.extend(failing);
    needs.extend(unbuilt(model));
    needs
}

fn farm(model: &Model) -> Vec<Need> {
    let mut needs = Vec::new();
    if model.paused {
        let why = "no builder is given anything until somebody removes the file pause";
        needs.push(Need::admin("paused", "the whole farm", "queue/index.html", why));
    }
    if let Some(free) = model.free.filter(|free| *free < LOW) {
        let why = format!("{} free: uploads are refused", Bytes(free));
        needs.push(Need::admin("disk", "the master's disk", "help/index.html", why));
    }
    if model.counts.bad > 0 {
        let many = plural(model.counts.bad, "file");
        let why = "they could not be read; syncpkg-check says why";
        needs.push(Need::admin("bad", format!("{many} in quarantine"), "help/index.html", why));
    }
    needs.extend(undelivered(model));
    needs
}

/// One line for each address, however many mails nobody took.
fn undelivered(model: &Model) -> Vec<Need> {
    let mut by_address: BTreeMap<&str, Vec<&Undelivered>> = BTreeMap::new();
    for mail in &model.undelivered {
        by_address.entry(&mail.to).or_default().push(mail);
    }
    let need = |(to, mails): (&str, Vec<&Undelivered>)| {
        let error = mails.last().map_or("", |mail| &mail.error);
        let what = format!("{} to {to}", plural(mails.len(), "mail"));
        let why = format!("not taken for five days: {error}; look into post/given-up");
        let since = mails.iter().filter_map(|mail| mail.since).min();
        Need { since, ..Need::admin("mail", what, "help/index.html", why) }
    };
    by_address.into_iter().map(need).collect()
}

fn builders(model: &Model) -> impl Iterator<Item = Need> {
    model.builders.iter().filter_map(|builder| {
        let href = format!("builder/{}/index.html", segment(&builder.name));
        let holds = match builder.building.len() {
            0 => "it holds nothing".to_owned(),
            held => format!("it holds {}", plural(held, "ticket")),
        };
        let name = format!("builder {}", builder.name);
        if builder.away {
            let why = format!("not heard of; {holds}");
            Some(Need { since: Some(builder.seen), ..Need::admin("away", name, &href, why) })
        } else if builder.paused {
            Some(Need::admin("paused", name, &href, format!("a person has paused it; {holds}")))
        } else if let Some(aside) = &builder.aside {
            let need = Need::admin("aside", name, &href, format!("{}; {holds}", aside.why));
            Some(Need { since: aside.since, ..need })
        } else {
            None
        }
    })
}

/// Architectures that tickets wait for and nobody builds.
fn nobody(model: &Model) -> Vec<Need> {
    let built: BTreeSet<&str> = model.builders.iter().flat_map(|b| &b.archs).map(String::as_str).collect();
    let mut waiting: BTreeMap<&str, Vec<&TicketRow>> = BTreeMap::new();
    for ticket in model.tickets(&model.waiting) {
        waiting.entry(&ticket.arch).or_default().push(ticket);
    }
    let orphaned = |arch: &str| if arch == "any" { built.is_empty() } else { !built.contains(arch) };
    let need = |(arch, tickets): (&str, Vec<&TicketRow>)| Need {
        since: tickets.iter().map(|ticket| ticket.asked).min(),
        ..Need::admin(
            "waiting",
            format!("architecture {arch}"),
            "queue/index.html",
            format!("{} and no builder for it", plural(tickets.len(), "ticket")),
        )
    };
    waiting.into_iter().filter(|(arch, _)| orphaned(arch)).map(need).collect()
}

/// Packages whose newest ticket the farm gave up on.
fn troubled(model: &Model) -> Vec<Need> {
    let newest = model.stands().map(|stand| &stand.newest).filter(|row| row.state == State::Trouble);
    let need = |row: &Row| Need {
        since: Some(row.since),
        ..Need::admin("trouble", row.title(), &ticket_page(row), row.why.clone())
    };
    newest.map(need).collect()
}

fn held(model: &Model) -> Vec<Need> {
    let need = |row: &Row| Need {
        since: Some(row.since),
        ..Need::admin("held", row.title(), &ticket_page(row), format!("built, {}", row.why))
    };
    model.packages.values().flat_map(|package| &package.held).map(need).collect()
}

/// Returns what is said of a stand that cannot be built; none of one that can.
pub(super) fn failure(stand: &StandRow) -> Option<Need> {
    let since = stand.failing_since()?;
    let row = stand.judged()?;
    Some(Need {
        turn: Turn::Maintainer,
        kind: "failed",
        what: row.title(),
        href: ticket_page(row),
        why: row.why.clone(),
        who: stand.maintainer.clone().unwrap_or_default(),
        since: Some(since),
        under_way: stand.newest.is_open(),
    })
}

fn failing(model: &Model) -> Vec<Need> {
    model.stands().filter_map(failure).collect()
}

/// What is failing is listed as that already.
fn unbuilt(model: &Model) -> Vec<Need> {
    let failing: BTreeSet<String> = failing(model).into_iter().map(|need| need.what).collect();
    let missing = model.unbuilt.iter().flatten().map(|row| missing(model, row));
    missing.filter(|need| !failing.contains(&need.what)).collect()
}

/// Returns what is said of something that is wanted and missing.
pub(super) fn missing(model: &Model, row: &super::UnbuiltRow) -> Need {
    let item: Option<crate::names::Item> = row.item.parse().ok();
    let what = item.as_ref().map_or(row.item.clone(), |item| {
        format!("{} {}-{} {}", item.name, item.version, item.release, item.arch)
    });
    let known = item.filter(|item| model.packages.contains_key(item.name.as_str()));
    let href = known.map_or("unbuilt/index.html".to_owned(), |item| {
        format!("package/{}/index.html", segment(&package_dir(item.name.as_str())))
    });
    Need {
        turn: Turn::Maintainer,
        kind: "unbuilt",
        what,
        href,
        why: row.cause.clone(),
        who: row.maintainer.clone().unwrap_or_default(),
        since: Some(row.since),
        under_way: false,
    }
}

fn ticket_page(row: &Row) -> String {
    format!("ticket/{}/index.html", row.id)
}

/// Returns a count in English.
pub(super) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
