//! Mails about more than one thing: digests, the daily list of what is unbuilt, what is wrong with the farm.

use jiff::Timestamp;
use lettre::Message;
use lettre::message::Mailbox;

use super::alarm::{Alarm, Kind};
use super::message::{cut, headline, plain_mail, wrapped};
use super::{News, place};
use crate::base::clock::{age, shown};
use crate::base::{Clock, Result};
use crate::config::Config;
use crate::names::Builder;
use crate::spool::aside::Aside;
use crate::spool::listed::ending;
use crate::spool::{Report, Ticket};

/// Of so many a digest says more than their names.
const TOLD: usize = 100;

/// So many lines a list has at the most.
const LISTED: usize = 400;

/// The longest line from outside, characters.
const LONGEST: usize = 300;

/// One thing of a digest.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub news: News,
    pub ticket: &'a Ticket,
    pub report: &'a Report,
}

/// A package that is wanted and was not built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbuilt {
    /// What is missing.
    pub item: String,
    /// The tree that wants it.
    pub tree: String,
    /// Since when.
    pub since: Timestamp,
    /// Why it is missing.
    pub cause: String,
    /// Who takes care of it, as the recipe says.
    pub maintainer: Option<String>,
}

/// Writes what would have been more mails than one address gets in an hour.
pub(super) fn digest(
    config: &Config,
    name: &str,
    to: &Mailbox,
    (items, because): (&[Item<'_>], &str),
    clock: &Clock,
) -> Result<Message> {
    let of = |news: News| items.iter().filter(|item| item.news == news).count();
    let counts = [(News::Failed, "failed"), (News::Trouble, "in trouble"), (News::Fixed, "built again")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(news, _)| of(*news) > 0)
        .map(|(news, text)| format!("{} {text}", of(*news)))
        .collect();
    let mut text = "These would have been more mails than one address gets within an hour.\n\n".to_owned();
    for item in items.iter().take(TOLD) {
        text.push_str(&format!("* {}\n", headline(item.news, item.ticket, item.report)));
        let why = ending(item.report);
        if !why.is_empty() && item.news != News::Fixed {
            text.push_str(&format!("  {}\n", cut(&why, LONGEST)));
        }
        text.push_str(&format!("  {}\n", place::page(config, &item.ticket.id)));
    }
    let rest: Vec<String> = items.iter().skip(TOLD).map(|item| item.ticket.item().to_string()).collect();
    if !rest.is_empty() {
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        text.push_str(&format!("\nand {} more:\n\n{}", rest.len(), wrapped(&rest)));
    }
    let force = config.force_line("TREE", "NAME");
    text.push_str(&format!(
        "\nAll that fails:  {}\n\nTo have something built again:\n\n  {force}\n\n-- \n{because}\n",
        place::at(config, "failing")
    ));
    let subject = format!("{} packages: {}", items.len(), counts.join(", "));
    plain_mail(config, (name, "digest"), to, &subject, text, clock)
}

/// Writes the daily list of what is unbuilt.
pub(super) fn unbuilt(
    config: &Config,
    name: &str,
    to: &Mailbox,
    (rows, because): (&[&Unbuilt], &str),
    clock: &Clock,
) -> Result<Message> {
    let what =
        if rows.len() == 1 { "1 package is".to_owned() } else { format!("{} packages are", rows.len()) };
    let mut text = format!("{what} wanted and not in the package directory:\n\n");
    for row in rows.iter().take(LISTED) {
        let old = age(clock.now().duration_since(row.since));
        let line = format!("{}/{} is missing for {old}: {}", row.tree, row.item, row.cause);
        text.push_str(&format!("* {}\n", cut(&line, LONGEST)));
    }
    if rows.len() > LISTED {
        text.push_str(&format!("\nand {} more.\n", rows.len() - LISTED));
    }
    text.push_str(&format!("\nThe list:  {}\n\n-- \n{because}\n", place::at(config, "unbuilt")));
    plain_mail(config, (name, "unbuilt"), to, &format!("{what} unbuilt"), text, clock)
}

/// Writes what is wrong with the farm: things of one kind.
pub(super) fn alarms(
    config: &Config,
    name: &str,
    to: &Mailbox,
    (kind, alarms): (Kind, &[&Alarm]),
    clock: &Clock,
) -> Result<Message> {
    let (subject, what_now) = match kind {
        Kind::Disk => (
            "the master's disk is full".to_owned(),
            "Nothing is taken from builders until there is twice as much again; then it goes on by\nitself. syncpkg-expire lets go of what is old, and hold/ has what is not published yet.",
        ),
        Kind::Held => (
            format!("built, not published: {}", alarms.len()),
            "Each round of syncpkgd tries again, and what is said above is in hold/ as well. You are\ntold of each of them once.",
        ),
        Kind::Sum => {
            ("the numbers do not add up".to_owned(), "syncpkg-check says what is wrong with the spool.")
        }
        Kind::Unbuilt => (
            "the list of unbuilt packages cannot be made".to_owned(),
            "Nobody gets the list of the day until it can. syncpkg-unbuilt says the same.",
        ),
        Kind::Address => (
            format!("mail addresses that cannot be used: {}", alarms.len()),
            "What is for them comes to you instead. Give them another address with \"address\" in the\nsection [mail] of the configuration, or correct the recipes. You are told of each once.",
        ),
    };
    let mut text = String::new();
    for alarm in alarms.iter().take(LISTED) {
        text.push_str(&format!("* {}\n", cut(&alarm.text, LONGEST)));
    }
    if alarms.len() > LISTED {
        text.push_str(&format!("and {} more\n", alarms.len() - LISTED));
    }
    text.push_str(&format!(
        "\n{what_now}\n\nPage:  {}\n\n-- \nYou get this mail as the admin of the farm.\n",
        place::front(config)
    ));
    plain_mail(config, (name, kind.as_str()), to, &subject, text, clock)
}

/// Writes the mail that tells the admin of a builder that was set aside.
pub(super) fn about_builder(
    config: &Config,
    name: &str,
    to: &Mailbox,
    (builder, aside): (&Builder, &Aside),
    clock: &Clock,
) -> Result<Message> {
    let text = about_builder_text(config, builder, aside);
    plain_mail(config, (name, "builders"), to, &format!("builder {builder} is set aside"), text, clock)
}

fn about_builder_text(config: &Config, name: &Builder, aside: &Aside) -> String {
    let what_now = match aside.until {
        Some(_) => format!(
            "It is given work again then; if it has trouble still, it rests twice as long each\n\
             time, for up to an hour. When the cause is mended, bring it back at once:\n\n\
             \u{20} syncpkg-builder --resume {name}\n\n\
             You hear of it again only after it has built something."
        ),
        None => format!(
            "It is given nothing, and the mails about those failures wait, until you have looked\n\
             at it. If it was at fault, have all that built again, by others; then no mail is\n\
             sent about it:\n\n\
             \u{20} syncpkg-ls failed --builder {name} --since 1d --names | syncpkg-enqueue --force -\n\n\
             Then, or if it was not at fault, bring it back:\n\n\
             \u{20} syncpkg-builder --resume {name}"
        ),
    };
    let (state, why) = (aside.state(), cut(&aside.why, 400));
    format!(
        "The builder {name} is {state}:\n\n  {why}\n\n{what_now}\n\nPage:  {}\n\n-- \n\
         You get this mail as the admin of the farm.\n",
        place::builder(config, name)
    )
}

/// Returns the text of an alarm about free space.
pub fn disk_text(free: u64, least: u64) -> String {
    use crate::config::Bytes;
    format!("{} are free on the spool's disk, less than {}", Bytes(free), Bytes(least))
}

/// Returns the text of an alarm about packages that cannot be published.
pub fn held_text(item: &str, since: Timestamp, why: &str) -> String {
    format!("{item}, built {}: {why}", shown(since))
}
