//! syncpkg-claim --builder B --arch A... - claims a waiting ticket

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use syncpkg::base::clock::parse_age;
use syncpkg::names::{Arch, Builder, Instance};
use syncpkg::program::{self, Common, Json, Scene, Status};
use syncpkg::spool::claim::{self, Request};

/// Claims a waiting ticket for a builder and prints it.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: Json,
    /// Who claims
    #[arg(long, value_name = "B")]
    builder: Builder,
    /// What it can build; may be repeated
    #[arg(long = "arch", value_name = "A", required = true, value_delimiter = ',')]
    archs: Vec<Arch>,
    /// A word made anew for each request; repeat it only to repair a lost answer
    #[arg(long, value_name = "I")]
    instance: Option<Instance>,
    /// Wait until there is work, for ever or so long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = parse_age)]
    wait: Option<Option<Duration>>,
    /// How many tickets at the most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: Option<u16>,
}

fn main() -> ExitCode {
    program::run("syncpkg-claim", |args| &args.common, claim)
}

fn claim(args: Args, scene: &mut Scene) -> syncpkg::base::Result<Status> {
    let spool = scene.own_spool()?;
    let request = Request {
        builder: args.builder,
        instance: args.instance.map_or_else(Instance::random, Ok)?,
        archs: args.archs,
        count: args.count.unwrap_or(1).into(),
    };
    let claimed = match args.wait {
        None => claim::take(&spool, &request, &scene.clock)?,
        Some(limit) => claim::wait(&spool, &request, limit, &|| false, &scene.clock)?,
    };
    let rows: Vec<_> = claimed.iter().map(claim::Claimed::row).collect();
    if args.json.json {
        program::objects(&mut scene.out, &rows)?;
    } else {
        scene.out.bytes(claim::text(&rows, args.count.is_some())?.as_bytes())?;
    }
    Ok(Status::Done)
}
