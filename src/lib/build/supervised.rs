//! What is promised of supervised builds, tried with real processes.

use std::time::{Duration, Instant};

use super::supervise::{End, Limits, run};
use crate::base::{Error, Result};

const LONG: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits { total: LONG, silence: LONG, log: 1 << 20, grace: LONG, beat: LONG };

struct Ran {
    end: End,
    log: String,
    took: Duration,
    place: tempfile::TempDir,
}

impl Ran {
    fn leaves(&self, name: &str) -> bool {
        self.place.path().join(name).exists()
    }
}

fn sh_with(line: &str, limits: Limits, beat: &mut dyn FnMut() -> Result<Option<String>>) -> Ran {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    let command = ["bash", "-c", line].map(str::to_owned);
    let env = [("SAID".to_owned(), "hello".to_owned())];
    let start = Instant::now();
    let end = run(&command, place.path(), &env, &log, &limits, beat).unwrap();
    let bytes = std::fs::read(&log).unwrap();
    Ran { end, log: String::from_utf8_lossy(&bytes).into_owned(), took: start.elapsed(), place }
}

fn sh(line: &str, limits: Limits) -> Ran {
    sh_with(line, limits, &mut || Ok(None))
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn a_build_ends_with_its_status_and_all_it_printed() {
    let ran = sh("read x; echo \"$SAID$x\"; echo err >&2; exit 3", LIMITS);
    assert_eq!((ran.end, ran.log.as_str()), (End::Exited(3), "hello\nerr\n"));
    assert_eq!(sh("kill -SEGV $$", LIMITS).end, End::Signalled(11));
}

#[test]
fn a_silent_build_is_stopped() {
    let ran = sh("echo begun; sleep 60", Limits { silence: ms(200), ..LIMITS });
    assert_eq!(ran.end, End::SilenceLimit);
    assert_eq!(ran.log, "begun\n[syncpkg] stopped: no output for 0 s\n");
}

#[test]
fn a_build_that_closed_its_output_is_silent() {
    let ran = sh("exec >&- 2>&-; sleep 60", Limits { silence: ms(200), ..LIMITS });
    assert_eq!(ran.end, End::SilenceLimit);
}

#[test]
fn a_build_that_prints_forever_meets_the_total_limit_and_its_log_has_a_marker() {
    let ran = sh("yes", Limits { total: ms(300), silence: ms(200), log: 1000, ..LIMITS });
    assert_eq!(ran.end, End::TotalLimit);
    let cut = "[syncpkg] the log is longer than 1000 bytes: the rest is not kept\n";
    let end = "[syncpkg] stopped: it took longer than 0 s\n";
    assert_eq!(ran.log, format!("{}{cut}{end}", "y\n".repeat(500)));
}

#[test]
fn the_whole_process_group_dies_when_a_build_is_aborted() {
    let line = "(sleep 0.6; touch late) & (trap '' TERM; sleep 0.6; touch stubborn) & echo go; wait";
    let mut said = || Ok(Some("aborted by\u{1b} somebody".to_owned()));
    let ran = sh_with(line, Limits { beat: ms(100), ..LIMITS }, &mut said);
    assert_eq!(ran.end, End::Stopped("aborted by\u{1b} somebody".to_owned()));
    assert!(ran.log.ends_with("\n[syncpkg] stopped: aborted by\\u{1b} somebody\n"), "{}", ran.log);
    std::thread::sleep(ms(800));
    assert!(!ran.leaves("late") && !ran.leaves("stubborn"));
}

#[test]
fn a_build_that_ignores_term_is_killed_after_the_grace() {
    let line = "trap '' TERM; while :; do sleep 0.05; done";
    let ran = sh(line, Limits { total: ms(100), grace: ms(200), ..LIMITS });
    assert_eq!(ran.end, End::TotalLimit);
    assert!(ran.took >= ms(300) && ran.took < ms(5000), "{:?}", ran.took);
}

#[test]
fn a_build_may_clean_up_in_the_grace() {
    let line = "trap 'touch clean; exit' TERM; while :; do sleep 0.05; done";
    assert!(sh(line, Limits { total: ms(100), ..LIMITS }).leaves("clean"));
}

#[test]
fn a_grandchild_that_keeps_the_pipe_open_does_not_hang_the_farm() {
    let ran = sh("setsid sleep 3 & setsid timeout 3 yes & sleep 0.1; echo done", LIMITS);
    assert_eq!(ran.end, End::Exited(0));
    assert!(ran.took < ms(2500), "{:?}", ran.took);
}

#[test]
fn a_master_that_is_away_stops_no_build() {
    let mut beats = 0;
    let mut beat = || {
        beats += 1;
        Err(Error::again("cannot reach the master"))
    };
    let ran = sh_with("sleep 0.35", Limits { beat: ms(100), ..LIMITS }, &mut beat);
    assert_eq!(ran.end, End::Exited(0));
    assert!((2..=3).contains(&beats), "{beats}");
}

#[test]
fn a_command_that_is_not_there_leaves_a_word_in_the_log() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    let command = ["no-such-command".to_owned()];
    let end = run(&command, place.path(), &[], &log, &LIMITS, &mut || Ok(None)).unwrap();
    // 126 when a directory of PATH may not be searched.
    assert!(matches!(end, End::Exited(126 | 127)), "{end:?}");
    assert!(std::fs::read_to_string(&log).unwrap().contains("no-such-command"));
    let gone = place.path().join("gone");
    assert!(run(&command, &gone, &[], &log, &LIMITS, &mut || Ok(None)).is_err());
    assert!(run(&[], place.path(), &[], &log, &LIMITS, &mut || Ok(None)).is_err());
}
