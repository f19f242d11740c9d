//! Control: what somebody who has signed in may ask for through the web server (CGI, RFC 3875). Everything here is pure:
//! a call is understood, or refused; who acts on it is somebody else, later.
//!
//! Refuses: whoever is not signed in, pages of other sites that act in a visitor's name, and every field, name and
//! length that is not as a form of ours sends it. Invariant: only a POST asks for anything.

use std::io::Read;

use crate::names::Id;
use crate::spool::abort::Target;

mod pages;

pub use pages::{Shown, Teller};

/// The largest body that is read, bytes.
const LARGEST: usize = 4096;

/// The longest reason, bytes.
const LONGEST: usize = 500;

/// What a web server says of a request.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// `REQUEST_METHOD`.
    pub method: String,
    /// `SCRIPT_NAME`: where control is.
    pub script: String,
    /// `PATH_INFO`: what follows.
    pub path: String,
    /// `QUERY_STRING`.
    pub query: String,
    /// `REMOTE_USER`: who has signed in.
    pub user: Option<String>,
    /// `CONTENT_TYPE`.
    pub kind: String,
    /// `CONTENT_LENGTH`.
    pub length: Option<String>,
    /// `HTTP_SEC_FETCH_SITE`: whose page sent it, as the browser says.
    pub site: Option<String>,
    /// `HTTP_ORIGIN`: the same, as older browsers say.
    pub origin: Option<String>,
    /// Our own origin.
    pub own: String,
}

/// What somebody may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// To build it again.
    Force,
    /// To end it.
    Abort,
}

impl Act {
    /// Returns the word of the form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Force => "force",
            Self::Abort => "abort",
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By whom.
    pub user: String,
    /// What to do.
    pub act: Act,
    /// With what: `[TREE/]NAME`, an item, or, to end it, a ticket.
    pub what: String,
    /// Why; may be empty.
    pub reason: String,
}

/// A call that was understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The form.
    Form,
    /// What came of a request.
    Look(Id),
    /// Something is to be done.
    Order(Order),
}

/// Why a call is not acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// In words.
    pub why: String,
}

fn no(status: u16, why: impl Into<String>) -> Refusal {
    Refusal { status, why: why.into() }
}

impl Call {
    /// Understands the call; `body` is read only when that is worth it.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn judge(&self, body: &mut dyn Read) -> Result<Wanted, Refusal> {
        let user = self.user.as_deref().filter(|user| is_name(user));
        let user = user.ok_or_else(|| no(403, "Nobody has signed in: control needs a password file."))?;
        if !self.query.is_empty() {
            return Err(no(400, "No query is understood here."));
        }
        let path = self.path.trim_end_matches('/');
        match (self.method.as_str(), path) {
            ("GET" | "HEAD", "") => Ok(Wanted::Form),
            ("GET" | "HEAD", _) => {
                let id = path.strip_prefix("/request/").and_then(|id| id.parse().ok());
                id.map(Wanted::Look).ok_or_else(|| no(404, "There is nothing of that name."))
            }
            ("POST", "") => {
                self.is_from_here()?;
                order(user, &self.read(body)?).map(Wanted::Order)
            }
            ("POST", _) => Err(no(404, "Nothing can be asked for there.")),
            _other => Err(no(405, "Only GET, HEAD and POST are understood.")),
        }
    }

    /// A page of another site must not act in the name of whoever looks at it. Scripts send neither header.
    fn is_from_here(&self) -> Result<(), Refusal> {
        let ours = match (self.site.as_deref(), self.origin.as_deref()) {
            (Some(site), _) => site == "same-origin" || site == "none",
            (None, Some(origin)) => origin == self.own,
            (None, None) => true,
        };
        if ours { Ok(()) } else { Err(no(403, "The form was on a page of another site.")) }
    }

    /// Reads the body: as long as was announced, or nothing of it counts.
    fn read(&self, body: &mut dyn Read) -> Result<Vec<u8>, Refusal> {
        if self.kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
            return Err(no(400, "Only forms are understood."));
        }
        let length = self.length.as_deref().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = length.and_then(|text| text.parse::<usize>().ok());
        let length = length.ok_or_else(|| no(400, "The length of the form is not said."))?;
        if length > LARGEST {
            return Err(no(413, "The form is too long."));
        }
        let mut bytes = vec![0; length];
        body.read_exact(&mut bytes).map_err(|_| no(400, "The form was cut off."))?;
        Ok(bytes)
    }
}

/// A name as a password file has it; it is written into files and pages.
fn is_name(user: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._+-".contains(&byte);
    !user.is_empty() && user.len() <= 64 && user.bytes().all(plain)
}

fn order(user: &str, body: &[u8]) -> Result<Order, Refusal> {
    let (mut act, mut what, mut reason) = (None, None, None);
    for (key, value) in form_urlencoded::parse(body) {
        let field = match key.as_ref() {
            "action" => &mut act,
            "what" => &mut what,
            "reason" => &mut reason,
            _other => return Err(no(400, "The form has a field that is not known here.")),
        };
        if field.replace(value.into_owned()).is_some() {
            return Err(no(400, "The form has a field twice."));
        }
    }
    let what = what.map(|what| what.trim().to_owned()).unwrap_or_default();
    let act = match act.as_deref() {
        Some("force") => Act::Force,
        Some("abort") => Act::Abort,
        Some(_) | None => return Err(no(400, "Say force or abort.")),
    };
    let readings = Target::readings(&what);
    let readings = readings.map_err(|_| no(400, "That is the name of no package and no ticket."))?;
    if act == Act::Force && readings.iter().any(|target| matches!(target, Target::Id(_))) {
        return Err(no(400, "A package is forced, not a ticket."));
    }
    let reason = reason.unwrap_or_default();
    if reason.len() > LONGEST || reason.contains(char::is_control) {
        return Err(no(400, "The reason is too long, or no plain line."));
    }
    Ok(Order { user: user.to_owned(), act, what, reason })
}

#[cfg(test)]
mod tests;
