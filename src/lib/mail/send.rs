//! How a mail leaves: into the spool, through a sendmail program, to a server.

use std::error::Error as _;
use std::time::Duration;

use lettre::{Message, SendmailTransport, SmtpTransport, Transport as _};

use crate::base::error::plain;
use crate::base::output::inert;
use crate::base::{Error, Result};
use crate::config::{MailSection, Transport};

/// How long a silent server is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a mail was not taken.
#[derive(Debug)]
pub enum Failure {
    /// The server or program is not there: no other mail would go either.
    Unreachable(Error),
    /// Not now; another mail may do better.
    Later(Error),
    /// This recipient never.
    Refused(Error),
}

impl Failure {
    /// Returns the error to report.
    pub fn into_error(self) -> Error {
        match self {
            Failure::Unreachable(error) | Failure::Later(error) | Failure::Refused(error) => error,
        }
    }
}

/// The configured way out.
#[derive(Debug)]
pub enum Mailer {
    /// The copy in `sent/` is the delivery.
    File,
    /// The program, and how it is called in errors.
    Sendmail(SendmailTransport, String),
    /// The server, and how it is called in errors.
    Smtp(SmtpTransport, String),
}

impl Mailer {
    /// Opens the way out that `[mail]` names; nothing is contacted yet.
    ///
    /// # Errors
    /// `mail.smtp` that is not `HOST:PORT`.
    pub fn open(mail: &MailSection) -> Result<Self> {
        Ok(match mail.transport {
            Transport::File => Self::File,
            Transport::Sendmail => Self::Sendmail(
                SendmailTransport::new_with_command(&mail.sendmail),
                mail.sendmail.display().to_string(),
            ),
            Transport::Smtp => {
                let (host, port) = server(&mail.smtp)?;
                let smtp = SmtpTransport::builder_dangerous(host).port(port).timeout(Some(PATIENCE)).build();
                Self::Smtp(smtp, mail.smtp.clone())
            }
        })
    }

    /// Hands `message` over; when it returns, somebody else answers for it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn send(&self, message: &Message) -> Result<(), Failure> {
        match self {
            Self::File => Ok(()),
            Self::Sendmail(program, name) => {
                program.send(message).map(drop).map_err(|source| by_program(name, &source))
            }
            Self::Smtp(server, name) => {
                server.send(message).map(drop).map_err(|source| by_server(name, &source))
            }
        }
    }
}

fn server(text: &str) -> Result<(&str, u16)> {
    let wrong = || Error::wrong(format!("cannot use mail.smtp \"{}\": it is not HOST:PORT", inert(text)));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host, port.parse().map_err(|_| wrong())?))
}

fn by_program(name: &str, source: &lettre::transport::sendmail::Error) -> Failure {
    let gone = source.source().is_some_and(|inner| inner.downcast_ref::<std::io::Error>().is_some());
    let said = source.source().map_or_else(|| source.to_string(), ToString::to_string);
    let why = if said.trim().is_empty() { "it failed and said nothing".to_owned() } else { said };
    let error = Error::again(format!("cannot send mail through {name}: {}", inert(why.trim())));
    if gone { Failure::Unreachable(error) } else { Failure::Later(error) }
}

fn by_server(name: &str, source: &lettre::transport::smtp::Error) -> Failure {
    let why = plain(&source.to_string());
    let error = Error::again(format!("cannot send mail to {name}: {}", inert(why.trim())));
    if source.is_permanent() {
        Failure::Refused(error)
    } else if source.is_transient() {
        Failure::Later(error)
    } else {
        Failure::Unreachable(error)
    }
}
