//! syncpkg-shell BUILDER - the forced command of a builder's ssh key

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::Result;
use syncpkg::farm::gate::{Gate, Request};
use syncpkg::names::Builder;
use syncpkg::program::{self, Common, Scene, Status};

/// Lets one builder do through ssh only what a builder may do.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The spool directory
    #[arg(long, value_name = "SPOOL")]
    spool: Option<String>,
    /// The configuration file [default: /etc/syncpkg/syncpkg.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose key it is
    builder: Builder,
}

fn main() -> ExitCode {
    let Args { spool, config, builder } = Args::parse();
    // Not as others: what the environment says may be the client's.
    let common = Common { spool, config, now: None };
    program::run_here("syncpkg-shell", common, |scene| shell(&builder, scene))
}

fn shell(builder: &Builder, scene: &mut Scene) -> Result<Status> {
    let spool = scene.own_spool()?;
    let gate = Gate { builder, spool: &spool, quota: &scene.config.quota };
    let asked = program::variable("SSH_ORIGINAL_COMMAND").unwrap_or_default();
    let config = scene.config_file.as_deref();
    match gate.judge(&asked) {
        Ok(Request::Run(name, words)) => {
            if name == "syncpkg-claim" {
                gate.may_claim(&words)?;
            }
            Err(gate.become_program(name, &words, config))
        }
        Ok(Request::Receive(words, _)) => gate.receive(&words).map(Status::Other),
        Err(error) => {
            let from = program::variable("SSH_CONNECTION").unwrap_or_default();
            gate.note(from.split(' ').next().unwrap_or_default(), &asked, &scene.clock)?;
            Err(error)
        }
    }
}
