//! Logs, as people meet them: searched with patterns that an admin may change, and shown as a terminal would have.

use std::fs;

use crate::stage::Farm;

/// Gives the farm templates of its own.
fn with_patterns(farm: &Farm, name: &str, text: &str) {
    fs::create_dir_all(farm.at("templates/errors")).unwrap();
    fs::write(farm.at("templates/errors").join(name), text).unwrap();
    let config = fs::read_to_string(farm.at("syncpkg.toml")).unwrap();
    let templates = format!("templates = \"{}\"\n", farm.at("templates").display());
    fs::write(farm.at("syncpkg.toml"), templates + &config).unwrap();
}

#[test]
fn an_admin_teaches_the_farm_what_explains_a_failure() {
    let farm = Farm::new();
    with_patterns(&farm, "compile.more", "[cause]\n^mycc says no\n");
    farm.push("gcc", "build() { echo 'mycc says no'; echo 'x: error: y'; return 4; }");
    farm.ok("syncpkgcd --once --name b1");
    let why = farm.ok("syncpkg-why gcc");
    assert!(why.contains(": in compile: mycc says no"), "{why}");
    assert!(farm.ok("syncpkg-log --errors gcc").contains("mycc says no\n"));
}

#[test]
fn a_wrong_pattern_is_said_with_its_line_and_stops_nothing() {
    let farm = Farm::new();
    with_patterns(&farm, "any.more", "[cause]\n(unclosed\n");
    let wrong = format!(
        "cannot use the pattern {}:2: unclosed group\n",
        farm.at("templates/errors/any.more").display()
    );
    farm.push("gcc", "build() { echo 'x: error: y'; return 4; }");
    let built = farm.run("syncpkgcd --once --name b1");
    assert_eq!((built.status, built.err), (0, format!("syncpkgcd: {wrong}")));
    let round = farm.run("syncpkgd --once");
    assert_eq!((round.status, round.err), (2, format!("syncpkgd: {wrong}")));
    assert_eq!(farm.run("syncpkgd --once").err, "", "cron would mail it each minute");
    assert!(farm.at("www/index.html").exists() && farm.files("sent").len() == 1, "the rest went on");
    let errors = farm.run("syncpkg-log --errors gcc");
    assert!(errors.status == 2 && errors.out.contains("x: error: y") && errors.err.ends_with(&wrong));
}

#[test]
fn a_log_is_printed_as_a_terminal_would_have_shown_it() {
    let farm = Farm::new();
    let lines = r" 10%\r 100%\n\033[1mbold\033[0m\033]0;title\007 \0000 \0377\n\033[31";
    farm.push("gcc", &format!("build() {{ printf %b '{lines}'; }}"));
    farm.ok("syncpkgcd --once --name b1");
    let log = farm.ok("syncpkg-log gcc");
    assert!(log.contains("\n 100%\nbold \\u{0} \\xff\n\\u{1b}[31\n[syncpkg] built"), "{log}");
}

#[test]
fn old_logs_are_packed_and_everybody_reads_them_as_before() {
    let farm = Farm::new();
    farm.configure("[keep]\nfailures = 0\n");
    let id = farm.push("gcc", "build() { seq 9000; echo 'x.c:1: error: y'; return 4; }");
    farm.ok("syncpkgcd --once --name b1");
    let log = farm.ok("syncpkg-log gcc");
    farm.later(3 * 24 * 3600).ok("syncpkgd --once");
    assert_eq!(farm.files("log"), [format!("20261122/{id}.1.log.gz")]);
    assert_eq!(farm.ok("syncpkg-log gcc"), log);
    assert!(farm.ok("syncpkg-log --errors gcc").contains("> "));
    assert_eq!(farm.ok("syncpkg-log --follow gcc"), log);
    fs::remove_dir_all(farm.at("www")).unwrap();
    fs::remove_dir_all(farm.at("spool/cache/site")).unwrap();
    farm.ok("syncpkg-stats");
    let page = fs::read_to_string(farm.at(&format!("www/ticket/{id}/index.html"))).unwrap();
    assert!(page.contains("line 9004 of the log") && page.contains(&format!("../../log/{id}.1.txt.gz\"")));
    farm.is_sound();
    farm.push("gcc", "# again");
    farm.ok("syncpkgcd --once --name b1");
    farm.later(400 * 24 * 3600).ok("syncpkg-expire");
    assert!(!farm.files("log").iter().any(|name| name.contains(&id)), "it has expired");
}

#[test]
fn a_hostile_log_is_text_wherever_it_is_shown() {
    let farm = Farm::new();
    let evil =
        r#"error: <script>alert(1)</script> \" onload=\"x ]]> \033[31m\033]0;t\007\0342\0200\0256\0377 {x}"#;
    let id = farm.push(
        "gcc",
        &format!(
            "build() {{ head -c 10000000 /dev/zero | tr '\\0' '<'; echo; printf %b '{evil}\\n'; return 4; }}"
        ),
    );
    farm.ok("syncpkgcd --once --name b1");
    farm.ok("syncpkg-stats");
    let read = |path: String| fs::read_to_string(farm.at("www").join(path)).unwrap();
    let page = read(format!("ticket/{id}/index.html"));
    let shown = "error: &lt;script&gt;alert(1)&lt;/script&gt;";
    assert!(page.contains(shown) && page.len() < 60_000, "{}", page.len());
    let json = read(format!("log/{id}.1.json"));
    assert!(json.len() < 10_000, "{}", json.len());
    for path in [format!("ticket/{id}/index.html"), "builder/b1/index.html".into(), "feed/all.atom".into()] {
        let text = read(path).replace("<script src=", "");
        assert!(!text.contains("<script") && !text.contains("\" onload") && !text.contains("]]>"));
    }
    let acts = |c: char| c != '\n' && c != '\t' && syncpkg::base::output::acts(c);
    assert!(!page.contains(acts) && !json.contains(acts) && !farm.ok("syncpkg-log gcc").contains(acts));
}
