//! The judge of a race: what every process asked and was answered, beside what lies in the spool at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::history::Event;

/// A ticket in one place of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub id: String,
    pub item: String,
    pub state: String,
    pub epoch: u32,
}

/// A claim's word: `BUILDER.ID.EPOCH.INSTANCE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    id: String,
    epoch: u32,
    who: String,
}

fn held(word: &str) -> Held {
    let parts: Vec<&str> = word.split('.').collect();
    Held {
        id: parts[1].to_owned(),
        epoch: parts[2].parse().unwrap(),
        who: format!("{} {}", parts[0], parts[3]),
    }
}

/// An end that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    id: String,
    epoch: u32,
    outcome: String,
}

/// What the histories say, sorted out.
struct Said<'a> {
    events: &'a [Event],
    claims: BTreeSet<Held>,
    ends: BTreeSet<End>,
    aborted: BTreeSet<String>,
}

impl<'a> Said<'a> {
    fn of(events: &'a [Event]) -> Self {
        let yes = |kind: &'static str| events.iter().filter(move |e| e.kind == kind && e.gist() == "yes");
        let claims = yes("claim").flat_map(Event::words).map(held).collect();
        let end = |event: &Event| {
            let (claim, outcome) = event.asked.split_once(' ').unwrap();
            let Held { id, epoch, .. } = held(claim);
            End { id, epoch, outcome: outcome.to_owned() }
        };
        let aborted = yes("abort").map(|event| event.asked.clone()).collect();
        Self { events, claims, ends: yes("report").map(end).collect(), aborted }
    }

    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |event| event.kind == kind)
    }
}

/// Everything in which the histories and the spool disagree, a line each that begins with the kind of fault.
pub fn faults(events: &[Event], places: &[Place], lease: Duration) -> Vec<String> {
    let said = Said::of(events);
    let mut by_id: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    places.iter().for_each(|place| by_id.entry(&place.id).or_default().push(place));
    let mut found = lost(&said, &by_id);
    found.extend(duplicated(&by_id));
    found.extend(invented(&said, places));
    found.extend(claimed_twice(&said));
    found.extend(ended_twice(&said));
    found.extend(ended_otherwise(&said, &by_id));
    found.extend(went_back(&said, &by_id));
    found.extend(taken_early(&said, lease));
    found.extend(
        said.events.iter().filter(|event| event.gist() == "wrong").map(|event| format!("wrong: {event:?}")),
    );
    found
}

type ById<'a> = BTreeMap<&'a str, Vec<&'a Place>>;

/// Asked for and acknowledged, or claimed, but in no place.
fn lost(said: &Said, by_id: &ById) -> Vec<String> {
    let asked = said.of_kind("enqueue").flat_map(Event::words).filter(|id| *id != "-");
    let known: BTreeSet<&str> = asked.chain(said.claims.iter().map(|claim| claim.id.as_str())).collect();
    known.into_iter().filter(|id| !by_id.contains_key(id)).map(|id| format!("lost: {id}")).collect()
}

/// In two places.
fn duplicated(by_id: &ById) -> Vec<String> {
    by_id
        .iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(id, places)| format!("duplicated: {id} {places:?}"))
        .collect()
}

/// More tickets of an item than anybody asked for, answered or not.
fn invented(said: &Said, places: &[Place]) -> Vec<String> {
    let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
    for item in said.of_kind("enqueue").flat_map(|event| event.asked.split(' ')) {
        *asked.entry(item).or_default() += 1;
    }
    let mut there: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for place in places {
        there.entry(&place.item).or_default().insert(&place.id);
    }
    let more = there.iter().filter(|(item, ids)| ids.len() > asked.get(**item).copied().unwrap_or(0));
    more.map(|(item, ids)| format!("invented: {item} {ids:?}")).collect()
}

/// One epoch given to two, or given after the end.
fn claimed_twice(said: &Said) -> Vec<String> {
    let claims: Vec<&Held> = said.claims.iter().collect();
    let twice = claims.windows(2).filter(|pair| (&pair[0].id, pair[0].epoch) == (&pair[1].id, pair[1].epoch));
    let mut found: Vec<String> = twice.map(|pair| format!("double claim: {pair:?}")).collect();
    for end in said.ends.iter().filter(|end| end.outcome != "trouble") {
        let later = claims.iter().filter(|claim| claim.id == end.id && claim.epoch > end.epoch);
        found.extend(later.map(|claim| format!("double claim: {claim:?} although {end:?} was accepted")));
    }
    found
}

/// Two different ends were accepted of one ticket, or of one claim.
fn ended_twice(said: &Said) -> Vec<String> {
    let ends: Vec<&End> = said.ends.iter().collect();
    let final_ones: Vec<&&End> = ends.iter().filter(|end| end.outcome != "trouble").collect();
    let of_ticket = final_ones.windows(2).filter(|pair| pair[0].id == pair[1].id);
    let of_claim =
        ends.windows(2).filter(|pair| (&pair[0].id, pair[0].epoch) == (&pair[1].id, pair[1].epoch));
    let mut found: BTreeSet<String> = of_ticket.map(|pair| format!("two ends: {pair:?}")).collect();
    found.extend(of_claim.map(|pair| format!("two ends: {pair:?}")));
    let both = final_ones.iter().filter(|end| said.aborted.contains(&end.id));
    found.extend(both.map(|end| format!("two ends: {end:?} and aborted")));
    found.into_iter().collect()
}

/// An accepted end, or an abort, that is not how the ticket ended.
fn ended_otherwise(said: &Said, by_id: &ById) -> Vec<String> {
    let mut found = Vec::new();
    for end in said.ends.iter().filter(|end| end.outcome != "trouble") {
        let places = by_id.get(end.id.as_str()).into_iter().flatten();
        let other = places.filter(|place| (&place.state, place.epoch) != (&end.outcome, end.epoch));
        found.extend(other.map(|place| format!("end undone: {end:?} is {place:?}")));
    }
    for id in &said.aborted {
        let places = by_id.get(id.as_str()).into_iter().flatten();
        found.extend(
            places.filter(|place| place.state != "aborted").map(|place| format!("abort undone: {place:?}")),
        );
    }
    found
}

/// An epoch that was given out and is higher than the ticket's.
fn went_back(said: &Said, by_id: &ById) -> Vec<String> {
    let lower = |claim: &&Held| {
        by_id.get(claim.id.as_str()).into_iter().flatten().any(|place| place.epoch < claim.epoch)
    };
    said.claims.iter().filter(lower).map(|claim| format!("epoch went back: {claim:?}")).collect()
}

/// A claim taken back within a lease of a beat (or of the claim itself) that had been answered.
fn taken_early(said: &Said, lease: Duration) -> Vec<String> {
    // The boot clock is read to the millisecond.
    let lease = u64::try_from(lease.saturating_sub(Duration::from_millis(2)).as_nanos()).unwrap();
    let mut heard: BTreeMap<(String, u32), Vec<&Event>> = BTreeMap::new();
    for event in said.of_kind("beat").filter(|event| event.gist() == "yes") {
        let Held { id, epoch, .. } = held(&event.asked);
        heard.entry((id, epoch)).or_default().push(event);
    }
    for event in said.of_kind("claim") {
        event.words().map(held).for_each(|held| heard.entry((held.id, held.epoch)).or_default().push(event));
    }
    let mut found = Vec::new();
    for back in said.of_kind("reclaim") {
        for word in back.words() {
            let (id, epoch) = word.split_once('/').unwrap();
            let signs = heard.get(&(id.to_owned(), epoch.parse().unwrap())).into_iter().flatten();
            let early = signs.filter(|sign| back.begun > sign.ended && back.ended < sign.begun + lease);
            found.extend(early.map(|sign| format!("early: {back:?} after {sign:?}")));
        }
    }
    found
}
