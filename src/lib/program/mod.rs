//! The border: what all programs share. The only room that reads options and environment, writes to stderr,
//! and decides an exit status; the others are handed spool, configuration, clock and output.
//!
//! Owns: the common options, exit statuses, `program: text` lines, "root acts as the spool's owner".

mod cgi;
mod environment;
mod identity;
mod options;
mod service;
mod show;
mod status;
mod there;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::base::error::Kind;
use crate::base::output::{Out, inert};
use crate::base::{Clock, Error, Result};
use crate::config::{Config, Host, Place};
use crate::farm::afar::Afar;
use crate::farm::ask::{Answered, Asker, Wish};
use crate::farm::master::Master;
use crate::farm::ssh::Ssh;
use crate::spool::Spool;
use crate::spool::listed::Listed;
use crate::tree::{self, Desk};

pub use cgi::cgi;
pub use environment::{current_dir, host_name, input, input_lines, is_unheard, variable, variables};
pub use identity::Caller;
pub use options::{Abilities, Common, Json};
pub use service::service;
pub use show::{objects, table};
pub use status::{Status, Tally};

/// What a program finds when it starts: all that the library must not look for itself.
pub struct Scene<'a> {
    /// How the program was called, for `program: …` lines.
    pub program: &'static str,
    /// The configuration; defaults where there is none.
    pub config: Config,
    /// Its file; none when defaults are used.
    pub config_file: Option<PathBuf>,
    /// The other host that the spool is on; `config.spool` is its directory there.
    pub there: Option<Host>,
    /// The clock.
    pub clock: Clock,
    /// Who called.
    pub caller: Caller,
    /// Standard output.
    pub out: Out<'a>,
}

impl Scene<'_> {
    /// Turns to the spool `text`, here or on another host.
    ///
    /// # Errors
    /// It is neither a directory nor HOST:DIR.
    fn go_to(&mut self, text: &str) -> Result<()> {
        (self.config.spool, self.there) = match text.parse()? {
            Place::Here(path) => (path, None),
            Place::There(host) => (host.dir().into(), Some(host)),
        };
        Ok(())
    }

    /// Finds the master: the spool of this host that this process may change, or the other host's.
    ///
    /// # Errors
    /// As [`Scene::own_spool`].
    pub fn with_master<T>(&mut self, work: impl FnOnce(&mut Self, &Master) -> Result<T>) -> Result<T> {
        match self.there.clone() {
            None => {
                let spool = self.own_spool()?;
                work(self, &Master::Here(&spool))
            }
            Some(host) => {
                let section = self.config.ssh.clone();
                work(self, &Master::There(Ssh { host: &host, section: &section }))
            }
        }
    }

    /// Opens the spool to change it: root becomes its owner first, everybody else must be it.
    ///
    /// # Errors
    /// No spool there, or not its owner.
    pub fn own_spool(&self) -> Result<Spool> {
        self.owned(self.spool()?)
    }

    /// Opens the spool to change it as [`Scene::own_spool`] does, also one that has moved.
    ///
    /// # Errors
    /// As [`Scene::own_spool`].
    pub fn own_left_spool(&self) -> Result<Spool> {
        self.owned(self.open(Spool::open_left)?)
    }

    fn owned(&self, spool: Spool) -> Result<Spool> {
        if self.owns(&spool)? {
            return Ok(spool);
        }
        let (owner, _) = spool.owner()?;
        Err(Error::wrong(format!(
            "cannot change {}: it belongs to {}",
            spool.root().display(),
            identity::name(owner)
        ))
        .hint(format!("run it as that user: sudo -u {} {} …", identity::name(owner), self.program)))
    }

    /// Opens the spool to look at it; root becomes its owner.
    ///
    /// # Errors
    /// No spool there.
    pub fn spool(&self) -> Result<Spool> {
        self.open(Spool::open)
    }

    fn open(&self, open: impl Fn(&Path) -> Result<Spool>) -> Result<Spool> {
        if let Some(host) = &self.there {
            let error =
                Error::wrong(format!("cannot use the spool {host}: {} must run where it is", self.program));
            return Err(error.hint(format!("ssh {} {} …", host.name(), self.program)));
        }
        let spool = open(&self.config.spool)?;
        identity::become_owner(spool.root())?;
        Ok(spool)
    }

    /// Makes an empty spool, unless it is there; root does so as the owner of the directory, where there is one.
    ///
    /// # Errors
    /// Something else is there.
    pub fn make_spool(&self) -> Result<()> {
        identity::become_owner(&self.config.spool)?;
        Spool::create(&self.config.spool).map(drop)
    }

    /// Tells whether this process may change the spool.
    ///
    /// # Errors
    /// The spool has vanished.
    pub fn owns(&self, spool: &Spool) -> Result<bool> {
        Ok(spool.owner()?.0 == identity::effective())
    }

    /// Tells whether a person looks at stderr.
    pub fn is_watched(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// Says something on stderr.
    pub fn say(&self, text: &str) {
        talk(self.program, text);
    }

    /// Says an error and its hint on stderr.
    pub fn complain(&self, error: &Error) {
        complain(self.program, error);
    }

    /// Prints the tickets that were asked for and complains of what gave none; returns the status of them all, 1 if
    /// there is no ticket at all.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn print_tickets(&mut self, spool: &Spool, answers: &[Answered], json: bool) -> Result<Status> {
        let mut tally = Tally::default();
        for answer in answers {
            match &answer.ticket {
                Err(error) => self.complain(error),
                Ok((id, _)) if json => {
                    objects(&mut self.out, Listed::find(spool, id, &self.clock)?.as_slice())?;
                }
                Ok((id, item)) => self.out.line(&format!("{id} {item}"))?,
            }
            tally.add(&answer.ticket);
        }
        Ok(if answers.is_empty() { Status::No } else { tally.status() })
    }

    /// Asks for builds at a farm on another host; what it cannot take now waits here.
    ///
    /// # Errors
    /// Nothing can be read here, or wait here.
    pub fn ask_afar(&mut self, items: &[String], wish: &Wish, asker: Asker, json: bool) -> Result<Status> {
        let Some(host) = self.there.clone() else { return Ok(Status::Done) };
        let afar = Afar { config: &self.config, ssh: Ssh { host: &host, section: &self.config.ssh } };
        let asked = match afar.enqueue(items, wish, asker, json) {
            Err(why) if why.kind == Kind::Again => {
                // Somebody without a place to leave it is told to try again himself.
                afar.leave(items, wish, asker, &self.clock).map_err(|_| why.clone())?;
                self.say(&why.to_string());
                items.iter().for_each(|item| self.say(&format!("handed in {item}")));
                return Ok(Status::Done);
            }
            other => other?,
        };
        let mut tally = Tally::default();
        for answer in &asked.answers {
            tally.add(&answer.ticket);
            if let Err(error) = &answer.ticket {
                self.complain(error);
            }
        }
        for heard in &asked.heard {
            heard.said.lines().for_each(|line| raw(&inert(line)));
            self.out.bytes(heard.out.as_bytes())?;
            tally.add(&heard.as_result());
        }
        Ok(tally.status())
    }

    /// Turns to the spool that this host builds for, when it is not the one of its own configuration.
    ///
    /// # Errors
    /// As for `--spool`.
    pub fn use_builders_spool(&mut self, common: &Common) -> Result<()> {
        match (&common.spool, self.config.builder.spool.clone()) {
            (None, Some(spool)) => self.go_to(&spool),
            (Some(_), _) | (_, None) => Ok(()),
        }
    }

    /// Does `each` for every operand, complains of those that fail, and returns the status of them all: the worst
    /// of 75, 2 and 0; 1 only if nothing was done.
    pub fn for_all<T>(
        &mut self,
        operands: &[T],
        mut each: impl FnMut(&mut Self, &T) -> Result<()>,
    ) -> Status {
        let mut tally = Tally::default();
        for operand in operands {
            let done = each(self, operand);
            if let Err(error) = &done {
                self.complain(error);
            }
            tally.add(&done);
        }
        tally.status()
    }
}

/// Runs a program: options, configuration, `main`, exit status. `common` finds the common options among its own. With a
/// spool on another host the program runs there instead.
pub fn run<A: Parser>(
    program: &'static str,
    common: fn(&A) -> &Common,
    main: fn(A, &mut Scene) -> Result<Status>,
) -> ExitCode {
    run_with(program, A::parse(), common, main)
}

/// Runs a program whose options are parsed already.
pub fn run_with<A>(
    program: &'static str,
    args: A,
    common: fn(&A) -> &Common,
    main: fn(A, &mut Scene) -> Result<Status>,
) -> ExitCode {
    finish(program, common(&args).clone(), |scene| match scene.there.take() {
        None => main(args, scene).map(Status::code),
        Some(host) => there::run(program, &host, &scene.config.ssh),
    })
}

/// Runs a program that goes to a spool on another host by itself: it has something to do here.
pub fn run_here(
    program: &'static str,
    common: Common,
    main: impl FnOnce(&mut Scene) -> Result<Status>,
) -> ExitCode {
    finish(program, common, |scene| main(scene).map(Status::code))
}

fn finish(program: &'static str, common: Common, main: impl FnOnce(&mut Scene) -> Result<u8>) -> ExitCode {
    let out = Out::new(std::io::BufWriter::new(std::io::stdout().lock()));
    let ended = common.scene(program, out).and_then(|mut scene| {
        let status = main(&mut scene);
        scene.out.flush()?;
        status
    });
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            complain(program, &error);
            ExitCode::from(error.kind.status())
        }
    }
}

/// Runs a hook: says what is wrong and succeeds all the same, because its failure would fail the push.
pub fn run_hook<A: Parser>(
    program: &'static str,
    common: fn(&A) -> &Common,
    main: fn(A, &mut Scene) -> Result<Status>,
) -> ExitCode {
    match A::try_parse() {
        Ok(args) => drop(finish(program, common(&args).clone(), |scene| main(args, scene).map(Status::code))),
        Err(error) => drop(error.print()),
    }
    ExitCode::SUCCESS
}

/// Returns where recipes may be read by somebody who may not own `spool`.
pub fn desk(spool: Option<&Spool>) -> Desk {
    Desk { scratch: tree::roomy(std::env::temp_dir()), kept: spool.map(|spool| spool.at("cache")), progress }
}

/// Shows, on a terminal and only there, how many of how many things of a kind are done.
pub fn progress(thing: &'static str, done: usize, total: usize) {
    if total > MANY && (done.is_multiple_of(64) || done == total) && std::io::stderr().is_terminal() {
        let end = if done == total { "\r\x1b[K" } else { "" };
        let _ = write!(std::io::stderr(), "\r{thing} {done} of {total}{end}");
    }
}

/// Fewer things are done before anybody could read how many.
const MANY: usize = 64;

/// Says something on stderr for `program`.
pub fn say(program: &str, text: &str) {
    talk(program, text);
}

fn complain(program: &str, error: &Error) {
    let text = error.to_string();
    let mut lines = text.lines();
    talk(program, lines.next().unwrap_or_default());
    for line in lines {
        raw(&format!("  {}", inert(line)));
    }
    if let Some(hint) = &error.hint {
        raw(&format!("hint: {}", inert(hint)));
    }
}

fn talk(program: &str, text: &str) {
    raw(&format!("{program}: {}", inert(text)));
}

/// A stderr that is gone is no reason to fail.
fn raw(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
