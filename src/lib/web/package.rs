//! Where each package stands: from its tickets, without a disk.

use std::collections::BTreeMap;

use super::model::{Model, PackageRow, StandRow, TicketRow};
use crate::names::State;

/// Returns the packages of the model's tickets, by name.
pub(super) fn packages(model: &Model) -> BTreeMap<String, PackageRow> {
    let mut grouped: BTreeMap<&str, Vec<&TicketRow>> = BTreeMap::new();
    for ticket in model.tickets.values() {
        grouped.entry(&ticket.name).or_default().push(ticket);
    }
    grouped.into_iter().map(|(name, tickets)| (name.to_owned(), package(name, &tickets))).collect()
}

/// `tickets` are oldest first.
fn package(name: &str, tickets: &[&TicketRow]) -> PackageRow {
    let mut grouped: BTreeMap<(&str, &str), Vec<&TicketRow>> = BTreeMap::new();
    for ticket in tickets {
        grouped.entry((&ticket.tree, &ticket.arch)).or_default().push(ticket);
    }
    PackageRow {
        name: name.to_owned(),
        stands: grouped.values().filter_map(|tickets| stand(tickets)).collect(),
        tickets: tickets.iter().rev().map(|ticket| ticket.id).collect(),
    }
}

fn stand(tickets: &[&TicketRow]) -> Option<StandRow> {
    let newest = tickets.last()?;
    let judged: Vec<&&TicketRow> = tickets.iter().filter(|ticket| judges(ticket.state)).collect();
    let failing = judged.iter().rev().take_while(|ticket| ticket.state == State::Failed).last();
    let last_good = judged.iter().rev().find(|ticket| ticket.state == State::Built);
    Some(StandRow {
        tree: newest.tree.clone(),
        arch: newest.arch.clone(),
        newest: newest.id,
        judged: judged.last().map(|ticket| ticket.id),
        failing_since: failing.map(|ticket| ticket.since),
        last_good: last_good.map(|ticket| ticket.id),
    })
}

/// Only these two say something about the package itself.
fn judges(state: State) -> bool {
    match state {
        State::Built | State::Failed => true,
        State::Waiting | State::Building | State::Trouble | State::Aborted | State::Superseded => false,
    }
}
