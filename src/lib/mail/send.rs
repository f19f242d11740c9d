//! How a mail leaves: into the spool, through a sendmail program, to a server.

use std::process::Command;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::client::SmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;

use super::message::sender;
use super::secret::Secret;
use crate::base::error::plain;
use crate::base::output::inert;
use crate::base::{Error, Result, child};
use crate::config::{Config, MailSection, Transport};

/// So much of what a sendmail program says is heard, bytes.
const SAID: usize = 4 << 10;

/// So many mails in a row that a server or program does not answer to are enough: no other would go either.
const SILENCES: u32 = 2;

/// What sendmail answers when it knows no such user or host (sysexits.h).
const NO_SUCH: [i32; 2] = [67, 68];

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

/// The configured way out.
#[derive(Debug)]
pub struct Mailer<'a> {
    mail: &'a MailSection,
    from: Address,
    way: Way,
    silences: u32,
}

#[derive(Debug)]
enum Way {
    /// The copy in `sent/` is the delivery.
    File,
    /// The program of the configuration.
    Sendmail,
    /// The server.
    Smtp(Box<Server>),
}

impl<'a> Mailer<'a> {
    /// Opens the way out that `[mail]` names; nothing is contacted yet.
    ///
    /// # Errors
    /// `mail.smtp` that is not `HOST:PORT`, `mail.from` that is no address, TLS that is not compiled in.
    pub fn open(config: &'a Config) -> Result<Self> {
        let mail = &config.mail;
        let way = match mail.transport {
            Transport::File => Way::File,
            Transport::Sendmail => Way::Sendmail,
            Transport::Smtp => Way::Smtp(Box::new(Server::new(mail, config.host())?)),
        };
        Ok(Self { mail, from: sender(config)?.email, way, silences: 0 })
    }

    /// Hands `message` over to `to`; when it returns, somebody else answers for it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn send(&mut self, to: &Address, message: &[u8]) -> Result<(), Failure> {
        let sent = match &mut self.way {
            Way::File => Ok(()),
            Way::Sendmail => by_program(self.mail, &self.from, to, message),
            Way::Smtp(server) => server.send(&self.from, to, message),
        };
        match sent {
            Ok(()) => self.silences = 0,
            Err(Trouble::Silent(error)) => {
                self.silences += 1;
                let enough = self.silences >= SILENCES;
                return Err(if enough { Failure::Unreachable(error) } else { Failure::Later(error) });
            }
            Err(Trouble::Failure(failure)) => return Err(failure),
        }
        Ok(())
    }

    /// Takes leave.
    pub fn close(self) {
        match self.way {
            Way::Smtp(server) => server.close(),
            Way::File | Way::Sendmail => {}
        }
    }
}

/// Why a mail was not taken: something was answered, or nothing.
enum Trouble {
    Failure(Failure),
    Silent(Error),
}

/// Runs the program, with nothing of our environment but what it needs to find others.
fn by_program(mail: &MailSection, from: &Address, to: &Address, message: &[u8]) -> Result<(), Trouble> {
    let name = mail.sendmail.display();
    let mut command = Command::new(&mail.sendmail);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.args(["-i", "-f", from.as_ref(), "--", to.as_ref()]);
    let error = |why: &str| Error::again(format!("cannot send mail through {name}: {}", inert(why.trim())));
    let ran = child::limited(command, message, mail.timeout.0, SAID).map_err(|source| {
        Trouble::Failure(Failure::Unreachable(error(&crate::base::error::reason(&source))))
    })?;
    let Some(status) = ran.status else {
        return Err(Trouble::Silent(error(&format!("it took longer than {}", mail.timeout))));
    };
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.said).trim().to_owned();
    let said = if said.is_empty() { "it said nothing".to_owned() } else { said };
    let error = error(&format!("it failed ({status}): {said}"));
    let refused = status.code().is_some_and(|code| NO_SUCH.contains(&code));
    Err(Trouble::Failure(if refused { Failure::Refused(error) } else { Failure::Later(error) }))
}

/// A mail server, and the one connection to it.
struct Server {
    name: String,
    host: String,
    port: u16,
    timeout: Duration,
    hello: ClientId,
    secret: Secret,
    connection: Option<SmtpConnection>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

type Smtp<T> = std::result::Result<T, lettre::transport::smtp::Error>;

impl Server {
    fn new(mail: &MailSection, own: String) -> Result<Self> {
        let (host, port) = server(&mail.smtp)?;
        Ok(Self {
            name: mail.smtp.clone(),
            host: host.to_owned(),
            port,
            timeout: mail.timeout.0,
            hello: ClientId::Domain(own),
            secret: Secret::new(mail, host)?,
            connection: None,
        })
    }

    fn send(&mut self, from: &Address, to: &Address, message: &[u8]) -> Result<(), Trouble> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self
                .connect()
                .map_err(|source| Trouble::Failure(Failure::Unreachable(self.error(&source))))?,
        };
        // Only what is said of the recipient speaks against the recipient.
        let begun = connection.command(Mail::new(Some(from.clone()), Vec::new())).map(drop);
        let taken = match begun {
            Ok(()) => connection.command(Rcpt::new(to.clone(), Vec::new())).map(drop).map_err(|source| {
                let refused = source.is_permanent();
                (source, refused)
            }),
            Err(source) => Err((source, false)),
        };
        let sent = taken.and_then(|()| data(&mut connection, message).map_err(|source| (source, false)));
        match sent {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err((source, refused)) => {
                let answered = source.status().is_some();
                if answered && connection.command(Rset).is_ok() {
                    self.connection = Some(connection);
                }
                let error = self.error(&source);
                Err(match (answered, refused) {
                    (true, true) => Trouble::Failure(Failure::Refused(error)),
                    (true, false) => Trouble::Failure(Failure::Later(error)),
                    (false, _) => Trouble::Silent(error),
                })
            }
        }
    }

    fn connect(&self) -> Smtp<SmtpConnection> {
        self.secret.connect((&self.host, self.port), self.timeout, &self.hello)
    }

    fn error(&self, source: &lettre::transport::smtp::Error) -> Error {
        let why = plain(&source.to_string());
        Error::again(format!("cannot send mail to {}: {}", self.name, inert(why.trim())))
    }

    fn close(self) {
        if let Some(mut connection) = self.connection {
            // All of it is delivered already.
            let _ = connection.quit();
        }
    }
}

fn data(connection: &mut SmtpConnection, message: &[u8]) -> Smtp<()> {
    connection.command(Data)?;
    connection.message(message).map(drop)
}

fn server(text: &str) -> Result<(&str, u16)> {
    let wrong = || Error::wrong(format!("cannot use mail.smtp \"{}\": it is not HOST:PORT", inert(text)));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host, port.parse().map_err(|_| wrong())?))
}
