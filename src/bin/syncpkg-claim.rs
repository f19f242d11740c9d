//! syncpkg-claim --builder B --arch A... - claims a waiting ticket

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use syncpkg::base::clock::parse_age;
use syncpkg::config::Bytes;
use syncpkg::farm::offer::Offer;
use syncpkg::names::{Arch, Builder, Instance, Name, Word};
use syncpkg::program::{self, Common, Json, Scene, Status};
use syncpkg::spool::claim::{self, Request};
use syncpkg::spool::vitals::{self, Load};

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
    /// What packages may need of the builder, and it has; may be repeated
    #[arg(long = "tag", value_name = "T", value_delimiter = ',')]
    tags: Vec<Word>,
    /// Memory it has for a build, bytes or like 8GiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<Bytes>,
    /// Free space it has for a build
    #[arg(long, value_name = "SIZE")]
    disk: Option<Bytes>,
    /// The load of its host, to be shown
    #[arg(long, value_name = "N")]
    load: Option<Load>,
    /// Packages left to other builders
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    except: Vec<Name>,
    /// Packages taken when there is nothing else
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    last: Vec<Name>,
}

fn main() -> ExitCode {
    program::run("syncpkg-claim", |args| &args.common, claim)
}

fn claim(args: Args, scene: &mut Scene) -> syncpkg::base::Result<Status> {
    let spool = scene.own_spool()?;
    let Args { tags, memory, disk, load, except, last, .. } = args;
    let offer = Offer { tags, memory, disk, load, except, last };
    vitals::note(&spool, &args.builder, offer.vitals())?;
    let request = Request {
        builder: args.builder,
        instance: args.instance.map_or_else(Instance::random, Ok)?,
        archs: args.archs,
        count: args.count.unwrap_or(1).into(),
        choice: offer.choice(&scene.config.need),
    };
    let claimed = match args.wait {
        None => claim::take(&spool, &request, &scene.clock)?,
        Some(limit) => claim::wait(&spool, &request, limit, &program::is_unheard, &scene.clock)?,
    };
    let rows: Vec<_> = claimed.iter().map(claim::Claimed::row).collect();
    if args.json.json {
        program::objects(&mut scene.out, &rows)?;
    } else {
        scene.out.bytes(claim::text(&rows, args.count.is_some())?.as_bytes())?;
    }
    Ok(Status::Done)
}
