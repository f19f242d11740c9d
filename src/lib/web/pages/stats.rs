//! Statistics: a week, a month, a year, in charts with a table and a CSV file beside each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::model::{Counts, Model, Summary, day};
use super::super::writer::Writer;
use super::rows::{Named, lasting};
use super::{Place, Section, Site};
use crate::base::Result;
use crate::names::State;

/// How many days the longest statistics have.
pub(super) const YEAR: usize = 365;

const WINDOWS: [(&str, &str, usize); 3] =
    [("week", "The last 7 days", 7), ("month", "The last 30 days", 30), ("year", "The last 365 days", YEAR)];

/// How many packages are listed that failed most often.
const BREAKERS: usize = 20;

/// What a chart shows; drawn by the formatter `chart`.
#[derive(Serialize)]
pub(in super::super) struct Chart {
    title: String,
    /// `bars`, one upon the other, or `lines`.
    kind: &'static str,
    /// What the values are: `count` or `seconds`.
    unit: &'static str,
    labels: Vec<String>,
    series: Vec<Series>,
}

#[derive(Serialize)]
struct Series {
    name: &'static str,
    class: &'static str,
    values: Vec<Option<i64>>,
}

/// A chart and the same numbers as a table.
#[derive(Serialize)]
struct Figure {
    title: String,
    chart: Chart,
    names: Vec<&'static str>,
    rows: Vec<Cells>,
}

#[derive(Serialize)]
struct Cells {
    label: String,
    cells: Vec<String>,
}

#[derive(Serialize)]
struct Share {
    builder: String,
    built: usize,
    other: usize,
    percent: usize,
}

#[derive(Serialize)]
struct Breaker {
    package: Named,
    failures: usize,
}

#[derive(Serialize)]
struct Window {
    root: &'static str,
    title: &'static str,
    name: &'static str,
    counts: Counts,
    figures: Vec<Figure>,
    shares: Vec<Share>,
    breakers: Vec<Breaker>,
}

#[derive(Serialize)]
struct Overview {
    windows: Vec<(&'static str, &'static str, Counts)>,
    figures: Vec<Figure>,
}

/// A day and what is known of it.
struct Day<'a> {
    name: String,
    summary: Option<&'a Summary>,
    queue: i64,
}

/// Writes the statistics; `balance` is how many were asked for and left the queue each day.
pub(in super::super) fn stats(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    model: &Model,
    balance: &BTreeMap<String, (i64, i64)>,
) -> Result<()> {
    let all = days(model, balance, YEAR);
    let mut windows = Vec::new();
    for (name, title, count) in WINDOWS {
        let days = begun(all.get(all.len().saturating_sub(count)..).unwrap_or_default());
        let view = window(name, title, days);
        windows.push((name, title, view.counts));
        writer.list(&format!("stats/{name}/days.csv"), csv_of_days(days).as_bytes())?;
        writer.list(&format!("stats/{name}/builders.csv"), csv_of_builders(&view.shares).as_bytes())?;
        writer.list(&format!("stats/{name}/breakers.csv"), csv_of_breakers(days).as_bytes())?;
        let place = Place::new(Section::Statistics, title, format!("stats/{name}/index.html"));
        site.list(writer, place, "window.html", &view)?;
    }
    let month = begun(all.get(all.len().saturating_sub(30)..).unwrap_or_default());
    let view = Overview { windows, figures: figures(month).into_iter().take(1).collect() };
    site.list(writer, Place::new(Section::Statistics, "Statistics", "stats/index.html"), "stats.html", &view)
}

/// Leaves out the days before anything happened, but for a week.
fn begun<'a, 'b>(days: &'a [Day<'b>]) -> &'a [Day<'b>] {
    let first = days.iter().position(|day| day.summary.is_some() || day.queue > 0).unwrap_or(days.len());
    days.get(first.min(days.len().saturating_sub(7))..).unwrap_or_default()
}

/// Returns the last `count` days, oldest first.
fn days<'a>(model: &'a Model, balance: &BTreeMap<String, (i64, i64)>, count: usize) -> Vec<Day<'a>> {
    let mut change: BTreeMap<String, i64> = BTreeMap::new();
    let mut count_in = |time: Timestamp, by: i64| *change.entry(day(time)).or_default() += by;
    for ticket in model.open.values() {
        count_in(ticket.asked, 1);
        if ticket.state == State::Building {
            count_in(ticket.started().unwrap_or(ticket.since), -1);
        }
    }
    for (day, (asked, left)) in balance {
        *change.entry(day.clone()).or_default() += asked - left;
    }
    let back = |days: usize| SignedDuration::from_hours(24 * i64::try_from(days).unwrap_or(0));
    let names = (0..count).rev().map(|ago| day(model.made.checked_sub(back(ago)).unwrap_or(model.made)));
    let (mut queue, mut changes) = (0, change.into_iter().peekable());
    let day = |name: String| {
        while let Some((_, by)) = changes.next_if(|(day, _)| *day <= name) {
            queue += by;
        }
        Day { summary: model.days.get(&name), name, queue: queue.max(0) }
    };
    names.map(day).collect()
}

fn window(name: &'static str, title: &'static str, days: &[Day<'_>]) -> Window {
    let (mut counts, mut shares, mut breakers) = (Counts::default(), BTreeMap::new(), BTreeMap::new());
    for summary in days.iter().filter_map(|day| day.summary) {
        counts.add_all(&summary.counts);
        for (builder, (built, other)) in &summary.builders {
            let share: &mut (usize, usize) = shares.entry(builder.clone()).or_default();
            *share = (share.0 + built, share.1 + other);
        }
        for (package, failures) in &summary.breakers {
            *breakers.entry(package.as_str()).or_insert(0) += failures;
        }
    }
    let all: usize = shares.values().map(|(built, other)| built + other).sum();
    let share = |(builder, (built, other)): (String, (usize, usize))| {
        let percent = (100 * (built + other) + all / 2) / all.max(1);
        Share { builder, built, other, percent }
    };
    let mut shares: Vec<Share> = shares.into_iter().map(share).collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.built + share.other));
    let mut breakers: Vec<(&str, usize)> = breakers.into_iter().collect();
    breakers.sort_by_key(|(name, failures)| (std::cmp::Reverse(*failures), *name));
    let breaker = |(name, failures): (&str, usize)| Breaker { package: Named::of(name), failures };
    let breakers = breakers.into_iter().take(BREAKERS).map(breaker).collect();
    Window { root: "../../", title, name, counts, figures: figures(days), shares, breakers }
}

fn figures(days: &[Day<'_>]) -> Vec<Figure> {
    let of = |state: fn(&Counts) -> usize| -> Vec<Option<i64>> {
        let count = |day: &Day<'_>| day.summary.map_or(0, |summary| state(&summary.counts));
        days.iter().map(|day| Some(i64::try_from(count(day)).unwrap_or(i64::MAX))).collect()
    };
    let spread = |which: fn(&Summary) -> Option<i64>| -> Vec<Option<i64>> {
        days.iter().map(|day| day.summary.and_then(which)).collect()
    };
    let series = |name, class, values| Series { name, class, values };
    let labels: Vec<String> = days.iter().map(|day| day.name.clone()).collect();
    let figure = |title: &str, kind, unit, series: Vec<Series>| figure(title, kind, unit, &labels, series);
    vec![
        figure(
            "Results a day, by outcome",
            "bars",
            "count",
            vec![
                series("built", "built", of(|counts| counts.built)),
                series("failed", "failed", of(|counts| counts.failed)),
                series("trouble", "trouble", of(|counts| counts.trouble)),
                series("aborted", "aborted", of(|counts| counts.aborted)),
                series("superseded", "superseded", of(|counts| counts.superseded)),
            ],
        ),
        figure(
            "Waiting at the end of the day",
            "lines",
            "count",
            vec![series("waiting", "waiting", days.iter().map(|day| Some(day.queue)).collect())],
        ),
        figure(
            "How long tickets waited for a builder",
            "lines",
            "seconds",
            vec![
                series("half of them, at the most", "half", spread(|summary| Some(summary.waited?.0))),
                series("nine in ten, at the most", "most", spread(|summary| Some(summary.waited?.1))),
            ],
        ),
        figure(
            "How long builds took",
            "lines",
            "seconds",
            vec![
                series("half of them, at the most", "half", spread(|summary| Some(summary.took?.0))),
                series("nine in ten, at the most", "most", spread(|summary| Some(summary.took?.1))),
            ],
        ),
    ]
}

fn figure(
    title: &str,
    kind: &'static str,
    unit: &'static str,
    labels: &[String],
    series: Vec<Series>,
) -> Figure {
    let shown = |value: &Option<i64>| match value {
        Some(seconds) if unit == "seconds" => lasting(*seconds),
        Some(count) => count.to_string(),
        None => String::new(),
    };
    let row = |(at, label): (usize, &String)| Cells {
        label: label.clone(),
        cells: series.iter().filter_map(|series| series.values.get(at)).map(shown).collect(),
    };
    Figure {
        title: title.to_owned(),
        names: series.iter().map(|series| series.name).collect(),
        rows: labels.iter().enumerate().rev().map(row).collect(),
        chart: Chart { title: title.to_owned(), kind, unit, labels: labels.to_vec(), series },
    }
}

/// Returns a chart of how long a package's builds took, oldest first; none with fewer than two.
pub(super) fn durations(took: Vec<(Timestamp, i64)>) -> Option<Chart> {
    (took.len() > 1).then(|| Chart {
        title: "How long it took".to_owned(),
        kind: "lines",
        unit: "seconds",
        labels: took.iter().map(|(when, _)| day(*when)).collect(),
        series: vec![Series {
            name: "duration",
            class: "half",
            values: took.into_iter().map(|(_, took)| Some(took)).collect(),
        }],
    })
}

/// Returns a chart of what a builder did on each of the last 30 days.
pub(super) fn results_of(model: &Model, builder: &str) -> Chart {
    let days = days(model, &BTreeMap::new(), 30);
    let of = |which: fn(&(usize, usize)) -> usize| {
        let done =
            |day: &Day<'_>| day.summary.and_then(|summary| summary.builders.get(builder)).map_or(0, which);
        days.iter().map(|day| Some(i64::try_from(done(day)).unwrap_or(i64::MAX))).collect()
    };
    Chart {
        title: format!("What {builder} did, by day"),
        kind: "bars",
        unit: "count",
        labels: days.iter().map(|day| day.name.clone()).collect(),
        series: vec![
            Series { name: "built", class: "built", values: of(|done| done.0) },
            Series { name: "other results", class: "failed", values: of(|done| done.1) },
        ],
    }
}

fn csv_of_days(days: &[Day<'_>]) -> String {
    let mut text = String::from(
        "day,built,failed,trouble,aborted,superseded,waiting,waited_half,waited_most,took_half,took_most\n",
    );
    let none = Summary::default();
    for day in days {
        let Summary { counts, waited, took, .. } = day.summary.unwrap_or(&none);
        let Counts { built, failed, trouble, aborted, superseded, .. } = counts;
        let pair =
            |pair: &Option<(i64, i64)>| pair.map_or(",".to_owned(), |(half, most)| format!("{half},{most}"));
        let (name, queue, waited, took) = (&day.name, day.queue, pair(waited), pair(took));
        let _ = writeln!(
            text,
            "{name},{built},{failed},{trouble},{aborted},{superseded},{queue},{waited},{took}"
        );
    }
    text
}

fn csv_of_builders(shares: &[Share]) -> String {
    let mut text = String::from("builder,built,other,percent\n");
    for Share { builder, built, other, percent } in shares {
        let _ = writeln!(text, "{builder},{built},{other},{percent}");
    }
    text
}

fn csv_of_breakers(days: &[Day<'_>]) -> String {
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    for (package, failures) in days.iter().filter_map(|day| day.summary).flat_map(|summary| &summary.breakers)
    {
        *all.entry(package).or_default() += failures;
    }
    let mut text = String::from("package,failures\n");
    for (package, failures) in all {
        let _ = writeln!(text, "{package},{failures}");
    }
    text
}
