//! syncpkg-beat CLAIM - extends the lease of a claim

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use syncpkg::base::clock::parse_age;
use syncpkg::config::Bytes;
use syncpkg::farm::master::Log;
use syncpkg::program::{self, Common, Scene, Status};
use syncpkg::spool::lease::{self, Beat, Growth};
use syncpkg::spool::vitals::{self, Load};
use syncpkg::spool::{Claim, Vitals};

/// Extends the lease of a claim; exit 1 and a reason on stdout mean: stop building.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// The word that syncpkg-claim printed
    claim: Claim,
    /// The growing log, to be shown
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// What the log has behind its first N bytes is on stdin; prints how much of it is here then
    #[arg(long, value_name = "N", conflicts_with = "log")]
    log_at: Option<u64>,
    /// Extend nothing; wait so long for the claim to be lost
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["log", "log_at"], value_parser = parse_age)]
    watch: Option<Duration>,
    /// The load of the builder's host, to be shown
    #[arg(long, value_name = "N", conflicts_with = "watch")]
    load: Option<Load>,
    /// Free space where it builds, bytes or like 8GiB; to be shown
    #[arg(long, value_name = "SIZE", conflicts_with = "watch")]
    disk: Option<Bytes>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    program::run_here("syncpkg-beat", args.common.clone(), |scene| beat(args, scene))
}

fn beat(args: Args, scene: &mut Scene) -> syncpkg::base::Result<Status> {
    let vitals = Vitals { load: args.load, disk: args.disk.map(|disk| disk.0) };
    let answer = match (args.log_at, args.watch) {
        (Some(at), _) => from_afar(&args.claim, at, vitals, scene)?,
        (None, Some(limit)) => lease::watch(&scene.own_spool()?, &args.claim, limit, &program::is_unheard)?,
        (None, None) => scene.with_master(|scene, master| {
            master.beat(&args.claim, args.log.map(Log::new).as_ref(), vitals, &scene.config)
        })?,
    };
    match answer {
        Beat::GoOn => Ok(Status::Done),
        Beat::Stop(reason) => {
            scene.out.line(&syncpkg::base::output::inert(&reason))?;
            Ok(Status::No)
        }
    }
}

fn from_afar(claim: &Claim, at: u64, vitals: Vitals, scene: &mut Scene) -> syncpkg::base::Result<Beat> {
    let spool = scene.own_spool()?;
    let growth = Growth { at, bytes: program::input(lease::LOG_STEP)? };
    let answer = lease::beat_from_afar(&spool, claim, growth, &scene.config.limit)?;
    if answer == Beat::GoOn {
        vitals::note(&spool, &claim.builder, vitals)?;
        scene.out.line(&lease::known(&spool, claim).to_string())?;
    }
    Ok(answer)
}
