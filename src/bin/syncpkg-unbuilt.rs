//! syncpkg-unbuilt - lists what the tree wants and nobody built

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use syncpkg::base::clock::parse_age;
use syncpkg::base::error::Kind;
use syncpkg::base::{Result, lock};
use syncpkg::farm::ask::Asker;
use syncpkg::farm::unbuilt::{self, Filter, Found, Obsolete};
use syncpkg::names::{Arch, Tree};
use syncpkg::program::{self, Common, Json, Scene, Status};
use syncpkg::spool::Spool;
use syncpkg::tree::Desk;

/// Lists what the tree wants and the package directory lacks, with the cause.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: Json,
    /// Missing for longer than this
    #[arg(long, value_name = "AGE", default_value = "2d", value_parser = parse_age)]
    older_than: Duration,
    /// Only of this tree
    #[arg(long, value_name = "T")]
    tree: Option<Tree>,
    /// Only for this architecture
    #[arg(long, value_name = "A")]
    arch: Option<Arch>,
    /// Ask for builds of what is listed
    #[arg(long)]
    enqueue: bool,
    /// Print the lines of Frugalware's test-suite
    #[arg(long, conflicts_with_all = ["json", "enqueue"])]
    fst: bool,
    /// List the packages in the package directory that no recipe wants any more
    #[arg(long, conflicts_with_all = ["fst", "enqueue", "older_than"])]
    obsolete: bool,
}

fn main() -> ExitCode {
    program::run("syncpkg-unbuilt", |args| &args.common, run)
}

fn run(args: Args, scene: &mut Scene) -> Result<Status> {
    let spool = if args.enqueue { scene.own_spool()? } else { scene.spool()? };
    let filter = Filter { tree: args.tree.clone(), arch: args.arch.clone(), older_than: args.older_than };
    let desk = program::desk(Some(&spool));
    if args.obsolete {
        return obsolete(&filter, &desk, args.json.json, scene);
    }
    let found = unbuilt::find(&scene.config, &spool, &filter, &desk, &scene.clock)?;
    if args.enqueue {
        return enqueue(&found, &spool, args.json.json, scene);
    }
    if args.json.json {
        program::objects(&mut scene.out, &found.rows)?;
    } else if args.fst {
        found.fst(scene.clock.now()).iter().try_for_each(|line| scene.out.line(line))?;
        say_unreadable(&found, scene);
    } else {
        found.rows.iter().try_for_each(|row| scene.out.line(&row.line))?;
    }
    Ok(if found.rows.is_empty() { Status::Done } else { Status::No })
}

/// Of these no version is known that could be listed or asked for.
fn say_unreadable(found: &Found, scene: &Scene) {
    found.rows.iter().filter(|row| row.item.is_none()).for_each(|row| scene.say(&row.line));
}

fn obsolete(filter: &Filter, desk: &Desk, json: bool, scene: &mut Scene) -> Result<Status> {
    let found = unbuilt::obsolete(&scene.config, filter, desk)?;
    if json {
        program::objects(&mut scene.out, &found)?;
    } else {
        let line = |one: &Obsolete| format!("{}: {}", one.file.display(), one.cause);
        found.iter().try_for_each(|one| scene.out.line(&line(one)))?;
    }
    Ok(if found.is_empty() { Status::Done } else { Status::No })
}

fn enqueue(found: &Found, spool: &Spool, json: bool, scene: &mut Scene) -> Result<Status> {
    say_unreadable(found, scene);
    let by = scene.caller.name();
    let asker = Asker { progress: program::progress, ..Asker::unwatched(&by, lock::PATIENCE) };
    let mut answers = unbuilt::enqueue(&scene.config, spool, &found.rows, asker, &scene.clock)?;
    // What failed or was aborted stays so; the list without --enqueue says so.
    answers.retain(|answer| answer.ticket.as_ref().err().is_none_or(|error| error.kind != Kind::No));
    scene.print_tickets(spool, &answers, json)
}
