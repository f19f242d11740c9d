//! syncpkg-builder NAME [FILE] - registers, pauses, forgets or lists builders, and lets their keys in

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use jiff::SignedDuration;
use syncpkg::base::clock::{age, shown};
use syncpkg::base::{Error, Result};
use syncpkg::farm::key;
use syncpkg::names::{Arch, Builder};
use syncpkg::program::{self, Abilities, Common, Json, Scene, Status};
use syncpkg::spool::builder::{self, Listed};

/// Registers, pauses or forgets a builder, lets its key in; or lists builders.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    abilities: Abilities,
    /// Give it nothing more
    #[arg(long, requires = "name", conflicts_with_all = ["resume", "forget"])]
    pause: bool,
    /// And give what it holds back to the queue
    #[arg(long, requires = "pause")]
    release: bool,
    /// End its pause, or bring it back that was set aside
    #[arg(long, requires = "name", conflicts_with = "forget")]
    resume: bool,
    /// Forget it
    #[arg(long, requires = "name")]
    forget: bool,
    /// Print the line that lets it in through ssh with the public key FILE
    #[arg(long, requires = "file", conflicts_with_all = ["archs", "pause", "resume", "forget", "json"])]
    key: bool,
    /// And add it to the authorized keys of the spool's owner
    #[arg(long, requires = "key")]
    install: bool,
    /// Which builder
    name: Option<Builder>,
    /// Its public key; - is standard input
    #[arg(requires = "key")]
    file: Option<PathBuf>,
}

fn main() -> ExitCode {
    program::run("syncpkg-builder", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let changes = args.pause || args.resume || args.forget || !args.abilities.archs.is_empty();
    match &args.name {
        Some(name) if args.key => key(&args, name, scene),
        Some(name) if changes => change(&args, name, scene),
        Some(_) | None => list(&args, scene),
    }
}

fn key(args: &Args, name: &Builder, scene: &mut Scene) -> Result<Status> {
    let text = match args.file.as_deref() {
        Some(file) if file != Path::new("-") => key::read(file)?,
        Some(_) | None => program::input_lines()?.join("\n"),
    };
    let line = key::line(name, &text, scene.config_file.as_deref())?;
    if args.install {
        let (owner, _) = scene.own_spool()?.owner()?;
        let file = key::install(&line, owner)?;
        scene.say(&format!("{name} may come with that key: {}", file.display()));
    } else {
        scene.out.line(&line)?;
    }
    Ok(Status::Done)
}

fn change(args: &Args, name: &Builder, scene: &mut Scene) -> Result<Status> {
    let spool = scene.own_spool()?;
    if let Some(profile) = args.abilities.clone().profile() {
        builder::register(&spool, name, &profile, &scene.clock)?;
    }
    if args.pause {
        builder::pause(&spool, name)?;
    }
    if args.release {
        builder::release(&spool, name, &scene.clock)?;
    }
    if args.resume {
        for line in builder::resume(&spool, name)? {
            scene.say(&format!("{name}: {line}"));
        }
    }
    if args.forget {
        builder::forget(&spool, name)?;
    }
    Ok(Status::Done)
}

fn list(args: &Args, scene: &mut Scene) -> Result<Status> {
    let mut builders = builder::listed(&scene.spool()?, scene.clock.now())?;
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
    let archs: Vec<&str> = builder.profile.archs.iter().map(Arch::as_str).collect();
    let silent = scene.clock.now().duration_since(builder.seen);
    let lease = SignedDuration::try_from(scene.config.lease.expires.0).unwrap_or(SignedDuration::MAX);
    let state = match silent > lease {
        true => format!("away since {}", shown(builder.seen)),
        false => builder.state(),
    };
    let [load, disk] = builder.vitals.shown();
    vec![builder.name.to_string(), archs.join(","), state, format!("seen {} ago", age(silent)), load, disk]
}
