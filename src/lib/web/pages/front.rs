//! The front page: what needs a person, then how the farm is doing. Help. The page for what is not there.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::model::{Counts, TicketRow};
use super::super::need::{Need, Turn, plural};
use super::work::BuilderView;
use super::{Page, Place, Section, Site};
use crate::base::Result;
use crate::names::State;

/// How many lines each list of the front page has at the most.
const SHOWN: usize = 12;
/// How many results it shows.
const RESULTS: usize = 20;

#[derive(Serialize)]
struct Front<'a> {
    made: Timestamp,
    headline: String,
    calm: bool,
    admin: Group,
    maintainers: Group,
    numbers: Vec<Number>,
    builders: Vec<BuilderView<'a>>,
    oldest: Vec<Oldest<'a>>,
    results: String,
    counts: Counts,
}

/// What one kind of person has to do.
#[derive(Serialize)]
struct Group {
    count: usize,
    more: usize,
    table: String,
}

#[derive(Serialize)]
struct Number {
    value: String,
    label: &'static str,
    href: &'static str,
    kind: &'static str,
}

/// How long an architecture's queue is, and who is first in it.
#[derive(Serialize)]
struct Oldest<'a> {
    arch: &'a str,
    count: String,
    id: &'a crate::names::Id,
    what: String,
    since: Timestamp,
    why: String,
}

#[derive(Serialize)]
struct Help {
    there: String,
    states: Vec<(&'static str, &'static str)>,
}

#[derive(Serialize)]
struct Missing {
    root: String,
}

/// Returns the front page.
pub(in super::super) fn front(site: &Site<'_>) -> Result<Page> {
    let model = site.model;
    let needs = |turn: Turn| model.needs.iter().filter(move |need| need.turn == turn);
    let (admin, maintainers) = (needs(Turn::Admin).count(), needs(Turn::Maintainer).count());
    let latest: Vec<_> = model.ended.iter().take(RESULTS).cloned().collect();
    let view = Front {
        made: model.made,
        headline: headline(admin, maintainers),
        calm: model.needs.is_empty(),
        admin: group(site, "The admin's turn", needs(Turn::Admin).collect())?,
        maintainers: group(site, "The maintainers' turn", needs(Turn::Maintainer).collect())?,
        numbers: numbers(site),
        builders: model.builders.iter().map(|builder| site.builder_view(builder)).collect(),
        oldest: oldest(site),
        results: site.rows("", "The last results", site.tickets(&latest))?,
        counts: model.counts,
    };
    let path = "index.html".to_owned();
    site.page(Place { section: Section::Overview, title: "Overview", path, now: true }, "front.html", &view)
}

fn headline(admin: usize, maintainers: usize) -> String {
    let things = plural(admin, "thing");
    let packages = plural(maintainers, "package");
    let (need, wait) =
        (if admin == 1 { "needs" } else { "need" }, if maintainers == 1 { "needs" } else { "need" });
    match (admin, maintainers) {
        (0, 0) => "Nothing needs a person".to_owned(),
        (0, _) => format!("{packages} {wait} a maintainer"),
        (_, 0) => format!("{things} {need} the admin"),
        (..) => format!("{things} {need} the admin, {packages} {wait} a maintainer"),
    }
}

fn group(site: &Site<'_>, caption: &str, needs: Vec<&Need>) -> Result<Group> {
    let count = needs.len();
    let shown: Vec<&Need> = needs.into_iter().take(SHOWN).collect();
    Ok(Group { count, more: count - shown.len(), table: site.needs("", caption, shown)? })
}

fn numbers(site: &Site<'_>) -> Vec<Number> {
    let model = site.model;
    let day = model.made.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    let lately = |state| {
        site.tickets(&model.ended).take_while(|t| t.since >= day).filter(|t| t.state == state).count()
    };
    let failing = model.needs.iter().filter(|need| need.kind == "failed").count();
    let number = |value: usize, label, href, kind| Number { value: value.to_string(), label, href, kind };
    vec![
        number(model.counts.waiting, "waiting", "queue/index.html", "waiting"),
        number(model.counts.building, "building", "queue/index.html", "building"),
        number(lately(State::Built), "built in 24 h", "recent/index.html", "built"),
        number(lately(State::Failed), "failed in 24 h", "recent/index.html", "failed"),
        number(failing, "failing now", "failing/index.html", "failed"),
    ]
}

fn oldest<'a>(site: &'a Site<'_>) -> Vec<Oldest<'a>> {
    let mut queues: BTreeMap<&str, Vec<&TicketRow>> = BTreeMap::new();
    for ticket in site.tickets(&site.model.waiting) {
        queues.entry(&ticket.arch).or_default().push(ticket);
    }
    let line = |(arch, tickets): (&'a str, Vec<&'a TicketRow>)| {
        let oldest = tickets.iter().min_by_key(|ticket| &ticket.id)?;
        Some(Oldest {
            arch,
            count: tickets.len().to_string(),
            id: &oldest.id,
            what: format!("{} {}", oldest.name, oldest.version),
            since: oldest.asked,
            why: oldest.why(),
        })
    };
    queues.into_iter().filter_map(line).collect()
}

/// Returns the help page.
pub(in super::super) fn help(site: &Site<'_>) -> Result<Page> {
    let states = State::ALL.iter().map(|state| (state.as_str(), meaning(*state))).collect();
    let view = Help { there: site.config.there(), states };
    let path = "help/index.html".to_owned();
    site.page(Place { section: Section::Help, title: "Help", path, now: false }, "help.html", &view)
}

fn meaning(state: State) -> &'static str {
    match state {
        State::Waiting => "Nobody has it yet. The page says what it waits for, if it waits for something.",
        State::Building => "A builder holds it. A builder that is not heard of loses it again.",
        State::Built => "It left packages. They are published once they are in the package directory.",
        State::Failed => {
            "The package's own fault. It is not tried again by itself; its maintainer was mailed. A push that \
             changes its recipe, or force, tries it again."
        }
        State::Trouble => {
            "The farm's fault, not the package's: a builder that is away, a full disk. It was tried elsewhere until there \
             were no tries left; the admin was mailed."
        }
        State::Aborted => "Somebody ended it.",
        State::Superseded => "A later revision asked for the same package before this one was begun.",
    }
}

/// Returns the page for what is not there. It is served for any address, so only its links name the site's
/// place on the server.
pub(in super::super) fn missing(site: &Site<'_>) -> Result<Page> {
    let root = site.config.url_path();
    let body = site.engine.render("404.html", &Missing { root: root.clone() })?;
    let path = "404.html".to_owned();
    let place = Place { section: Section::None, title: "Not found", path, now: false };
    let text = site.frame(&place, &root, &body)?;
    Ok((place.path, text))
}
