//! When what waits is likely to be begun: from who builds what since when, and how long that usually takes. Pure, and
//! does not depend on the time of day, so that it changes only when the farm does.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::model::{BuilderRow, Model, TicketRow};
use crate::names::Id;

/// How long something takes that was never built, seconds.
const UNKNOWN: i64 = 600;
/// For how many waiting tickets it is reckoned.
const MOST: usize = 1000;

/// A place at a builder, and when it is free.
struct Slot<'a> {
    builder: &'a BuilderRow,
    free: Timestamp,
}

/// Returns when each of the first waiting tickets is likely to be begun: when it was asked for, if somebody could begin
/// it at once.
pub(super) fn starts(model: &Model) -> BTreeMap<Id, Timestamp> {
    let mut slots: Vec<Slot<'_>> =
        model.builders.iter().filter(|builder| builder.takes()).flat_map(|b| slots(model, b)).collect();
    let mut starts = BTreeMap::new();
    if model.paused {
        return starts;
    }
    for ticket in model.tickets(&model.waiting).take(MOST).filter(|ticket| ticket.waits_for.is_none()) {
        let fits = slots.iter_mut().filter(|slot| builds(slot.builder, ticket));
        let Some(slot) = fits.min_by_key(|slot| slot.free) else { continue };
        let start = slot.free.max(ticket.rests_until.unwrap_or(ticket.asked));
        slot.free = end(start, model.usual(ticket));
        starts.insert(ticket.id, start);
    }
    starts
}

fn slots<'a>(model: &'a Model, builder: &'a BuilderRow) -> Vec<Slot<'a>> {
    let busy = model.tickets(&builder.building);
    let mut slots: Vec<Slot<'a>> =
        busy.map(|ticket| Slot { builder, free: end(ticket.since, model.usual(ticket)) }).collect();
    let idle = builder.slots.min(64).saturating_sub(slots.len());
    slots.extend((0..idle).map(|_| Slot { builder, free: Timestamp::MIN }));
    slots
}

fn builds(builder: &BuilderRow, ticket: &TicketRow) -> bool {
    ticket.arch == "any" || builder.archs.contains(&ticket.arch)
}

fn end(start: Timestamp, usual: Option<i64>) -> Timestamp {
    start.checked_add(SignedDuration::from_secs(usual.unwrap_or(UNKNOWN))).unwrap_or(start)
}

impl BuilderRow {
    /// Tells whether it is given work now.
    fn takes(&self) -> bool {
        !self.away && !self.paused && self.aside.is_none()
    }
}
