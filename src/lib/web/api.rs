//! The same data for scripts.

use jiff::Timestamp;
use serde::Serialize;

use super::model::{BuilderRow, Counts, Model, TicketRow};
use super::need::Need;
use super::pages::json;
use crate::base::Result;
use crate::names::Id;

/// How many results `recent.json` has.
const RECENT: usize = 300;

#[derive(Serialize)]
struct Status<'a> {
    schema: u32,
    made: Timestamp,
    title: &'a str,
    paused: bool,
    free: Option<u64>,
    counts: Counts,
    unbuilt: Option<usize>,
    needs: &'a [Need],
}

#[derive(Serialize)]
struct Queue<'a> {
    schema: u32,
    building: Vec<&'a TicketRow>,
    waiting: Vec<&'a TicketRow>,
}

#[derive(Serialize)]
struct Builders<'a> {
    schema: u32,
    builders: &'a [BuilderRow],
}

#[derive(Serialize)]
struct Recent<'a> {
    schema: u32,
    recent: Vec<&'a TicketRow>,
}

/// Returns the JSON files of the site: path and bytes.
pub(super) fn files(model: &Model) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let tickets = |ids: &[Id]| ids.iter().filter_map(|id| model.tickets.get(id)).collect::<Vec<&TicketRow>>();
    let status = Status {
        schema: 1,
        made: model.made,
        title: &model.title,
        paused: model.paused,
        free: model.free,
        counts: model.counts,
        unbuilt: model.unbuilt.as_ref().map(Vec::len),
        needs: &model.needs,
    };
    let queue = Queue { schema: 1, building: tickets(&model.building), waiting: tickets(&model.waiting) };
    let mut recent = tickets(&model.ended);
    recent.truncate(RECENT);
    Ok(vec![
        ("status.json", json(&status)?),
        ("api/v1/queue.json", json(&queue)?),
        ("api/v1/builders.json", json(&Builders { schema: 1, builders: &model.builders })?),
        ("api/v1/recent.json", json(&Recent { schema: 1, recent })?),
    ])
}
