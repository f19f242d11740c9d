//! What may happen to a spool: random, small worlds, so that things meet.

use proptest::collection::vec;
use proptest::prelude::*;
use syncpkg::names::{Outcome, Priority};

/// One thing that happens; numbers choose among what is there.
#[derive(Debug, Clone)]
pub enum Act {
    Ask {
        items: Vec<Wish>,
        priority: Priority,
        batch: Option<u8>,
        force: bool,
        spare_aborted: bool,
    },
    Claim {
        builder: u8,
        archs: Vec<&'static str>,
        count: usize,
    },
    ClaimAsBefore {
        which: usize,
    },
    Beat {
        which: usize,
    },
    Report {
        which: usize,
        outcome: Outcome,
    },
    Abort {
        which: usize,
        by: By,
    },
    Publish {
        which: usize,
    },
    Builder {
        builder: u8,
        order: Order,
    },
    Pause,
    Reclaim,
    /// All are silent for a lease, but perhaps for one.
    LoseLeases {
        heard: bool,
    },
    /// A ticket is claimed, and has trouble, as often as it may.
    Unlucky {
        builder: u8,
    },
    Later {
        seconds: i64,
    },
    Round,
    DeleteCache,
    Check,
    Restart,
}

/// One request of a batch.
#[derive(Debug, Clone)]
pub struct Wish {
    pub name: u8,
    pub version: u8,
    pub arch: &'static str,
    pub revision: u8,
    pub exact: bool,
    pub depends: Vec<u8>,
}

/// How a ticket is meant.
#[derive(Debug, Clone, Copy)]
pub enum By {
    Id,
    Name,
    Item,
}

/// What a person tells a builder.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    Pause,
    Resume,
    Release,
    Forget,
}

/// What happens, and whether its answer was lost, so that it is said again.
pub type Step = (Act, bool);

pub fn life() -> impl Strategy<Value = Vec<Step>> {
    vec((act(), prop::bool::weighted(0.15)), 1..=40)
}

fn act() -> impl Strategy<Value = Act> {
    let which = any::<usize>;
    prop_oneof![
        10 => ask(),
        10 => claim(),
        1 => which().prop_map(|which| Act::ClaimAsBefore { which }),
        2 => which().prop_map(|which| Act::Beat { which }),
        10 => (which(), outcome()).prop_map(|(which, outcome)| Act::Report { which, outcome }),
        2 => (which(), by()).prop_map(|(which, by)| Act::Abort { which, by }),
        3 => which().prop_map(|which| Act::Publish { which }),
        2 => (0..3_u8, order()).prop_map(|(builder, order)| Act::Builder { builder, order }),
        1 => Just(Act::Pause),
        1 => Just(Act::Reclaim),
        2 => any::<bool>().prop_map(|heard| Act::LoseLeases { heard }),
        1 => (0..3_u8).prop_map(|builder| Act::Unlucky { builder }),
        3 => prop_oneof![Just(1), Just(60), Just(599), Just(3600), Just(-3600)]
            .prop_map(|seconds| Act::Later { seconds }),
        2 => Just(Act::Round),
        2 => Just(Act::DeleteCache),
        1 => Just(Act::Check),
        1 => Just(Act::Restart),
    ]
}

fn ask() -> impl Strategy<Value = Act> {
    // What a request is about counts for all of a batch; so it is in every program.
    let batch = prop::option::of(0..2_u8);
    let force = prop::bool::weighted(0.2);
    (vec(wish(), 1..=4), prop::sample::select(Priority::ALL), batch, force, any::<bool>()).prop_map(
        |(items, priority, batch, force, spare_aborted)| Act::Ask {
            items,
            priority,
            batch,
            force,
            spare_aborted,
        },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    let arch = prop_oneof![6 => Just("x86_64"), 2 => Just("aarch64"), 2 => Just("any")];
    (0..4_u8, 1..3_u8, arch, 0..2_u8, any::<bool>(), vec(0..4_u8, 0..=2)).prop_map(
        |(name, version, arch, revision, exact, depends)| Wish {
            name,
            version,
            arch,
            revision,
            exact,
            depends,
        },
    )
}

fn claim() -> impl Strategy<Value = Act> {
    let archs = prop_oneof![3 => Just(vec!["x86_64"]), 1 => Just(vec!["aarch64", "x86_64"])];
    (0..3_u8, archs, 1..=3_usize).prop_map(|(builder, archs, count)| Act::Claim { builder, archs, count })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![Outcome::Built, Outcome::Failed, Outcome::Trouble])
}

fn by() -> impl Strategy<Value = By> {
    prop::sample::select(vec![By::Id, By::Name, By::Item])
}

fn order() -> impl Strategy<Value = Order> {
    prop::sample::select(vec![Order::Pause, Order::Resume, Order::Release, Order::Forget])
}
