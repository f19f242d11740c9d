//! What holds of files that are put, moved, replaced.

use super::*;

fn spool() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let (tmp, target) = (place.path().join("tmp"), place.path().join("a/b/name"));
    fs::create_dir(&tmp).unwrap();
    (place, tmp, target)
}

#[test]
fn a_name_is_put_once_and_a_repeat_is_recognised() {
    let (_place, tmp, target) = spool();
    assert_eq!(put(&tmp, &target, b"one").unwrap(), Put::Made);
    assert_eq!(put(&tmp, &target, b"one").unwrap(), Put::Same);
    assert_eq!(put(&tmp, &target, b"two").unwrap(), Put::Differs);
    assert_eq!(fs::read(&target).unwrap(), b"one");
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0, "nothing stays in tmp");
}

#[test]
fn of_several_files_put_together_one_that_is_there_stands() {
    let (place, tmp, target) = spool();
    let other = place.path().join("b/other");
    put(&tmp, &target, b"one").unwrap();
    put_all(&tmp, &[(target.clone(), b"two".to_vec()), (other.clone(), b"three".to_vec())]).unwrap();
    assert_eq!((fs::read(&target).unwrap(), fs::read(&other).unwrap()), (b"one".to_vec(), b"three".to_vec()));
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0, "nothing stays in tmp");
}

#[test]
fn one_of_two_movers_wins_and_a_taken_name_is_never_overwritten() {
    let (place, tmp, from) = spool();
    let to = place.path().join("elsewhere/name");
    put(&tmp, &from, b"one").unwrap();
    assert_eq!(shift(&from, &to).unwrap(), Shift::Moved);
    assert_eq!(shift(&from, &to).unwrap(), Shift::Gone);
    put(&tmp, &from, b"two").unwrap();
    assert!(shift(&from, &to).is_err());
    assert_eq!((fs::read(&to).unwrap(), fs::read(&from).unwrap()), (b"one".to_vec(), b"two".to_vec()));
}

#[test]
fn the_same_failure_says_the_same_each_time() {
    let (place, _, target) = spool();
    fs::write(place.path().join("file"), "").unwrap();
    let fail = || put(&place.path().join("file"), &target, b"one").unwrap_err().to_string();
    assert_eq!(fail(), fail());
    assert_eq!(fail(), format!("cannot create {}: Not a directory", target.display()));
}

#[test]
fn a_file_moved_onto_itself_is_not_lost() {
    let (_place, tmp, name) = spool();
    put(&tmp, &name, b"one").unwrap();
    assert_eq!(shift(&name, &name).unwrap(), Shift::Moved);
    assert_eq!(fs::read(&name).unwrap(), b"one");
    fs::remove_file(&name).unwrap();
    assert_eq!(shift(&name, &name).unwrap(), Shift::Gone);
}

#[test]
fn what_cannot_be_flushed_is_not_moved_onto_itself() {
    let (place, _, _) = spool();
    let link = place.path().join("link");
    std::os::unix::fs::symlink("nothing", &link).unwrap();
    assert!(shift(&link, &link).is_err());
}

#[test]
fn many_files_are_named_with_one_answer() {
    let (place, tmp, _) = spool();
    let targets: Vec<_> = (0..50).map(|n| place.path().join(format!("d{}/f{n}", n % 3))).collect();
    targets.iter().enumerate().for_each(|(n, _)| draft(&tmp.join(format!("f{n}")), &vec![b'x'; n]).unwrap());
    name_all(&tmp, &mut targets.iter().cloned().map(Ok)).unwrap();
    assert!(targets.iter().enumerate().all(|(n, path)| fs::read(path).unwrap() == vec![b'x'; n]));
}

#[test]
fn what_is_handed_in_twice_is_there_once() {
    let (place, _, _) = spool();
    let log = place.path().join("live/log");
    for (offset, bytes) in [(0, "abc"), (3, "def"), (3, "def")] {
        write_at(&log, offset, bytes.as_bytes()).unwrap();
    }
    assert_eq!(fs::read_to_string(log).unwrap(), "abcdef");
}

#[test]
fn a_second_name_takes_the_place_of_another() {
    let (place, _, _) = spool();
    let at = |name: &str| place.path().join(name);
    ["one", "two"].iter().for_each(|name| fs::write(at(name), name).unwrap());
    for (of, content) in [("one", "one"), ("one", "one"), ("two", "two")] {
        link(&at(of), &at("index/name")).unwrap();
        assert_eq!(fs::read_to_string(at("index/name")).unwrap(), content);
    }
    assert_eq!(fs::read_dir(at("index")).unwrap().count(), 1, "nothing else is left there");
}

#[test]
fn a_directory_that_is_removed_again_and_again_is_made_again() {
    let (place, _, _) = spool();
    let target = place.path().join("chunk");
    std::thread::scope(|scope| {
        // Fewer times than anybody tries.
        scope.spawn(|| (0..1_000_000).filter(|_| prune(&target)).take(50).count());
        for n in 0..200 {
            let from = place.path().join(format!("f{n}"));
            fs::write(&from, "x").unwrap();
            assert_eq!(shift(&from, &target.join(format!("f{n}"))).unwrap(), Shift::Moved);
            fs::remove_file(target.join(format!("f{n}"))).unwrap();
        }
    });
}

#[test]
fn a_link_is_never_followed() {
    let (place, _, _) = spool();
    let link = place.path().join("link");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    assert!(read(&link, 1 << 20).is_err());
    assert!(write_at(&link, 0, b"x").is_err());
}

#[test]
fn what_has_not_changed_is_not_written() {
    let (place, _, _) = spool();
    let page = place.path().join("site/index.html");
    assert!(replace(&page, b"one").unwrap());
    assert!(!replace(&page, b"one").unwrap());
    assert!(replace(&page, b"two").unwrap());
    for (bytes, differs) in
        [(&b"one"[..], true), (b"one", false), (b"", true), (b"", false), (b"longer", true)]
    {
        assert_eq!(super::page(&page, bytes).unwrap(), differs);
        assert_eq!(fs::read(&page).unwrap(), bytes);
    }
}

#[test]
fn when_the_directory_that_was_left_is_gone_the_one_above_it_is_flushed() {
    let place = tempfile::tempdir().unwrap();
    sync_left(&place.path().join("gone")).unwrap();
    sync_left(&place.path().join("gone/too")).unwrap();
    // Nobody can flush this one, so here it shows whether it is tried.
    assert!(sync_left(Path::new("/proc/gone")).is_err());
}

#[test]
fn a_look_at_all_of_a_directory_says_what_a_look_at_each_says() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(changes(&root.path().join("none")).unwrap(), []);
    fs::create_dir(root.path().join("one")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.path().join("two")).unwrap();
    let mut all = changes(root.path()).unwrap();
    all.sort();
    let each = |name: &str| (name.to_owned(), changed(&root.path().join(name)).unwrap().unwrap());
    assert_eq!(all, [each("one"), each("two")]);
}
