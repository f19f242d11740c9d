//! What the gate lets through, and what it refuses.

use super::*;

const CLAIM: &str = "b1.20261122-144743-123-k3f7x2.1.x7k2m9qa";

fn judge(text: &str) -> Result<Request> {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("s")).unwrap();
    let gate = Gate { builder: &"b1".parse().unwrap(), spool: &spool, quota: &QuotaSection::default() };
    gate.judge(&text.replace("/s", &spool.root().to_string_lossy()))
}

#[test]
fn a_builder_may_claim_beat_report_register_and_look() {
    for (text, wanted) in [
        (
            "syncpkg-claim --spool /s --json --builder b1 --arch x86_64,i686 --instance a1 --count 2 --wait=5m",
            "syncpkg-claim --json --builder b1 --arch x86_64,i686 --instance a1 --count 2 --wait=5m",
        ),
        ("syncpkg-claim --builder=b1 --wait", "syncpkg-claim --builder b1 --wait"),
        (&format!("syncpkg-beat {CLAIM} --log-at 17"), &format!("syncpkg-beat {CLAIM} --log-at 17")),
        (
            &format!("syncpkg-report --delivered {0} {CLAIM}", "a".repeat(64)),
            &format!("syncpkg-report --delivered {0} {CLAIM}", "a".repeat(64)),
        ),
        ("syncpkg-builder --arch x86_64 b1", "syncpkg-builder --arch x86_64 b1"),
        (
            "syncpkg-builder --arch x86_64 --slots 2 --tag big,ssd --runs 2.0.0 --host b1.example.org b1",
            "syncpkg-builder --arch x86_64 --slots 2 --tag big,ssd --runs 2.0.0 --host b1.example.org b1",
        ),
        (
            "syncpkg-claim --builder b1 --tag big --memory 8 --disk 9 --load 0.52 --except gtk+,libsigc++ --last a@b",
            "syncpkg-claim --builder b1 --tag big --memory 8 --disk 9 --load 0.52 --except gtk+,libsigc++ --last a@b",
        ),
        ("syncpkg-ls failed --since 3h --json", "syncpkg-ls failed --since 3h --json"),
        ("syncpkg-why current/gcc", "syncpkg-why current/gcc"),
        ("syncpkg-log --follow gcc", "syncpkg-log --follow gcc"),
    ] {
        let Request::Run(program, words) = judge(text).unwrap() else { unreachable!("{text}") };
        assert_eq!([&[program.to_owned()][..], &words].concat().join(" "), wanted);
    }
}

#[test]
fn what_a_shell_takes_for_itself_is_refused_before_it_is_looked_at() {
    for bad in ["syncpkg-ls 'all'", "syncpkg-ls $HOME", "syncpkg-ls\nid", "syncpkg-ls *", "rsync \\"] {
        assert!(judge(bad).unwrap_err().to_string().contains("plain words only"), "{bad}");
    }
}

/// What no shell is asked to do.
const LINES: &[&str] = &[
    "",
    " ",
    "sh",
    "sh -c id",
    "/bin/sh",
    "eval syncpkg-ls",
    "syncpkg-ls;id",
    "syncpkg-ls $(id)",
    "syncpkg-ls `id`",
    "syncpkg-ls\nid",
    "syncpkg-ls | sh",
    "syncpkg-ls > /tmp/x",
    "syncpkg-ls 'all'",
    "syncpkg-ls \"all\"",
    "syncpkg-ls \\all",
    "syncpkg-ls ~root",
    "syncpkg-ls *",
    "syncpkg-ls --maintainer a@b",
    "A=b syncpkg-ls",
    "LC_ALL=x syncpkg-ls",
];

/// Programs and words that are not for a builder.
const WORDS: &[&str] = &[
    "../syncpkg-ls",
    "syncpkg-abort gcc",
    "syncpkg-enqueue gcc",
    "syncpkg-init /s",
    "syncpkg-check --repair",
    "syncpkg-shell b2",
    "syncpkg-stats",
    "syncpkg-ls --config /etc/passwd",
    "syncpkg-ls --spool /other",
    "syncpkg-ls --spool=/other",
    "syncpkg-ls --out /tmp",
    "syncpkg-ls --spool",
    "syncpkg-claim --arch x86_64",
    "syncpkg-claim --builder b2",
    "syncpkg-claim --builder b1 --builder b2",
    "syncpkg-claim --builder b1 --wait=x",
    "syncpkg-claim --builder b1 --instance A",
    "syncpkg-claim --builder b1 extra",
    "syncpkg-claim --builder b1 --json=x",
    "syncpkg-beat b2.20261122-144743-123-k3f7x2.1.x7k2m9qa",
    "syncpkg-beat x",
    "syncpkg-beat --log /etc/shadow b1.20261122-144743-123-k3f7x2.1.x7k2m9qa",
    "syncpkg-beat --log-at -1",
    "syncpkg-report --outcome built b1.20261122-144743-123-k3f7x2.1.x7k2m9qa",
    "syncpkg-report --delivered x",
    "syncpkg-report --file /etc/shadow b1.20261122-144743-123-k3f7x2.1.x7k2m9qa",
    "syncpkg-builder --pause b1",
    "syncpkg-builder b2",
    "syncpkg-builder --forget b1",
    "syncpkg-builder --key b1 x.pub",
    "syncpkg-why ../x",
    "syncpkg-why a/b/c",
    "syncpkg-why /etc/passwd",
    "scp -t /tmp",
    "scp -f /etc/passwd",
    "/usr/lib/openssh/sftp-server",
    "internal-sftp",
    "git-upload-pack x",
    "syncpkg-ls é",
];

#[test]
fn everything_else_is_refused() {
    let long = format!("syncpkg-why {}", "a".repeat(1 << 20));
    for bad in [LINES, WORDS, &[&long]].concat() {
        let error = judge(bad).unwrap_err();
        assert!(error.kind.status() == 2 && error.to_string().starts_with("refused: b1 "), "{bad}: {error}");
        assert!(error.to_string().len() < 8192 && !error.to_string().contains('\n'));
    }
}

#[test]
fn rsync_may_bring_files_into_the_builders_own_uploads_and_nothing_else() {
    let up = format!("/s/upload/b1/{CLAIM}");
    let line = |words: &str| format!("rsync --server {words}");
    for good in [format!("-tre.iLsfxCIvu . {up}/"), format!("-vtre.LsfxCIvu --partial --timeout=60 . {up}")] {
        let Request::Receive(words, claim) = judge(&line(&good)).unwrap() else { unreachable!("{good}") };
        assert!(words.len() >= 4 && claim.to_string() == CLAIM);
    }
    let other = up.replace("/b1/", "/b2/");
    for bad in [
        format!("--sender -tre.iLsfxCIvu . {up}/"),
        format!("-ltre.iLsfxCIvu . {up}/"),
        format!("-logDtpre.iLsfxCIvu . {up}/"),
        format!("-tre.iLsfxCIvu --inplace . {up}/"),
        format!("-tre.iLsfxCIvu --delete . {up}/"),
        format!("-tre.iLsfxCIvu --log-file=/s/x . {up}/"),
        format!("-tre.iLsfxCIvu --temp-dir=/tmp . {up}/"),
        format!("-tre.iLsfxCIvu --partial-dir=/s . {up}/"),
        format!("-tre.iLsfxCIvu . {up}/files/"),
        format!("-tre.iLsfxCIvu . {up}/../../../new"),
        format!("-tre.iLsfxCIvu . {up}/.."),
        format!("-tre.iLsfxCIvu . {other}"),
        "-tre.iLsfxCIvu . /s/upload/b1/".to_owned(),
        "-tre.iLsfxCIvu . /s/new".to_owned(),
        "-tre.iLsfxCIvu . .".to_owned(),
        format!("-tre.iLsfxCIvu {up} {up}"),
        format!("-stre.iLsfxCIvu . {up}/"),
        format!("-tr . {up}/"),
        format!("--daemon . {up}/"),
        String::new(),
    ] {
        assert!(judge(&line(&bad)).unwrap_err().to_string().contains("its own uploads"), "{bad}");
    }
    for first in ["--delete", "--daemon", "-v"] {
        let refused = judge(&format!("rsync {first} -tre.iLsfxCIvu . {up}/")).unwrap_err();
        assert!(refused.to_string().contains("its own uploads"), "{first}");
    }
}

#[test]
fn what_was_refused_is_written_down_and_bounded() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("s")).unwrap();
    let gate = Gate { builder: &"b1".parse().unwrap(), spool: &spool, quota: &QuotaSection::default() };
    for _ in 0..700 {
        gate.note("10.0.0.7", &format!("sh\n\u{1b}[31m{}", "a".repeat(5000)), &Clock::system()).unwrap();
    }
    let text = std::fs::read_to_string(builder::refusals(&spool, gate.builder)).unwrap();
    assert!(text.len() <= LOG + 400 && text.lines().count() > 200);
    assert!(text.lines().all(|line| line.contains(" from 10.0.0.7: sh\\u{a}\\u{1b}[31maaa")), "{text}");
}

#[test]
fn who_brings_too_much_is_stopped_while_he_does() {
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::create(&place.path().join("s")).unwrap();
    let quota = QuotaSection { files: 0, ..QuotaSection::default() };
    let gate = Gate { builder: &"b1".parse().unwrap(), spool: &spool, quota: &quota };
    let upload = spool.upload_dir(gate.builder).join(CLAIM);
    std::fs::create_dir_all(&upload).unwrap();
    std::fs::write(upload.join("log"), "x").unwrap();
    let mut receiver = Command::new("sleep").arg("5").spawn().unwrap();
    let error = gate.watch(&mut receiver).unwrap_err();
    assert!(error.to_string().ends_with("that is its quota"), "{error}");
    assert!(!receiver.try_wait().unwrap().unwrap().success());
}
