//! `[mail]` and `[hooks]`: who hears of what, and how.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::Span;

/// How mail leaves the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Into files of the spool.
    File,
    /// Through a sendmail program.
    Sendmail,
    /// To a mail server.
    Smtp,
}

/// Whether what goes to a mail server is encrypted, and its certificate looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Never.
    None,
    /// After STARTTLS, which the server must know.
    Starttls,
    /// From the first byte on.
    Required,
}

/// `[mail]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailSection {
    /// How it goes out.
    pub transport: Transport,
    /// The sendmail program.
    pub sendmail: PathBuf,
    /// `HOST:PORT` of the mail server.
    pub smtp: String,
    /// Whether it is spoken to in secret.
    pub tls: Tls,
    /// A certificate to trust besides those of the web, PEM.
    pub ca: Option<PathBuf>,
    /// How long a silent server or program is waited for.
    pub timeout: Span,
    /// The sender.
    pub from: String,
    /// Who is told what no maintainer can be told.
    pub admin: String,
    /// The address of who asked for a build that failed, `{user}` filled in; without it he is not told.
    pub pusher: Option<String>,
    /// Who gets the daily list of all that is unbuilt.
    pub list: Option<String>,
    /// Whether each maintainer gets a daily list of what of his is unbuilt.
    pub daily: bool,
    /// How many mails one address gets in an hour; what is more goes into one.
    pub hourly: usize,
    /// Addresses that get no mail.
    pub optout: Vec<String>,
    /// Addresses, or maintainers as recipes write them, and what is used instead.
    pub address: BTreeMap<String, String>,
}

impl Default for MailSection {
    fn default() -> Self {
        Self {
            transport: Transport::File,
            sendmail: "/usr/sbin/sendmail".into(),
            smtp: "localhost:25".to_owned(),
            tls: Tls::None,
            ca: None,
            timeout: Span::seconds(30),
            from: "syncpkg <noreply@example.org>".to_owned(),
            admin: "admin@example.org".to_owned(),
            pusher: None,
            list: None,
            daily: true,
            hourly: 5,
            optout: Vec::new(),
            address: BTreeMap::new(),
        }
    }
}

/// `[hooks]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HooksSection {
    /// Where the programs lie, in a directory for each event.
    pub directory: PathBuf,
    /// How long one may take.
    pub limit: Span,
}

impl Default for HooksSection {
    fn default() -> Self {
        Self { directory: "/etc/syncpkg/hooks.d".into(), limit: Span::seconds(30) }
    }
}
