//! The front page: what needs a person, then how the farm is doing. Help. The page for what is not there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::super::model::{Counts, Model, TicketRow, day};
use super::super::need::{Need, Turn, plural};
use super::super::writer::Writer;
use super::work::{BuilderView, builder_view};
use super::{Place, Section, Site};
use crate::base::Result;
use crate::config::Bytes;
use crate::names::State;

/// How many lines each list of the front page has at the most.
const SHOWN: usize = 12;
/// How many results it shows.
const RESULTS: usize = 20;

#[derive(Serialize)]
struct Front<'a> {
    root: &'a str,
    live: bool,
    made: Timestamp,
    free: Option<String>,
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

/// Writes the front page, and the same as a page that loads itself again.
pub(in super::super) fn front(site: &Site<'_>, writer: &mut Writer<'_>, model: &Model) -> Result<()> {
    for (path, root, live) in [("live/index.html", "../", true), ("index.html", "", false)] {
        let view = view(site, model, root, live)?;
        let (section, title) = if live { (Section::None, "Live") } else { (Section::Overview, "Overview") };
        let place = Place { made: Some(model.made), ..Place::new(section, title, path) };
        site.list(writer, Place { feed: Some("feed/all.atom"), ..place }, "front.html", &view)?;
    }
    Ok(())
}

fn view<'a>(site: &Site<'_>, model: &'a Model, root: &'a str, live: bool) -> Result<Front<'a>> {
    let needs = |turn: Turn| model.needs.iter().filter(move |need| need.turn == turn);
    let (admin, maintainers) = (needs(Turn::Admin).count(), needs(Turn::Maintainer).count());
    Ok(Front {
        root,
        live,
        made: model.made,
        free: model.free.map(|free| Bytes(free).to_string()),
        headline: headline(admin, maintainers),
        calm: model.needs.is_empty(),
        admin: group(site, root, "The admin's turn", needs(Turn::Admin).collect())?,
        maintainers: group(site, root, "The maintainers' turn", needs(Turn::Maintainer).collect())?,
        numbers: numbers(model),
        builders: model.builders.iter().map(|builder| builder_view(model, builder)).collect(),
        oldest: oldest(model),
        results: site.rows(root, "The last results", model.recent.iter().take(RESULTS))?,
        counts: model.counts,
    })
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

fn group(site: &Site<'_>, root: &str, caption: &str, needs: Vec<&Need>) -> Result<Group> {
    let count = needs.len();
    let shown: Vec<&Need> = needs.into_iter().take(SHOWN).collect();
    Ok(Group { count, more: count - shown.len(), table: site.needs(root, caption, shown)? })
}

fn numbers(model: &Model) -> Vec<Number> {
    let today = model.days.get(&day(model.made));
    let counts = today.map(|today| today.counts).unwrap_or_default();
    let failing = model.needs.iter().filter(|need| need.kind == "failed").count();
    let number = |value: usize, label, href, kind| Number { value: value.to_string(), label, href, kind };
    vec![
        number(model.counts.waiting, "waiting", "queue/index.html", "waiting"),
        number(model.counts.building, "building", "queue/index.html", "building"),
        number(counts.built, "built today", "recent/index.html", "built"),
        number(counts.failed, "failed today", "recent/index.html", "failed"),
        number(failing, "failing now", "failing/index.html", "failed"),
    ]
}

fn oldest(model: &Model) -> Vec<Oldest<'_>> {
    let mut queues: BTreeMap<&str, Vec<&TicketRow>> = BTreeMap::new();
    for ticket in model.tickets(&model.waiting) {
        queues.entry(&ticket.arch).or_default().push(ticket);
    }
    let mut lines = Vec::new();
    for (arch, tickets) in queues {
        let Some(oldest) = tickets.iter().min_by_key(|ticket| ticket.id) else { continue };
        lines.push(Oldest {
            arch,
            count: tickets.len().to_string(),
            id: &oldest.id,
            what: format!("{} {}", oldest.name, oldest.version),
            since: oldest.asked,
            why: oldest.why(),
        });
    }
    lines
}

/// Writes the help page.
pub(in super::super) fn help(site: &Site<'_>, writer: &mut Writer<'_>) -> Result<()> {
    let states = State::ALL.iter().map(|state| (state.as_str(), meaning(*state))).collect();
    let view = Help { there: site.config.there(), states };
    site.list(writer, Place::new(Section::Help, "Help", "help/index.html"), "help.html", &view)
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

/// Writes the page for what is not there. It is served for any address, so only its links name the site's place on the
/// server.
pub(in super::super) fn not_found(site: &Site<'_>, writer: &mut Writer<'_>) -> Result<()> {
    let root = site.config.url_path();
    let body = site.engine.render("404.html", &Missing { root: root.clone() })?;
    let text = site.frame(&Place::new(Section::None, "Not found", "404.html"), &root, &body)?;
    writer.list("404.html", text.as_bytes())
}
