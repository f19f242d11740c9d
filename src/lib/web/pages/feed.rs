//! Feeds: what has ended lately, as Atom. Every entry is a ticket; its ID never changes, so nothing is shown twice.

use std::fmt::Write as _;

use tinytemplate::escape;

use super::super::model::{Model, Row};
use super::super::writer::Writer;
use super::Site;
use crate::base::Result;

/// How many results the feed of everything has.
const FED: usize = 50;

/// One ticket of a feed.
pub(super) struct Entry<'a> {
    row: &'a Row,
}

impl<'a> Entry<'a> {
    /// Returns the entry about a ticket.
    pub fn of(row: &'a Row) -> Self {
        Self { row }
    }
}

/// Writes the feeds of everything and of failures.
pub(in super::super) fn feeds(
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    model: &Model,
    failures: &[Row],
) -> Result<()> {
    let all: Vec<Entry<'_>> = model.recent.iter().take(FED).map(Entry::of).collect();
    writer.list("feed/all.atom", atom(site, "feed/all.atom", "All results", &all).as_bytes())?;
    let failed: Vec<Entry<'_>> = failures.iter().map(Entry::of).collect();
    writer.list("feed/failures.atom", atom(site, "feed/failures.atom", "Failures", &failed).as_bytes())
}

/// Returns the feed at `address`, a path from the site's root.
pub(super) fn atom(site: &Site<'_>, address: &str, title: &str, entries: &[Entry<'_>]) -> String {
    let (url, host) = (&site.config.url, site.config.host());
    let updated = entries.iter().map(|entry| entry.row.since).max().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n",
    );
    let farm = site.title();
    element(&mut text, "title", &format!("{title} · {farm}"));
    element(&mut text, "id", &format!("tag:{host},2007:{address}"));
    element(&mut text, "updated", &moment(updated));
    link(&mut text, "self", &format!("{url}{address}"));
    link(&mut text, "alternate", url);
    text.push_str("<author>");
    element(&mut text, "name", &farm);
    text.push_str("</author>\n");
    for Entry { row } in entries {
        text.push_str("<entry>\n");
        element(&mut text, "title", &format!("{} {}", row.title(), row.state));
        element(
            &mut text,
            "id",
            &format!("tag:{host},{}:ticket/{}", row.id.time().strftime("%Y-%m-%d"), row.id),
        );
        element(&mut text, "updated", &moment(row.since));
        link(&mut text, "alternate", &format!("{url}ticket/{}/", row.id));
        text.push_str(&format!("<category term=\"{}\"/>\n", row.state));
        element(&mut text, "summary", &summary(row));
        text.push_str("</entry>\n");
    }
    text.push_str("</feed>\n");
    text
}

fn summary(row: &Row) -> String {
    let by = row.builder.as_ref().map(|builder| format!(" by {builder}")).unwrap_or_default();
    let why = if row.why.is_empty() { String::new() } else { format!(": {}", row.why) };
    format!("{} for {} of tree {} {}{by}{why}", row.name, row.arch, row.tree, row.state)
}

fn moment(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn element(text: &mut String, name: &str, content: &str) {
    let _ = write!(text, "<{name}>");
    escape(content, text);
    let _ = writeln!(text, "</{name}>");
}

fn link(text: &mut String, rel: &str, href: &str) {
    let _ = write!(text, "<link rel=\"{rel}\" href=\"");
    escape(href, text);
    text.push_str("\"/>\n");
}
