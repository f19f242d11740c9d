//! syncpkg-ls [STATE...] - lists tickets

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::ValueEnum;
use syncpkg::base::Result;
use syncpkg::base::clock::{age, parse_age};
use syncpkg::names::{Arch, Builder, State, Tree, Word};
use syncpkg::program::{self, Common, Json, Scene, Status};
use syncpkg::spool::listed::{self, Filter, Listed};

/// Lists tickets; without a state those that wait or are being built.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: Json,
    /// Only for this architecture
    #[arg(long, value_name = "A")]
    arch: Option<Arch>,
    /// Only of this tree
    #[arg(long, value_name = "T")]
    tree: Option<Tree>,
    /// Only of this builder
    #[arg(long, value_name = "B")]
    builder: Option<Builder>,
    /// Only with this text in the maintainer's name or address
    #[arg(long, value_name = "M")]
    maintainer: Option<String>,
    /// Only ended in this stage
    #[arg(long, value_name = "S")]
    stage: Option<String>,
    /// Only of this batch
    #[arg(long, value_name = "B")]
    batch: Option<Word>,
    /// Only in their state for at most so long
    #[arg(long, value_name = "DURATION", value_parser = parse_age)]
    since: Option<Duration>,
    /// Print only what syncpkg-enqueue takes
    #[arg(long)]
    names: bool,
    /// waiting, building, built, failed, trouble, aborted, superseded or all
    #[arg(value_name = "STATE", value_parser = states)]
    states: Vec<States>,
}

/// One state, or all.
#[derive(Debug, Clone)]
struct States(Vec<State>);

fn states(text: &str) -> Result<States, String> {
    match text {
        "all" => Ok(States(State::ALL.to_vec())),
        one => State::from_str(one, false).map(|state| States(vec![state])).map_err(|_| {
            let all: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
            format!("the states are {}, all", all.join(", "))
        }),
    }
}

fn main() -> ExitCode {
    program::run("syncpkg-ls", |args| &args.common, ls)
}

fn ls(args: Args, scene: &mut Scene) -> Result<Status> {
    let filter = Filter {
        states: args.states.into_iter().flat_map(|states| states.0).collect(),
        arch: args.arch,
        tree: args.tree,
        builder: args.builder,
        maintainer: args.maintainer,
        stage: args.stage,
        batch: args.batch,
        since: args.since,
    };
    let (spool, clock) = (scene.spool()?, scene.clock);
    let mut rows = Vec::new();
    listed::listing(&spool, &filter, &clock, &mut |ticket| {
        if args.json.json {
            return program::objects(&mut scene.out, &[ticket]);
        }
        if args.names {
            return scene.out.line(&format!("{}/{}", ticket.tree, ticket.item()));
        }
        rows.push(row(&ticket, scene));
        if rows.len() < PAGE { Ok(()) } else { program::table(&mut scene.out, &std::mem::take(&mut rows)) }
    })?;
    program::table(&mut scene.out, &rows)?;
    Ok(Status::Done)
}

/// So many rows are aligned together; who lists more does not wait for the last of them to see the first.
const PAGE: usize = 1000;

fn row(ticket: &Listed, scene: &Scene) -> Vec<String> {
    vec![
        ticket.state.to_string(),
        age(scene.clock.now().duration_since(ticket.since)),
        ticket.item().to_string(),
        ticket.tree.to_string(),
        ticket.priority.to_string(),
        ticket.builder.as_ref().map_or_else(|| "-".to_owned(), Builder::to_string),
        ticket.id.to_string(),
        ticket.reason.clone(),
    ]
}
