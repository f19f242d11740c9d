//! What holds of a builder, without programs.

use super::*;
use crate::spool::{Spool, list, queue};

/// Nobody asks anything of the builder, and nobody listens.
struct Quiet;

impl Service for Quiet {
    fn ends(&self) -> usize {
        0
    }

    fn reread(&self) -> Option<Result<Config>> {
        None
    }

    fn say(&self, _: &str) {}

    fn lives(&self, _: &str) {}
}

#[test]
fn what_a_builder_got_and_did_not_begin_before_it_was_killed_is_given_back_when_it_starts_again() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("spool")).unwrap();
    queue::enqueue(&spool, &[crate::spool::sample_ask()], &Clock::system(), lock::PATIENCE).unwrap();
    let work = place.path().join("work");
    let text = format!("[builder]\nwork = \"{}\"\narchs = [\"x86_64\"]\n", work.display());
    let config = crate::config::parse(&text, "syncpkg.toml").unwrap();
    let (master, clock) = (Master::Here(&spool), Clock::system());
    let start = || {
        let worker = Worker::new("b1".parse().unwrap(), config.clone(), &master, &clock, "host", &Quiet);
        durable::make_dir(&worker.home).unwrap();
        worker.outbox().give_back_interrupted().unwrap();
        worker.deliver().unwrap();
        worker
    };
    let count = || (list::building(&spool).unwrap().len(), list::waiting(&spool).unwrap().len());

    start().claim(&config, false).unwrap().unwrap();
    assert_eq!(count(), (1, 0));
    start();
    assert_eq!(count(), (0, 1));
}
