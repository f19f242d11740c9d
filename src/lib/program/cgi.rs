//! Programs that a web server runs (CGI, RFC 3875): the request is in the environment and on standard input.

use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Common, Scene, complain, finish, variable};
use crate::base::{Error, Result};
use crate::farm::control;
use crate::web::control::Call;

/// How long a body may take in all.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most that is read of a body nobody wants, bytes.
const MOST: u64 = 1 << 20;

/// Runs a program as a web server does: what a query says never becomes an option. Run by anybody else, it says so.
pub fn cgi<A: Parser>(
    program: &'static str,
    common: fn(&A) -> &Common,
    main: fn(&mut Scene, &Call, &mut dyn Read) -> Result<()>,
) -> ExitCode {
    if variable("GATEWAY_INTERFACE").is_none() {
        let args = A::parse();
        return finish(program, common(&args).clone(), |_| {
            let error = Error::wrong("nothing to answer: this is run by a web server, as CGI");
            Err(error.hint(format!("{program}(8) says how to set it up")))
        });
    }
    let args = A::parse_from([program]);
    let mut body = Body { end: Instant::now() + PATIENCE };
    finish(program, common(&args).clone(), |scene| {
        if let Err(error) = main(scene, &call(), &mut body) {
            complain(program, &error);
            scene.out.bytes(control::broken(&error).as_bytes())?;
        }
        // To mod_cgid body and answer are one socket: one that is closed before all of the body was read is reset, and the
        // visitor gets no answer. Whoever sends more than this, or is too slow, may go without.
        let _ = std::io::copy(&mut body.take(MOST), &mut std::io::sink());
        Ok(0)
    })
}

fn call() -> Call {
    let said = |name: &str| variable(name).unwrap_or_default();
    Call {
        method: said("REQUEST_METHOD"),
        script: said("SCRIPT_NAME"),
        path: said("PATH_INFO"),
        query: said("QUERY_STRING"),
        user: variable("REMOTE_USER"),
        kind: said("CONTENT_TYPE"),
        length: variable("CONTENT_LENGTH"),
        site: variable("HTTP_SEC_FETCH_SITE"),
        origin: variable("HTTP_ORIGIN"),
        own: format!("{}://{}", said("REQUEST_SCHEME"), said("HTTP_HOST")),
    }
}

/// Standard input, of somebody who may never send it.
struct Body {
    end: Instant,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| std::io::ErrorKind::InvalidInput)?;
        let stdin = rustix::stdio::stdin();
        let ready = poll(&mut [PollFd::from_borrowed_fd(stdin, PollFlags::IN)], Some(&left))?;
        if ready == 0 {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        Ok(rustix::io::read(stdin, buffer)?)
    }
}
