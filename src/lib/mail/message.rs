//! What a mail says: plain text, made of a ticket and the report that ended it.

use std::time::SystemTime;

use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox, MessageBuilder};
use lettre::{Address, Message};

use super::{FirstError, News, place};
use crate::base::clock::{age, shown};
use crate::base::output::inert;
use crate::base::{Clock, Error, Result};
use crate::config::Config;
use crate::names::Builder;
use crate::spool::aside::Aside;
use crate::spool::{Report, Ticket};

/// The longest line of a mail that comes from outside, characters.
const LONGEST_LINE: usize = 400;
/// The largest body, bytes: quoted-printable and headers included a mail stays below 64 KiB.
const LARGEST_BODY: usize = 18 << 10;

/// Everything a mail is made of.
#[derive(Debug)]
pub struct Letter<'a> {
    /// What there is to tell.
    pub news: News,
    /// The ticket.
    pub ticket: &'a Ticket,
    /// How it ended.
    pub report: &'a Report,
    /// What went wrong first, if the log says it.
    pub first_error: Option<FirstError>,
    /// Who gets it.
    pub to: Mailbox,
    /// Why they get it; a sentence.
    pub because: String,
}

/// Writes the mail.
///
/// # Errors
/// `mail.from` that is no address.
pub fn compose(config: &Config, letter: &Letter<'_>, clock: &Clock) -> Result<Message> {
    let (host, ticket) = (config.host(), letter.ticket);
    let id = format!("{}.{}.{}", ticket.id, letter.report.epoch, letter.news.as_str());
    let thread = format!("<{}.{}.{}@{host}>", ticket.tree, word(ticket.name.as_str()), ticket.arch);
    let builder = begin(config, &id, clock)?
        .to(letter.to.clone())
        .subject(subject(letter))
        .in_reply_to(thread.clone())
        .references(thread)
        .raw_header(header("List-Id", &format!("<{}.syncpkg.{host}>", word(ticket.tree.as_str()))))
        .raw_header(header("X-Syncpkg-Package", &format!("{}/{}", ticket.tree, ticket.item())))
        .raw_header(header("X-Syncpkg-Ticket", ticket.id.as_str()));
    let message = builder.body(encoded(text(config, letter))?);
    message.map_err(|source| Error::wrong(format!("cannot write the mail on {}: {source}", ticket.id)))
}

/// Writes the mail that tells the admin of a builder that was set aside.
///
/// # Errors
/// `mail.from` or `mail.admin` that is no address.
pub(super) fn about_builder(
    config: &Config,
    name: &Builder,
    aside: &Aside,
    clock: &Clock,
) -> Result<Message> {
    let when = aside.since.or(aside.until).unwrap_or(clock.now());
    let builder = begin(config, &format!("{name}.{}.aside", when.as_second()), clock)?
        .to(admin(config)?)
        .subject(format!("[syncpkg] builder {name} is set aside"))
        .raw_header(header("List-Id", &format!("<builders.syncpkg.{}>", config.host())))
        .raw_header(header("X-Syncpkg-Builder", name.as_str()));
    let message = builder.body(encoded(about_builder_text(config, name, aside))?);
    message.map_err(|source| Error::wrong(format!("cannot write the mail on {name}: {source}")))
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
    let (state, why) = (aside.state(), cut(&aside.why, LONGEST_LINE));
    format!(
        "The builder {name} is {state}:\n\n  {why}\n\n{what_now}\n\nPage:  {}\n\n-- \n\
         You get this mail as the admin of the farm.\n",
        place::builder(config, name)
    )
}

/// Begins a mail of the farm's own.
fn begin(config: &Config, id: &str, clock: &Clock) -> Result<MessageBuilder> {
    let from: Mailbox = config.mail.from.parse().map_err(|source| {
        Error::wrong(format!("cannot use mail.from \"{}\": {source}", inert(&config.mail.from)))
    })?;
    Ok(Message::builder()
        .from(from)
        .date(SystemTime::from(clock.now()))
        .message_id(Some(format!("<{id}@{}>", config.host())))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN))
}

/// Returns the configured admin.
///
/// # Errors
/// `mail.admin` that is no address.
pub(super) fn admin(config: &Config) -> Result<Mailbox> {
    config.mail.admin.parse().map_err(|source| {
        Error::wrong(format!("cannot use mail.admin \"{}\": {source}", inert(&config.mail.admin)))
    })
}

/// Tells whether two mailboxes have the same address.
pub(super) fn same(a: &Mailbox, b: &Mailbox) -> bool {
    let plain = |address: &Address| address.to_string().to_ascii_lowercase();
    plain(&a.email) == plain(&b.email)
}

/// Package and tree names may hold an `@`, which a Message-ID may not.
fn word(name: &str) -> String {
    name.replace('@', "=")
}

/// Values are words of the farm's grammar: ASCII, nothing to encode.
fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Plain as long as it can be, so that `sent/` reads well in `grep`.
fn encoded(text: String) -> Result<Body> {
    if text.is_ascii() && text.lines().all(|line| line.len() < 990) {
        let bytes = text.replace('\n', "\r\n").into_bytes();
        return Ok(Body::dangerous_pre_encoded(bytes, ContentTransferEncoding::SevenBit));
    }
    let refused = |_| Error::wrong("cannot encode the mail's text");
    Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable).map_err(refused)
}

fn subject(letter: &Letter<'_>) -> String {
    let item = letter.ticket.item();
    let what = format!("[syncpkg] {} {}-{} {}", item.name, item.version, item.release, item.arch);
    match (letter.news, letter.report.stage.as_deref()) {
        (News::Failed, Some(stage)) => format!("{what} failed in {}()", cut(stage, 40)),
        (News::Failed, None) => format!("{what} failed"),
        (News::Trouble, _) => format!("{what}: the farm could not build it"),
        (News::Fixed, _) => format!("{what} is built again"),
    }
}

fn text(config: &Config, letter: &Letter<'_>) -> String {
    let mut text = format!("{}\n\n{}\n", opening(letter), facts(letter));
    if let Some(error) = &letter.first_error {
        text.push_str(&excerpt(error));
    }
    if text.len() > LARGEST_BODY {
        let end = (0..=LARGEST_BODY).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n[cut here: the page has the rest]\n");
    }
    text.push_str(&closing(config, letter));
    text
}

fn opening(letter: &Letter<'_>) -> String {
    let ticket = letter.ticket;
    let what = format!("{} {}-{} for {}", ticket.name, ticket.version, ticket.release, ticket.arch);
    let of = format!("of the tree {}", ticket.tree);
    let place = match &letter.report.builder {
        Some(builder) => format!(" on the builder {builder}"),
        None => String::new(),
    };
    match letter.news {
        News::Failed => format!("{what} {of} failed{place}."),
        News::Trouble => format!(
            "The farm gave up on {what} {of}: {} claims ended in trouble,\nthe last one{place}. \
             The package itself was not judged.",
            letter.report.epoch
        ),
        News::Fixed => format!("{what} {of} was built{place}. It had failed before."),
    }
}

fn facts(letter: &Letter<'_>) -> String {
    let (ticket, report) = (letter.ticket, letter.report);
    let host = match (&report.builder, report.host.is_empty()) {
        (Some(builder), false) => format!("{builder}, host {}", report.host),
        (Some(builder), true) => builder.to_string(),
        (None, _) => report.host.clone(),
    };
    let took = report.duration().map(age).unwrap_or_default();
    let exit = report.exit.map(|status| status.to_string()).unwrap_or_default();
    let batch = ticket.batch.as_ref().map(|batch| format!(", batch {batch}")).unwrap_or_default();
    let rows = [
        ("reason", report.reason.clone()),
        ("stage", report.stage.clone().unwrap_or_default()),
        ("exit status", exit),
        ("builder", host),
        ("ended", shown(report.ended)),
        ("after", took),
        ("recipe", ticket.path.clone()),
        ("revision", report.revision.to_string()),
        ("asked by", format!("{}{batch}", ticket.by)),
        ("asked why", ticket.reason.clone()),
    ];
    let kept = rows.iter().filter(|(_, value)| !value.trim().is_empty());
    kept.map(|(key, value)| format!("  {key:<12} {}\n", cut(value, LONGEST_LINE))).collect()
}

fn excerpt(error: &FirstError) -> String {
    let first = error.line.saturating_sub(error.before.len());
    let lines = error.before.iter().chain([&error.text]).chain(&error.after);
    let mut text = format!("The first error, line {} of the log:\n\n", error.line);
    for (number, line) in (first..).zip(lines) {
        let mark = if number == error.line { ">" } else { " " };
        text.push_str(format!("{mark}{number:>7}  {}", cut(line, LONGEST_LINE)).trim_end());
        text.push('\n');
    }
    text.push('\n');
    text
}

fn closing(config: &Config, letter: &Letter<'_>) -> String {
    let (ticket, report) = (letter.ticket, letter.report);
    let mut text = format!("Page:  {}\n", place::page(config, &ticket.id));
    if report.log {
        text.push_str(&format!("Log:   {}\n", place::log(config, &ticket.id, report.epoch)));
    }
    match letter.news {
        News::Failed => text.push_str(&format!(
            "\nIt is tried again when a push changes its recipe, or when somebody forces it:\n\n  {}\n",
            config.force_line(ticket.tree.as_str(), ticket.name.as_str())
        )),
        News::Trouble => text.push_str(&format!(
            "\nWhen the cause is mended, ask again:\n\n  {}\n",
            config.force_line(ticket.tree.as_str(), ticket.name.as_str())
        )),
        News::Fixed => {}
    }
    if letter.news != News::Fixed
        && let Some(lines) =
            config.reproduce_lines(ticket.tree.as_str(), ticket.revision.as_str(), &ticket.path)
    {
        text.push_str(&format!("\nTo do by hand what the builder did:\n\n  {}\n", lines.join("\n  ")));
    }
    text.push_str(&format!("\n-- \n{}\n", letter.because));
    text
}

/// Returns the text as one harmless line of at most `limit` characters.
pub(super) fn cut(text: &str, limit: usize) -> String {
    let safe = inert(text);
    if safe.chars().count() <= limit {
        return safe;
    }
    safe.chars().take(limit).chain(['…']).collect()
}
