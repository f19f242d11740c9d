//! syncpkg-builder NAME - registers, pauses, forgets or lists builders

use std::process::ExitCode;

use clap::Parser;
use syncpkg::base::clock::age;
use syncpkg::base::{Error, Result};
use syncpkg::names::{Arch, Builder};
use syncpkg::program::{self, Common, Json, Scene, Status};
use syncpkg::spool::builder::{self, Listed};

/// Registers a builder, pauses or forgets it; without options lists builders.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: Json,
    /// Register it as building this; may be repeated
    #[arg(long = "arch", value_name = "A", value_delimiter = ',', requires = "name")]
    archs: Vec<Arch>,
    /// Give it nothing more
    #[arg(long, requires = "name", conflicts_with_all = ["resume", "forget"])]
    pause: bool,
    /// And give what it holds back to the queue
    #[arg(long, requires = "pause")]
    release: bool,
    /// End its pause
    #[arg(long, requires = "name", conflicts_with = "forget")]
    resume: bool,
    /// Forget it
    #[arg(long, requires = "name")]
    forget: bool,
    /// Which builder
    name: Option<Builder>,
}

fn main() -> ExitCode {
    program::run("syncpkg-builder", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let changes = args.pause || args.resume || args.forget || !args.archs.is_empty();
    match &args.name {
        Some(name) if changes => change(&args, name, scene),
        Some(_) | None => list(&args, scene),
    }
}

fn change(args: &Args, name: &Builder, scene: &mut Scene) -> Result<Status> {
    let spool = scene.own_spool()?;
    if !args.archs.is_empty() {
        builder::register(&spool, name, &args.archs, &scene.clock)?;
    }
    if args.pause {
        builder::pause(&spool, name)?;
    }
    if args.release {
        builder::release(&spool, name, &scene.clock)?;
    }
    if args.resume {
        builder::resume(&spool, name)?;
    }
    if args.forget {
        builder::forget(&spool, name)?;
    }
    Ok(Status::Done)
}

fn list(args: &Args, scene: &mut Scene) -> Result<Status> {
    let mut builders = builder::listed(&scene.spool()?)?;
    if let Some(name) = &args.name {
        builders.retain(|builder| builder.name == *name);
        if builders.is_empty() {
            return Err(Error::no(format!("there is no builder {name}")));
        }
    }
    if args.json.json {
        program::objects(&mut scene.out, &builders)?;
    } else {
        let rows: Vec<_> = builders.iter().map(|builder| row(builder, scene)).collect();
        program::table(&mut scene.out, &rows)?;
    }
    Ok(Status::Done)
}

fn row(builder: &Listed, scene: &Scene) -> Vec<String> {
    let archs: Vec<&str> = builder.archs.iter().map(Arch::as_str).collect();
    let state = match (builder.paused, builder.building) {
        (true, 0) => "paused".to_owned(),
        (true, n) => format!("paused, building {n}"),
        (false, 0) => "idle".to_owned(),
        (false, n) => format!("building {n}"),
    };
    let seen = age(scene.clock.now().duration_since(builder.seen));
    vec![builder.name.to_string(), archs.join(","), state, format!("seen {seen} ago")]
}
