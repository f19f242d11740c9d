//! The site as a whole: what it says, that nothing in it acts, that it can be made again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::sample::{Sample, day};
use super::*;
use crate::names::Outcome;

impl Sample {
    fn model(&self) -> Model {
        self.make(&self.config).unwrap().1
    }

    fn make(&self, config: &crate::config::Config) -> crate::base::Result<(Written, Model)> {
        self.write_with(|sources| site::make(config, &self.spool, &self.facts, sources, &self.clock))
    }
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let walk = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let files = walk.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            (entry.path().strip_prefix(root).unwrap().to_owned(), std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn the_model_says_what_needs_whom() {
    let farm = day();
    let model = farm.model();
    let said: Vec<String> = model
        .needs
        .iter()
        .map(|need| format!("{:?} {} {}: {}", need.turn, need.kind, need.what, need.why))
        .collect();
    assert_eq!(
        said,
        [
            "Admin paused builder b2: a person has paused it; it holds 1 ticket",
            "Admin away builder b3: not heard of; it holds nothing",
            "Admin waiting architecture armv7: 1 ticket and no builder for it",
            "Admin trouble libreoffice 24.2-1 x86_64: in prepare: cannot write /var/lib/chroot/x: No space left on device",
            "Admin held openssl 3.0.9-2 x86_64: built, not published: the signing key has expired",
            "Maintainer failed vim 9.1-1 i686: in test: 3 of 412 tests failed",
            "Maintainer failed gtk+2 2.24.33-1 x86_64: in build: the command exited with status 2",
            "Maintainer unbuilt wget 1.24-1 x86_64: never enqueued: its push was not seen",
        ]
    );
    let gtk = &model.packages["gtk+2"].stands[0];
    assert_eq!(gtk.failing_since().unwrap().to_string(), "2026-11-21T09:09:00Z");
    assert!(gtk.last_good.is_some() && model.needs[6].under_way);
}

#[test]
fn the_page_of_a_package_that_broke_names_the_commits_between_the_last_good_and_the_first_bad() {
    let mut farm = day();
    farm.config.tree.insert("current".parse().unwrap(), crate::config::TreeSection::default());
    farm.write().unwrap();
    let page = |name: &str| {
        std::fs::read_to_string(farm.config.site.join("package").join(name).join("index.html")).unwrap()
    };
    let gtk = page("gtk+2");
    assert!(
        gtk.contains("<li>2026-11-22 09:12 8f3a9c21d7e64b5f janny: a new upstream version</li>"),
        "{gtk}"
    );
    assert!(!page("vim").contains("a new upstream version"), "it never could be built");
}

#[test]
fn the_accounting_adds_up() {
    let farm = day();
    std::fs::write(farm.spool.at("bad").join("x"), "").unwrap();
    let counts = farm.model().counts;
    let expected = Counts {
        asked: 15,
        waiting: 3,
        building: 2,
        built: 4,
        failed: 2,
        trouble: 1,
        aborted: 1,
        superseded: 1,
        bad: 1,
        expired: 0,
    };
    assert_eq!(counts, expected);
    assert_eq!(count(&farm.spool).unwrap(), expected);
    farm.write().unwrap();
    let front = std::fs::read_to_string(farm.config.site.join("index.html")).unwrap();
    let sum = "15 asked = 3 waiting + 2 building + 4 built + 2 failed + 1 trouble + 1 aborted + 1 superseded + 1 bad + 0 expired";
    assert!(front.contains(sum));
}

/// The site as it is when it is made anew.
fn anew(farm: &Sample) -> BTreeMap<PathBuf, Vec<u8>> {
    let site = farm.place.path().join("anew");
    let _ = std::fs::remove_dir_all(&site);
    std::fs::remove_dir_all(farm.spool.at("cache").join("site")).unwrap();
    farm.make(&crate::config::Config { site: site.clone(), ..farm.config.clone() }).unwrap();
    files(&site)
}

/// Fails when the two are not the same, and says where.
fn assert_same(one: &BTreeMap<PathBuf, Vec<u8>>, other: &BTreeMap<PathBuf, Vec<u8>>, when: &str) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    let missing: Vec<_> = names(other).into_iter().filter(|path| !one.contains_key(path)).collect();
    let extra: Vec<_> = names(one).into_iter().filter(|path| !other.contains_key(path)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "{when}: missing {missing:?}, too many {extra:?}");
    for (path, bytes) in one {
        let (now, then) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(&other[path]));
        assert!(now == then, "{when}: {path:?} is\n{now}\n, made anew it is\n{then}");
    }
}

#[test]
fn a_site_that_was_deleted_comes_back_byte_for_byte() {
    let farm = day();
    farm.write().unwrap();
    let before = files(&farm.config.site);
    std::fs::remove_dir_all(&farm.config.site).unwrap();
    let written = farm.write().unwrap();
    assert_same(&before, &files(&farm.config.site), "made again");
    assert_eq!(written.changed, before.len());
}

#[test]
fn nothing_changed_writes_nothing_and_time_alone_changes_only_pages_about_now() {
    let mut farm = day();
    farm.write().unwrap();
    assert_eq!(farm.write().unwrap().changed, 0);
    let before = files(&farm.config.site);
    farm.set("2026-11-22T12:12:30Z");
    farm.write().unwrap();
    let after = files(&farm.config.site);
    let changed: Vec<&str> = after
        .iter()
        .filter(|(path, bytes)| before[*path] != **bytes)
        .map(|(path, _)| path.to_str().unwrap())
        .collect();
    let now = ["api/v1/status.json", "index.html", "live/index.html", "metrics.prom", "status.json"];
    assert_eq!(changed, now);
}

#[test]
fn one_more_result_reads_one_package_and_writes_few_files() {
    let mut farm = day();
    farm.age();
    farm.write().unwrap();
    farm.run(
        "zlib-1.3.1-1-i686",
        "b1",
        ("2026-11-22T12:13:00Z", "2026-11-22T12:15:00Z"),
        Outcome::Failed,
        ("build", "the command exited with status 2"),
    );
    let written = farm.write().unwrap();
    assert_eq!(written.looked, 1);
    assert!(written.changed < 45, "{written:?}");
    let now = files(&farm.config.site);
    assert_same(&now, &anew(&farm), "after one more result");
}

#[test]
fn a_run_that_stops_anywhere_is_finished_by_the_next() {
    let farm = day();
    farm.write().unwrap();
    let whole = files(&farm.config.site);
    for path in whole.keys().step_by(5) {
        std::fs::remove_dir_all(&farm.config.site).unwrap();
        // Something is in the way of this file: what is written before it stays, what would come after it is not.
        std::fs::create_dir_all(farm.config.site.join(path).join("in the way")).unwrap();
        farm.write().unwrap_err();
        let hidden =
            |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        for (path, bytes) in files(&farm.config.site).into_iter().filter(|(path, _)| !hidden(path)) {
            assert!(whole.get(&path) == Some(&bytes), "{path:?} is not whole");
        }
        std::fs::remove_dir_all(farm.config.site.join(path)).unwrap();
        farm.write().unwrap();
        assert_same(&files(&farm.config.site), &whole, "finished");
    }
}

/// Something happens in the farm, by chance.
fn happen(farm: &mut Sample, dice: &mut impl FnMut(usize) -> usize, minute: usize) {
    let time = |minute: usize| {
        let start: jiff::Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        (start + jiff::SignedDuration::from_mins(i64::try_from(minute).unwrap())).to_string()
    };
    farm.set(&time(minute * 37));
    let name = ["gcc", "zlib", "gtk+2", "a-x86_64", "a"][dice(5)];
    let arch = ["x86_64", "i686"][dice(2)];
    let item = format!("{name}-{}-1-{arch}", minute + 1);
    let outcome = [Outcome::Built, Outcome::Failed, Outcome::Failed, Outcome::Trouble][dice(4)];
    match dice(9) {
        0 | 1 => drop(farm.ask(&item, |ask| {
            ask.depends = [["gcc", "zlib"][dice(2)].parse().unwrap()].into();
            ask.batch = (dice(2) == 0).then(|| "perl".parse().unwrap());
            ask.tree = ["current", "next"][dice(2)].parse().unwrap();
        })),
        2..=4 => {
            farm.ask(&item, |ask| ask.priority = crate::names::Priority::Urgent);
            if let Some(claim) = farm.try_claim(["b1", "b2"][dice(2)], arch) {
                farm.set(&time(minute * 37 + dice(30)));
                farm.end(&claim, outcome, "build", "chance", b"x\nerror: y\n");
            }
        }
        5 => drop(farm.try_claim("b3", arch)),
        6 => {
            let open = crate::spool::list::waiting(&farm.spool).unwrap();
            if let Some(entry) = open.first() {
                let id = entry.name.id;
                crate::spool::abort::abort(&farm.spool, id.as_str(), "janny", "chance", &farm.clock).unwrap();
            }
        }
        7 => {
            let keep = crate::config::KeepSection::default();
            farm.set(&time(minute * 37 + 200 * 24 * 60));
            crate::spool::expire::expire(&farm.spool, &keep, &farm.clock).unwrap();
            farm.set(&time(minute * 37));
        }
        _ => {
            let built =
                crate::spool::list::done(&farm.spool, |entry| entry.state() == crate::names::State::Built);
            if let Some(entry) = built.unwrap().pop() {
                let hold = farm.spool.hold(&entry.name.id, entry.name.epoch);
                match dice(2) {
                    0 => std::fs::write(hold.with_extension(format!("{}.why", entry.name.epoch)), "no key")
                        .unwrap(),
                    _ => {
                        let _ = std::fs::remove_dir_all(hold);
                        farm.published.insert(entry.name.id);
                    }
                }
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_happens_the_site_is_as_if_it_was_made_anew(seed in 0usize..1_000_000) {
        let mut farm = Sample::empty();
        let mut state = seed * 2 + 1;
        let mut dice = move |sides: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % sides
        };
        for round in 0..8 {
            for step in 0..=dice(4) {
                happen(&mut farm, &mut dice, round * 8 + step);
            }
            farm.write().unwrap();
            if round % 2 == 0 {
                farm.age();
            }
        }
        farm.write().unwrap();
        let now = files(&farm.config.site);
        assert_same(&now, &anew(&farm), &format!("seed {seed}"));
    }
}

#[test]
fn mails_that_nobody_took_are_the_admins_turn_a_line_for_each_address() {
    let mut farm = Sample::empty();
    let mail =
        |to: &str, error: &str| Undelivered { to: to.to_owned(), since: None, error: error.to_owned() };
    farm.facts.undelivered = vec![mail("ann@x", "no"), mail("bob@x", "full"), mail("ann@x", "gone")];
    let needs = farm.model().needs;
    let told: Vec<_> = needs.iter().map(|need| (need.kind, &*need.what, &*need.why)).collect();
    assert_eq!(
        told,
        [
            ("mail", "2 mails to ann@x", "not taken for five days: gone; look into post/given-up"),
            ("mail", "1 mail to bob@x", "not taken for five days: full; look into post/given-up"),
        ]
    );
}

#[test]
fn names_that_mean_something_to_the_site_are_only_names() {
    let farm = Sample::empty();
    for item in ["index.html-1-1-any", "a-1-1-any", "gtk+-1-1-any", "404.html-1-1-any"] {
        farm.ask(item, |_| {});
    }
    farm.write().unwrap();
    let list = std::fs::read_to_string(farm.config.site.join("package/index.html")).unwrap();
    assert!(
        list.contains("href=\"../package/gtk%2B/index.html\"")
            && list.contains("href=\"../package/index.html~/index.html\"")
    );
}

#[test]
fn an_empty_farm_has_a_calm_front_page() {
    let farm = Sample::empty();
    farm.write().unwrap();
    let front = std::fs::read_to_string(farm.config.site.join("index.html")).unwrap();
    assert!(front.contains("Nothing needs a person"));
}

#[test]
fn a_log_that_has_ended_is_copied_once_and_a_growing_one_again() {
    let farm = Sample::empty();
    farm.ask("a-1-1-any", |_| {});
    let claim = farm.claim("b1", "x86_64");
    std::fs::write(farm.spool.live(&claim.id, 1), "one\n").unwrap();
    farm.write().unwrap();
    let copy = farm.config.site.join(format!("log/{}.1.txt", claim.id));
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "one\n");
    farm.end(&claim, Outcome::Failed, "build", "", b"one\ntwo error: \xff\n");
    farm.write().unwrap();
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "one\ntwo error: \\xff\n");
    std::fs::write(&copy, "half").unwrap();
    std::fs::remove_dir_all(farm.spool.at("cache").join("site")).unwrap();
    farm.write().unwrap();
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "one\ntwo error: \\xff\n");
}

#[test]
fn a_template_that_is_wrong_is_named() {
    let mut farm = Sample::empty();
    let own = farm.place.path().join("templates");
    std::fs::create_dir(&own).unwrap();
    farm.config.templates = Some(own.clone());
    for wrong in ["{#}", "{nothing.of.that}", "{{ if", "x\\"] {
        std::fs::write(own.join("front.html"), wrong).unwrap();
        let error = farm.write().unwrap_err();
        assert_eq!(error.kind.status(), 2, "{wrong}");
        assert!(error.to_string().contains("templates/front.html"), "{wrong}: {error}");
    }
    std::fs::write(own.join("front.html"), "ours {headline}").unwrap();
    farm.write().unwrap();
    let front = std::fs::read_to_string(farm.config.site.join("index.html")).unwrap();
    assert!(front.contains("ours Nothing needs a person"));
}

#[test]
fn pages_are_small_before_their_data_and_the_script_too() {
    let farm = Sample::empty();
    farm.write().unwrap();
    for (path, bytes) in files(&farm.config.site) {
        assert!(bytes.len() < 30 << 10, "{path:?} has {}", bytes.len());
    }
    assert!(files(&farm.config.site)[Path::new("site.js")].len() < 4096);
}

/// Run by hand to look at the pages: the site stays in the directory that is printed.
#[test]
#[ignore = "for looking at"]
fn leaves_a_site_to_look_at() {
    let mut farm = day();
    farm.config.site = std::env::temp_dir().join("syncpkg-sample-site");
    let _ = std::fs::remove_dir_all(&farm.config.site);
    farm.write().unwrap();
}
