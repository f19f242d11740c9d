//! The same data for scripts: JSON, and numbers for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::super::model::{BuilderRow, Counts, Model, Row, Summary};
use super::super::need::Need;
use super::super::writer::Writer;
use crate::base::Result;
use crate::names::State;

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

/// The values of one kind, under the kind's name.
#[derive(Serialize)]
struct Listed<'a, T> {
    schema: u32,
    #[serde(flatten)]
    lists: BTreeMap<&'a str, T>,
}

fn listed<'a, T, const N: usize>(lists: [(&'a str, T); N]) -> Listed<'a, T> {
    Listed { schema: 1, lists: lists.into_iter().collect() }
}

/// Writes the JSON files of the site and the numbers for Prometheus.
pub(in super::super) fn api(writer: &mut Writer<'_>, model: &Model) -> Result<()> {
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
    let rows = |ids| model.tickets(ids).map(Row::from).collect::<Vec<Row>>();
    let queue = listed([("building", rows(&model.building)), ("waiting", rows(&model.waiting))]);
    let failing: Vec<&Need> = model.needs.iter().filter(|need| need.kind == "failed").collect();
    let builders: &[BuilderRow] = &model.builders;
    let recent: &[Row] = &model.recent;
    let days: &BTreeMap<String, Summary> = &model.days;
    writer.list("status.json", &super::json(&status)?)?;
    writer.list("api/v1/status.json", &super::json(&status)?)?;
    writer.list("api/v1/queue.json", &super::json(&queue)?)?;
    writer.list("api/v1/builders.json", &super::json(&listed([("builders", builders)]))?)?;
    writer.list("api/v1/recent.json", &super::json(&listed([("recent", recent)]))?)?;
    writer.list("api/v1/failing.json", &super::json(&listed([("failing", &failing)]))?)?;
    writer.list("api/v1/unbuilt.json", &super::json(&listed([("unbuilt", &model.unbuilt)]))?)?;
    let lately: BTreeMap<&String, &Summary> = days.iter().rev().take(super::stats::YEAR).collect();
    writer.list("api/v1/days.json", &super::json(&listed([("days", &lately)]))?)?;
    writer.list("metrics.prom", metrics(model).as_bytes())
}

/// Returns the numbers as Prometheus reads them, without times: the file's own says when.
fn metrics(model: &Model) -> String {
    let mut text = String::new();
    let mut numbers = |name: &str, help: &str, values: &[(String, String)]| {
        let _ = writeln!(text, "# HELP syncpkg_{name} {help}\n# TYPE syncpkg_{name} gauge");
        for (label, value) in values {
            let _ = writeln!(text, "syncpkg_{name}{label} {value}");
        }
    };
    let alone = |value: String| vec![(String::new(), value)];
    let states: Vec<(String, String)> = states(&model.counts)
        .iter()
        .map(|(state, n)| (format!("{{state=\"{state}\"}}"), n.to_string()))
        .collect();
    numbers("tickets", "Tickets by state.", &states);
    let mut waiting: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
    for ticket in model.tickets(&model.waiting) {
        let (count, oldest) = waiting.entry(&ticket.arch).or_insert((0, i64::MAX));
        (*count, *oldest) = (*count + 1, (*oldest).min(ticket.asked.as_second()));
    }
    let of_arch = |value: fn(&(usize, i64)) -> i64| -> Vec<(String, String)> {
        waiting.iter().map(|(arch, it)| (format!("{{arch=\"{arch}\"}}"), value(it).to_string())).collect()
    };
    numbers(
        "waiting",
        "Waiting tickets by architecture.",
        &of_arch(|it| i64::try_from(it.0).unwrap_or(i64::MAX)),
    );
    numbers(
        "waiting_oldest_timestamp_seconds",
        "When the oldest waiting ticket was asked for, Unix time.",
        &of_arch(|it| it.1),
    );
    let failing = model.needs.iter().filter(|need| need.kind == "failed").count();
    numbers("failing", "Packages that cannot be built.", &alone(failing.to_string()));
    if let Some(unbuilt) = &model.unbuilt {
        numbers("unbuilt", "What is wanted and missing for too long.", &alone(unbuilt.len().to_string()));
    }
    let of_builder = |value: fn(&BuilderRow) -> (String, String)| -> Vec<(String, String)> {
        model.builders.iter().map(value).collect()
    };
    let state =
        |it: &BuilderRow| (format!("{{builder=\"{}\",state=\"{}\"}}", it.name, it.state()), "1".to_owned());
    numbers("builder", "The state of each builder.", &of_builder(state));
    let seen = |it: &BuilderRow| (format!("{{builder=\"{}\"}}", it.name), it.seen.as_second().to_string());
    numbers(
        "builder_seen_timestamp_seconds",
        "When a builder was last heard of, Unix time.",
        &of_builder(seen),
    );
    numbers("paused", "Whether a person has paused all claims.", &alone(u8::from(model.paused).to_string()));
    if let Some(free) = model.free {
        numbers("free_bytes", "Free space of the spool's file system.", &alone(free.to_string()));
    }
    numbers(
        "made_timestamp_seconds",
        "When this was made, Unix time.",
        &alone(model.made.as_second().to_string()),
    );
    text
}

/// Returns how many tickets there are of each state, and what else adds up to all.
fn states(counts: &Counts) -> Vec<(&'static str, usize)> {
    let of = |state: State| match state {
        State::Waiting => counts.waiting,
        State::Building => counts.building,
        State::Built => counts.built,
        State::Failed => counts.failed,
        State::Trouble => counts.trouble,
        State::Aborted => counts.aborted,
        State::Superseded => counts.superseded,
    };
    let states = State::ALL.iter().map(|state| (state.as_str(), of(*state)));
    states.chain([("bad", counts.bad), ("expired", counts.expired)]).collect()
}
