//! What holds of batches that are held back, without programs.

use std::fs;
use std::path::Path;

use super::*;

#[test]
fn a_line_of_a_list_is_read_as_it_was_written_and_no_other() {
    let line = "current gcc x86_64 20261122-120000-000-aaaaaa";
    let Member { package, id } = Member::read(line.as_bytes()).unwrap();
    let Package { tree, name, arch } = package;
    assert_eq!(format!("{tree} {name} {arch} {id}"), line);
    for bad in ["", "x", &format!("{line} more"), &line.replace("gcc", "../gcc")] {
        assert_eq!(Member::read(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn what_keeps_a_batch_back_is_said_in_one_line_however_much_it_is() {
    let batch = "b".parse().unwrap();
    let open: Vec<String> = (0..5).map(|n| format!("p{n} waits")).collect();
    let wanted =
        "batch b is held back until all of it is built, 2 of 7 are: p0 waits, p1 waits, p2 waits, and 2 more";
    assert_eq!(said(&batch, 2, &open), wanted);
}

/// A spool in which batch `b` is held back, to which `count` packages belong.
fn held(place: &Path, count: usize) -> Spool {
    let spool = Spool::create(&place.join("spool")).unwrap();
    let (tree, id) = ("current".parse().unwrap(), "20261122-120000-000-bbbbbb".parse().unwrap());
    let names = (0..count).flat_map(|n| [format!("p{n}"), format!("p{n}-libs"), format!("p{n}+x")]);
    let tickets: Vec<(Id, Item)> =
        names.map(|name| (id, format!("{name}-1-1-x86_64").parse().unwrap())).collect();
    let tickets = tickets.iter().map(|ticket| (&tree, ticket)).collect();
    hold(&spool, &"b".parse().unwrap(), tickets, &Clock::system()).unwrap();
    spool
}

fn batch_of(spool: &Spool, id: &str, item: &str) -> Option<String> {
    let name = format!("5,{id},current,{item},e0").parse().unwrap();
    let batch = HeldBack::open(spool).unwrap().batch_of(&name, None).unwrap();
    batch.map(|batch| batch.to_string())
}

#[test]
fn a_package_belongs_to_a_batch_from_the_ticket_that_was_asked_for_with_it_on_however_long_the_list() {
    for count in [1, 10_000] {
        let place = tempfile::tempdir().unwrap();
        let spool = held(place.path(), count);
        let length = fs::metadata(&lists(&spool, &"b".parse().unwrap()).unwrap()[0]).unwrap().len();
        assert_eq!(length > SHORT, count > 1);
        assert!(members(&spool, &"b".parse().unwrap(), |_| Ok(())).unwrap(), "in order");
        let last = format!("p{}", count - 1);
        let is_of = |id, item: &str| batch_of(&spool, id, &item.replace("gcc", &last)).is_some();
        assert!(is_of("20261122-120000-000-bbbbbb", "gcc-1-1-x86_64"));
        assert!(is_of("20261123-120000-000-aaaaaa", "gcc-2-1-x86_64"), "whatever takes its place");
        assert!(!is_of("20261122-120000-000-aaaaaa", "gcc-1-1-x86_64"), "asked for before");
        assert!(!is_of("20261122-120000-000-bbbbbb", "gcc-1-1-i686"));
        assert!(!is_of("20261122-120000-000-bbbbbb", "make-1-1-x86_64"));
    }
}

#[test]
fn of_a_list_that_is_damaged_or_not_in_order_something_may_be_missed_and_that_is_said() {
    let place = tempfile::tempdir().unwrap();
    let (spool, batch) = (held(place.path(), 1), "b".parse().unwrap());
    let path = lists(&spool, &batch).unwrap().remove(0);
    let text = fs::read_to_string(&path).unwrap();
    let is_all = || members(&spool, &batch, |_| Ok(())).unwrap();
    assert!(is_all() && strange(&spool).unwrap().is_empty());
    let reversed: Vec<&str> = text.lines().rev().collect();
    for damaged in [reversed.join("\n"), text.replace("p0+x", "?"), text.replace("libs x86_64", "libs")] {
        fs::write(&path, damaged).unwrap();
        assert!(!is_all());
        assert_eq!(strange(&spool).unwrap().len(), 1);
        assert!(why(&spool, &batch).unwrap().unwrap().contains("is damaged"));
    }
    fs::remove_file(&path).unwrap();
    assert!(is_all(), "let go");
    assert_eq!(why(&spool, &batch).unwrap(), None);
}
