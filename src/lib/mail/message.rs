//! What a mail says: plain text, made of a ticket and the report that ended it.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::Message;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox, MessageBuilder};

use super::{FirstError, News, place};
use crate::base::clock::{age, shown};
use crate::base::output::inert;
use crate::base::{Clock, Error, Result};
use crate::config::Config;
use crate::names::{Name, Revision};
use crate::spool::{Report, Ticket};

/// The longest line of a mail that comes from outside, characters.
const LONGEST_LINE: usize = 400;
/// The longest subject, characters.
const LONGEST_SUBJECT: usize = 160;
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
    /// What came before.
    pub past: Past,
    /// The packages that wait for this one.
    pub waiting: Vec<Name>,
    /// What went wrong first, if the log says it.
    pub first_error: Option<FirstError>,
    /// Who gets it.
    pub to: Mailbox,
    /// Why they get it; a sentence.
    pub because: String,
}

/// What came before an end, of the same package and architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// The failure it began with, since the package was built last: the letter's name, and when.
    pub first: Option<(String, Timestamp)>,
    /// How often it has failed since.
    pub failures: usize,
    /// What was built last: version and release, revision, when.
    pub good: Option<(String, Revision, Timestamp)>,
    /// What was committed to the recipe since, a line each, latest first.
    pub commits: Vec<String>,
}

/// Writes the mail; `name` is the letter's.
///
/// # Errors
/// `mail.from` that is no address.
pub fn compose(config: &Config, name: &str, letter: &Letter<'_>, clock: &Clock) -> Result<Message> {
    let (host, ticket) = (config.host(), letter.ticket);
    let thread = format!("<{}.{}.{}@{host}>", ticket.tree, word(ticket.name.as_str()), ticket.arch);
    let first = letter.past.first.as_ref().filter(|(first, _)| first != name);
    let first = first.map(|(first, _)| format!("<{first}@{host}>"));
    let references = first.iter().fold(thread.clone(), |all, first| format!("{all} {first}"));
    let builder = begin(config, name, &letter.to, &subject(letter), clock)?
        .in_reply_to(first.unwrap_or(thread))
        .references(references)
        .raw_header(header("List-Id", &format!("<{}.syncpkg.{host}>", word(ticket.tree.as_str()))))
        .raw_header(header("X-Syncpkg-Package", &format!("{}/{}", ticket.tree, ticket.item())))
        .raw_header(header("X-Syncpkg-Ticket", ticket.id.as_str()))
        .raw_header(header("X-Syncpkg-Event", letter.news.as_str()));
    finish(builder, text(config, letter))
}

/// Writes a mail of lines that concern the whole farm or several packages; `list` is what its List-Id begins with.
///
/// # Errors
/// `mail.from` that is no address.
pub(super) fn plain_mail(
    config: &Config,
    (name, list): (&str, &str),
    to: &Mailbox,
    subject: &str,
    text: String,
    clock: &Clock,
) -> Result<Message> {
    let builder = begin(config, name, to, subject, clock)?
        .raw_header(header("List-Id", &format!("<{list}.syncpkg.{}>", config.host())))
        .raw_header(header("X-Syncpkg-Event", list));
    finish(builder, text)
}

/// Begins a mail of the farm's own.
fn begin(config: &Config, name: &str, to: &Mailbox, subject: &str, clock: &Clock) -> Result<MessageBuilder> {
    Ok(Message::builder()
        .from(sender(config)?)
        .to(to.clone())
        .subject(format!("[syncpkg] {}", cut(subject, LONGEST_SUBJECT)))
        .date(SystemTime::from(clock.now()))
        .message_id(Some(format!("<{name}@{}>", config.host())))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN))
}

fn finish(builder: MessageBuilder, text: String) -> Result<Message> {
    let message = builder.body(encoded(text)?);
    message.map_err(|source| Error::wrong(format!("cannot write a mail: {source}")))
}

/// Returns the configured sender.
///
/// # Errors
/// `mail.from` that is no address.
pub(super) fn sender(config: &Config) -> Result<Mailbox> {
    config.mail.from.parse().map_err(|source| {
        Error::wrong(format!("cannot use mail.from \"{}\": {source}", inert(&config.mail.from)))
    })
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
    headline(letter.news, letter.ticket, letter.report)
}

/// Says in one line what there is to tell.
pub(super) fn headline(news: News, ticket: &Ticket, report: &Report) -> String {
    let item = ticket.item();
    let what = format!("{} {}-{} {}", item.name, item.version, item.release, item.arch);
    match (news, report.stage.as_deref()) {
        (News::Failed, Some(stage)) => format!("{what} failed in {}", cut(stage, 40)),
        (News::Failed, None) => format!("{what} failed"),
        (News::Trouble, _) => format!("{what}: the farm could not build it"),
        (News::Fixed, _) => format!("{what} is built again"),
    }
}

fn text(config: &Config, letter: &Letter<'_>) -> String {
    let mut text = format!("{}\n\n{}\n", opening(letter), facts(letter));
    text.push_str(&past(config, letter));
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

/// Since when it fails, what was built last, what changed since, and who waits for it.
fn past(config: &Config, letter: &Letter<'_>) -> String {
    let (past, ticket) = (&letter.past, letter.ticket);
    let mut text = String::new();
    if let (News::Failed, Some((_, since))) = (letter.news, &past.first)
        && past.failures > 1
    {
        text.push_str(&format!("It fails since {}, {} times by now.\n", shown(*since), past.failures));
    }
    match (letter.news, &past.good) {
        (News::Failed | News::Trouble, Some((version, revision, at))) => {
            text.push_str(&format!("{version} was the last that was built, on {}.\n", shown(*at)));
            let names = (ticket.tree.as_str(), ticket.path.as_str());
            if let Some(line) = config.between_line(names, revision.as_str(), letter.report.revision.as_str())
            {
                let commits = past.commits.iter().map(|commit| format!("  {}\n", cut(commit, LONGEST_LINE)));
                let commits: String = commits.collect();
                let end = if commits.is_empty() { "" } else { "\n" };
                text.push_str(&format!("What was changed since:\n\n{commits}{end}  {line}\n"));
            }
        }
        (News::Failed | News::Trouble, None) => text.push_str("It was never built before.\n"),
        (News::Fixed, _) => {}
    }
    if !letter.waiting.is_empty() && letter.news != News::Fixed {
        let names: Vec<&str> = letter.waiting.iter().map(Name::as_str).collect();
        text.push_str(&format!("\n{} for it:\n\n{}", wait(names.len()), wrapped(&names)));
    }
    if text.is_empty() { text } else { text + "\n" }
}

fn wait(packages: usize) -> String {
    if packages == 1 { "1 package waits".to_owned() } else { format!("{packages} packages wait") }
}

/// Returns the words in indented lines of some 76 characters.
pub(super) fn wrapped(words: &[&str]) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for word in words {
        if !line.is_empty() && line.len() + word.len() > 74 {
            text.push_str(&format!("  {line}\n"));
            line.clear();
        }
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(word);
    }
    if line.is_empty() { text } else { text + &format!("  {line}\n") }
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
