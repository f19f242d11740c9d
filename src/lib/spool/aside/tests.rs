//! Which builders are set aside, for how long, and what becomes of their mails.

use super::*;
use crate::config::Span;

fn at(seconds: i64) -> Timestamp {
    "2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn broke(name: &str, second: i64) -> Sign {
    let id = format!("20261122-1200{second:02}-000-aaaaaa").parse().unwrap();
    let [tree, arch] = ["current", "x86_64"];
    let (tree, arch) = (tree.parse().unwrap(), arch.parse().unwrap());
    Sign::Broke(Failure { tree, name: name.parse().unwrap(), arch, id, epoch: 1, ended: at(second) })
}

fn after(signs: &[(i64, Sign)]) -> Conduct {
    let rules = TroubleSection::default();
    signs
        .iter()
        .fold(Conduct::default(), |conduct, (second, sign)| conduct.after(sign.clone(), &rules, at(*second)))
}

/// How long it rests, seconds, right after so many troubles, each at the end of the rest before.
fn rest_after(troubles: usize) -> u64 {
    let (rules, mut now) = (TroubleSection::default(), at(0));
    let mut conduct = Conduct::default();
    for _ in 0..troubles {
        now = conduct.until.unwrap_or(now);
        conduct = conduct.after(Sign::Trouble, &rules, now);
    }
    conduct.rests(now).unwrap_or_default().as_secs()
}

#[test]
fn after_three_troubles_in_a_row_it_rests_for_ten_seconds_and_twice_as_long_each_time_up_to_an_hour() {
    assert_eq!([1, 2, 3, 4, 5].map(rest_after), [0, 0, 10, 20, 40]);
    assert_eq!([11, 12, 40].map(rest_after), [2560, 3600, 3600]);
}

#[test]
fn whatever_was_built_or_failed_by_the_package_begins_a_new_row() {
    for good in [Sign::Built, Sign::Failed, broke("gcc", 2)] {
        let signs = [(0, Sign::Trouble), (1, Sign::Trouble), (2, good), (3, Sign::Trouble)];
        assert_eq!(after(&signs).troubles, 1);
    }
    assert_eq!(after(&[(0, Sign::Trouble), (1, Sign::Built)]), Conduct::default());
}

#[test]
fn sixteen_slots_with_a_full_disk_are_one_trouble() {
    let conduct = after(&[(0, Sign::Trouble), (0, Sign::Trouble), (0, Sign::Trouble)]);
    let more = (0..13).fold(conduct.clone(), |conduct, second| {
        conduct.after(Sign::Trouble, &TroubleSection::default(), at(second % 10))
    });
    assert_eq!(more, conduct);
}

#[test]
fn a_clock_that_was_wrong_sets_nobody_aside_for_years() {
    let conduct = after(&[(0, Sign::Trouble), (0, Sign::Trouble), (0, Sign::Trouble)]);
    assert!(conduct.aside(at(9)).is_some() && conduct.aside(at(10)).is_none());
    assert!(conduct.aside(at(-4000)).is_none());
}

#[test]
fn five_different_packages_in_a_row_that_had_been_built_set_it_aside_until_somebody_looks() {
    let names = ["gcc", "make", "tar", "sed", "bash"];
    let signs: Vec<(i64, Sign)> =
        names.iter().zip(0..).map(|(name, second)| (second, broke(name, second))).collect();
    assert!(after(&signs[..4]).aside(at(9)).is_none());
    let conduct = after(&signs);
    let aside = conduct.aside(at(1_000_000)).unwrap();
    assert!(aside.until.is_none() && aside.since == Some(at(4)), "{aside:?}");
    assert!(aside.why.ends_with("built before: bash, gcc, make, sed, tar"), "{}", aside.why);
    let meanwhile = conduct.after(Sign::Built, &TroubleSection::default(), at(9));
    assert!(meanwhile.aside(at(9)).is_some(), "what it builds meanwhile does not bring it back");
}

#[test]
fn one_package_for_five_architectures_is_one_package() {
    let signs = [0, 1, 2, 3, 4, 5].map(|second| (second, broke("gcc", second)));
    assert!(after(&signs).aside(at(9)).is_none());
}

#[test]
fn something_built_in_between_begins_a_new_row_of_failures() {
    let mut signs: Vec<(i64, Sign)> =
        ["gcc", "make", "tar", "sed"].iter().zip(0..).map(|(name, n)| (n, broke(name, n))).collect();
    signs.extend([(5, Sign::Built), (6, broke("bash", 6))]);
    assert!(after(&signs).aside(at(9)).is_none());
}

#[test]
fn the_first_failure_is_told_at_once_and_several_in_a_row_wait_for_half_an_hour_or_for_a_person() {
    let rules = TroubleSection { failures: 3, hold: Span::seconds(1800), ..TroubleSection::default() };
    let holds = |conduct: &Conduct, second: i64, now: i64| {
        let Sign::Broke(failure) = broke("any", second) else { unreachable!() };
        conduct.holds(&failure.id, 1, &rules, at(now))
    };
    let one = Conduct::default().after(broke("gcc", 1), &rules, at(1));
    assert!(!holds(&one, 1, 1));
    let two = one.after(broke("make", 2), &rules, at(2));
    assert!(holds(&two, 1, 2) && holds(&two, 2, 1801) && !holds(&two, 2, 1802));
    assert!(!holds(&two, 3, 2), "another");
    let three = two.after(broke("tar", 3), &rules, at(3));
    assert!(holds(&three, 1, 1_000_000) && holds(&three, 3, 1_000_000));
    let none = TroubleSection { failures: 0, ..rules.clone() };
    assert!(!two_of(&none).holds(&"20261122-120001-000-aaaaaa".parse().unwrap(), 1, &none, at(2)));
}

fn two_of(rules: &TroubleSection) -> Conduct {
    Conduct::default().after(broke("gcc", 1), rules, at(1)).after(broke("make", 2), rules, at(2))
}
