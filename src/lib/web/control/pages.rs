//! What is answered: the form, what came of a request, and refusals.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::super::pages::{Frame, links_to};
use super::super::say::line;
use super::super::templates::{Engine, Texts};
use super::Refusal;
use crate::base::Result;
use crate::config::Config;
use crate::names::Id;

/// The longest line from outside, characters.
const LONGEST: usize = 400;

/// A request, as far as it has come.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Its ID.
    pub id: Id,
    /// Who asked, once it was acted on.
    pub by: String,
    /// What for.
    pub what: String,
    /// When it was acted on; none while it waits for that.
    pub at: Option<Timestamp>,
    /// What came of it, a line each.
    pub answers: Vec<String>,
}

/// Writes answers for the web server: headers and pages.
pub struct Teller<'a> {
    /// For its name and templates.
    pub config: &'a Config,
    /// Where control is: `SCRIPT_NAME`.
    pub script: &'a str,
    /// What follows that.
    pub path: &'a str,
    /// The headers alone are wanted.
    pub head: bool,
    /// What time it is.
    pub now: Timestamp,
}

/// Of all pages: nothing is kept by whoever passes them on, nothing runs but what the site brings.
const HEADERS: &str = "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\n\
    Content-Security-Policy: default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n";

impl Teller<'_> {
    /// Answers with the form.
    ///
    /// # Errors
    /// A template that cannot be used.
    pub fn form(&self, user: &str) -> Result<String> {
        self.page("200 OK", "Control", "control.html", &Form { root: &self.root(), user })
    }

    /// Answers with what came of a request.
    ///
    /// # Errors
    /// A template that cannot be used.
    pub fn request(&self, shown: &Shown) -> Result<String> {
        let (by, what) = (line(&shown.by, LONGEST), line(&shown.what, LONGEST));
        let answers = shown.answers.iter().map(|answer| line(answer, LONGEST)).collect();
        let shown = Shown { by, what, answers, ..shown.clone() };
        self.page("200 OK", "Request", "request.html", &Asked { root: &self.root(), shown })
    }

    /// Answers with the way to the page of the request `id`.
    pub fn filed(&self, id: &Id) -> String {
        format!("Status: 303 See Other\r\nLocation: {}/request/{id}\r\n{HEADERS}\r\n", self.script)
    }

    /// Answers that it is not done, and why.
    ///
    /// # Errors
    /// A template that cannot be used.
    pub fn refused(&self, refusal: &Refusal) -> Result<String> {
        let reason = match refusal.status {
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            413 => "Content Too Large",
            503 => "Service Unavailable",
            _other => "Bad Request",
        };
        let status = format!("{} {reason}", refusal.status);
        self.page(&status, reason, "refused.html", &Refused { root: &self.root(), why: &refusal.why })
    }

    /// The way up to the site's root, which control lies directly in.
    fn root(&self) -> String {
        format!("./{}", "../".repeat(self.path.matches('/').count()))
    }

    fn page<T: Serialize>(&self, status: &str, title: &str, template: &str, view: &T) -> Result<String> {
        let texts = Texts::read(self.config.templates.as_deref())?;
        let engine = Engine::compile(&texts)?;
        let (farm, root) = (line(&self.config.title, 80), self.root());
        let body = engine.render(template, view)?;
        let nav = links_to(&root, |href| self.config.site.join(href).exists());
        let (made, live, feed) = (Some(self.now), false, None);
        let frame = Frame { title, farm: &farm, root: &root, nav, body: &body, made, live, feed };
        let page = engine.render("base.html", &frame)?;
        let mut answer = format!("Status: {status}\r\n{HEADERS}");
        if status.starts_with("405") {
            answer.push_str("Allow: GET, HEAD, POST\r\n");
        }
        let _ = write!(answer, "Content-Length: {}\r\n\r\n", page.len());
        if !self.head {
            answer.push_str(&page);
        }
        Ok(answer)
    }
}

#[derive(Serialize)]
struct Form<'a> {
    root: &'a str,
    user: &'a str,
}

#[derive(Serialize)]
struct Asked<'a> {
    root: &'a str,
    #[serde(flatten)]
    shown: Shown,
}

#[derive(Serialize)]
struct Refused<'a> {
    root: &'a str,
    why: &'a str,
}
