//! syncpkg-report CLAIM --outcome OUTCOME - ends a claim

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syncpkg::names::{Outcome, Word};
use syncpkg::program::{self, Common, Scene, Status};
use syncpkg::spool::report::Ending;
use syncpkg::spool::{Claim, upload};

/// Reports how a build ended, with its log and its packages; exit 1: refused.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// The word that syncpkg-claim printed
    claim: Claim,
    /// How it ended: built, failed (the package's fault), trouble (the farm's)
    #[arg(long, value_name = "built|failed|trouble", value_parser = outcome, required_unless_present = "delivered")]
    outcome: Option<Outcome>,
    /// Where in the build it ended
    #[arg(long, value_name = "S")]
    stage: Option<Word>,
    /// Why, in one line
    #[arg(long, value_name = "R", default_value = "")]
    reason: String,
    /// The exit status of the build command
    #[arg(long, value_name = "N")]
    exit: Option<i32>,
    /// The log
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// A package it made; may be repeated
    #[arg(long = "file", value_name = "PACKAGE")]
    files: Vec<PathBuf>,
    /// All that was brought to upload/ already, in a delivery.toml of this hash
    #[arg(long, value_name = "SHA256", conflicts_with_all = ["outcome", "stage", "reason", "exit", "log", "files"])]
    delivered: Option<String>,
}

/// The others are not for a builder to say.
fn outcome(text: &str) -> Result<Outcome, String> {
    match text.parse() {
        Ok(outcome @ (Outcome::Built | Outcome::Failed | Outcome::Trouble)) => Ok(outcome),
        Ok(Outcome::Aborted | Outcome::Superseded) | Err(_) => {
            Err("it is built, failed or trouble".to_owned())
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    program::run_here("syncpkg-report", args.common.clone(), |scene| report(args, scene))
}

fn report(args: Args, scene: &mut Scene) -> syncpkg::base::Result<Status> {
    if let Some(sha256) = &args.delivered {
        let spool = scene.own_spool()?;
        upload::end(&spool, &args.claim, sha256, &scene.config.trouble, &scene.clock)?;
        return Ok(Status::Done);
    }
    let ending = Ending {
        // clap has seen to it that one of the two is given.
        outcome: args.outcome.unwrap_or(Outcome::Trouble),
        stage: args.stage.map(String::from),
        reason: args.reason,
        exit: args.exit,
        host: program::host_name(),
        log: args.log,
        files: args.files,
    };
    scene.with_master(|scene, master| master.report(&args.claim, &ending, &scene.config, &scene.clock))?;
    Ok(Status::Done)
}
