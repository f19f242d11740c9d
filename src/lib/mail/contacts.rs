//! Whose address it is that news go to: overrides, who wants no mail, and the admin for whom nobody else can hear.

use lettre::message::Mailbox;

use super::message::cut;
use super::{Audience, address, memory};
use crate::base::output::inert;
use crate::base::{Error, Result};
use crate::config::{Config, MailSection};
use crate::spool::{Spool, Ticket};

/// Where news go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contact {
    /// To this address, because of this; a sentence.
    Known(Mailbox, String),
    /// To the admin, because this, which was written, is no address that can be used: why.
    Unusable(String, String),
    /// Nowhere: they are not wanted, or there is nobody.
    Nobody,
}

/// The addresses of the configuration, all of which can be used.
pub(super) struct Contacts<'a> {
    spool: &'a Spool,
    mail: &'a MailSection,
    pub admin: Mailbox,
    pub list: Option<Mailbox>,
}

/// What is said to the admin.
const AS_ADMIN: &str = "You get this mail as the admin of the farm";

impl<'a> Contacts<'a> {
    /// Reads the addresses of the configuration.
    ///
    /// # Errors
    /// One that is none.
    pub fn new(spool: &'a Spool, config: &'a Config) -> Result<Self> {
        let mail = &config.mail;
        mail.address.values().try_for_each(|new| configured("mail.address", new).map(drop))?;
        mail.optout.iter().try_for_each(|out| configured("mail.optout", out).map(drop))?;
        let list = mail.list.as_deref().map(|list| configured("mail.list", list)).transpose()?;
        Ok(Self { spool, mail, admin: configured("mail.admin", &mail.admin)?, list })
    }

    /// Returns where news on `ticket` go.
    pub fn of(&self, audience: Audience, ticket: &Ticket) -> Result<Contact> {
        match audience {
            Audience::Admin => Ok(Contact::Known(self.admin.clone(), format!("{AS_ADMIN}."))),
            Audience::Maintainer => self.maintainer(ticket.maintainer.as_deref()),
            Audience::Pusher => {
                let pusher = self.pusher(ticket);
                let usable = pusher.filter(|pusher| !self.is_refused(pusher).unwrap_or(true));
                Ok(usable.map_or(Contact::Nobody, |pusher| {
                    Contact::Known(pusher, "You get this mail because you asked for this build.".to_owned())
                }))
            }
            Audience::Hook | Audience::Published => Ok(Contact::Nobody),
        }
    }

    /// Returns where a maintainer's news go, as the recipe names him.
    pub fn maintainer(&self, text: Option<&str>) -> Result<Contact> {
        let Some(text) = text else {
            let because = format!("{AS_ADMIN}, because the recipe names no maintainer.");
            return Ok(Contact::Known(self.admin.clone(), because));
        };
        let Some(mailbox) = self.replaced(text) else {
            return Ok(Contact::Unusable(text.trim().to_owned(), "it is no address".to_owned()));
        };
        if self.wants_none(&mailbox) {
            return Ok(Contact::Nobody);
        }
        if let Some(why) = self.refusal(&mailbox)? {
            return Ok(Contact::Unusable(mailbox.email.to_string(), why));
        }
        let because = "You get this mail because the recipe names you as its maintainer.";
        Ok(Contact::Known(mailbox, because.to_owned()))
    }

    /// Returns who asked for the build, if he is to be told and is somebody else than the maintainer.
    pub fn pusher(&self, ticket: &Ticket) -> Option<Mailbox> {
        let pattern = self.mail.pusher.as_deref()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let user = Some(ticket.by.as_str()).filter(|user| !user.is_empty() && user.bytes().all(plain))?;
        let pusher = self.replaced(&pattern.replace("{user}", user))?;
        let maintainer = ticket.maintainer.as_deref().and_then(|text| self.replaced(text));
        let other = maintainer.is_none_or(|maintainer| key(&maintainer) != key(&pusher));
        (other && !self.wants_none(&pusher)).then_some(pusher)
    }

    /// The address that stands for what is written; the whole of it is looked up first, so that what is no address can
    /// have one.
    fn replaced(&self, text: &str) -> Option<Mailbox> {
        let find = |wanted: &str| {
            let mut known = self.mail.address.iter();
            known.find(|(old, _)| old.trim().eq_ignore_ascii_case(wanted.trim())).map(|(_, new)| new)
        };
        if let Some(new) = find(text) {
            return address(new);
        }
        let mailbox = address(text)?;
        match find(mailbox.email.as_ref()) {
            Some(new) => address(new),
            None => Some(mailbox),
        }
    }

    fn wants_none(&self, mailbox: &Mailbox) -> bool {
        self.mail.optout.iter().any(|out| out.trim().eq_ignore_ascii_case(mailbox.email.as_ref()))
    }

    /// Says why the server will not take mail for that address, if it has said so.
    fn refusal(&self, mailbox: &Mailbox) -> Result<Option<String>> {
        if key(mailbox) == key(&self.admin) {
            return Ok(None);
        }
        Ok(memory::recall(self.spool, &refused(&key(mailbox)))?.map(|(_, why)| why))
    }

    fn is_refused(&self, mailbox: &Mailbox) -> Result<bool> {
        self.refusal(mailbox).map(|why| why.is_some())
    }

    /// Returns the sentence by which the admin hears why it is he who gets a mail.
    pub fn in_place_of(text: &str, why: &str) -> String {
        format!("{AS_ADMIN}, because nobody can be told at\n{}: {}", cut(text, 200), cut(why, 400))
    }
}

/// Returns the word by which it is remembered that an address was refused.
pub(super) fn refused(address: &str) -> String {
    format!("refused-{}", memory::hash(address))
}

/// Returns the address alone, as it is counted by.
pub(super) fn key(mailbox: &Mailbox) -> String {
    mailbox.email.to_string().to_ascii_lowercase()
}

fn configured(key: &str, text: &str) -> Result<Mailbox> {
    address(text)
        .ok_or_else(|| Error::wrong(format!("cannot use {key} \"{}\": it is no address", inert(text))))
}
