//! Control from the web: what somebody who has signed in asks for is filed, and answered with what came of it.
//!
//! Runs as the web server's user, who may create files in the drop box and read the spool, and nothing else; who acts is
//! the spool's owner, in his next round.

use std::io::Read;

use super::ask::Wish;
use super::drop_box::{self, Progress, Request, wanted};
use crate::base::output::inert;
use crate::base::{Clock, Error, Result};
use crate::config::Config;
use crate::names::{Id, Priority};
use crate::spool::Spool;
use crate::web::control::{Act, Call, Order, Refusal, Shown, Teller, Wanted};

/// Answers `call`, whose body is `body`, with headers and a page.
///
/// # Errors
/// The spool, or a template, cannot be used.
pub fn answer(
    config: &Config,
    spool: &Spool,
    call: &Call,
    body: &mut dyn Read,
    clock: &Clock,
) -> Result<String> {
    let (script, path, now) = (call.script.as_str(), call.path.as_str(), clock.now());
    let teller = Teller { config, script, path, head: call.method == "HEAD", now };
    if config.web.user.is_none() {
        let why = "This farm takes no orders from the web.".to_owned();
        return teller.refused(&Refusal { status: 403, why });
    }
    match call.judge(body) {
        Err(refusal) => teller.refused(&refusal),
        Ok(Wanted::Form) => teller.form(call.user.as_deref().unwrap_or_default()),
        Ok(Wanted::Look(id)) => match shown(spool, &id)? {
            Some(shown) => teller.request(&shown),
            None => teller.refused(&Refusal { status: 404, why: "There is no such request.".to_owned() }),
        },
        Ok(Wanted::Order(order)) => file(spool, &order, clock).map(|id| teller.filed(&id)),
    }
}

/// Puts the order into the drop box.
fn file(spool: &Spool, order: &Order, clock: &Clock) -> Result<Id> {
    let (what, reason) = (order.what.clone(), order.reason.clone());
    let request = match order.act {
        Act::Abort => Request::Abort { what, reason },
        Act::Force => {
            let wish = Wish { force: true, priority: Some(Priority::Urgent), reason, ..Wish::default() };
            Request::Enqueue { items: vec![what], wish }
        }
    };
    drop_box::hand_in_for(Some(&order.user), &spool.at("drop"), &request, clock)
}

fn shown(spool: &Spool, id: &Id) -> Result<Option<Shown>> {
    Ok(drop_box::progress(spool, id)?.map(|progress| match progress {
        Progress::Waits(request) => {
            Shown { id: *id, by: String::new(), what: wanted(&request), at: None, answers: Vec::new() }
        }
        Progress::Acted { by, request, at, answers } => {
            Shown { id: *id, by, what: wanted(&request), at: Some(at), answers }
        }
    }))
}

/// Returns the answer when something is broken: the visitor is told that, the web server's log why.
pub fn broken(error: &Error) -> String {
    let status = if error.may_pass() { "503 Service Unavailable" } else { "500 Internal Server Error" };
    let text = inert(
        "Nothing was done: something is broken here. The admin finds the reason in the log of the web server.",
    );
    format!(
        "Status: {status}\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\r\n{text}\n"
    )
}
