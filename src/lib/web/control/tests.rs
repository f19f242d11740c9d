use super::*;

/// A call as our own form sends it, with `body`.
fn posted(body: &str) -> Call {
    Call {
        method: "POST".to_owned(),
        script: "/syncpkg/control".to_owned(),
        user: Some("ann".to_owned()),
        kind: "application/x-www-form-urlencoded".to_owned(),
        length: Some(body.len().to_string()),
        site: Some("same-origin".to_owned()),
        own: "https://build.example.org".to_owned(),
        ..Call::default()
    }
}

fn judged(call: &Call, body: &str) -> Result<Wanted, u16> {
    call.judge(&mut body.as_bytes()).map_err(|refusal| refusal.status)
}

const FORCE: &str = "action=force&what=current%2Fgcc&reason=a+new+libc";

#[test]
fn a_form_of_ours_is_understood() {
    let order = Order {
        user: "ann".to_owned(),
        act: Act::Force,
        what: "current/gcc".to_owned(),
        reason: "a new libc".to_owned(),
    };
    assert_eq!(judged(&posted(FORCE), FORCE), Ok(Wanted::Order(order)));
    for what in ["gcc", "gcc-1-1-x86_64", "20261122-120000-000-aaaaaa"] {
        let body = format!("what={what}&action=abort");
        assert!(matches!(judged(&posted(&body), &body), Ok(Wanted::Order(_))), "{what}");
    }
}

#[test]
fn looking_asks_for_nothing() {
    for method in ["GET", "HEAD"] {
        let call = Call { method: method.to_owned(), ..posted("") };
        assert_eq!(judged(&call, FORCE), Ok(Wanted::Form));
        let id = "20261122-120000-000-aaaaaa";
        let call = Call { path: format!("/request/{id}"), ..call };
        assert_eq!(judged(&call, ""), Ok(Wanted::Look(id.parse().unwrap())));
    }
}

#[test]
fn nobody_asks_for_anything_without_having_signed_in() {
    for user in [None, Some(""), Some("ann\nroot"), Some("<b>"), Some(&*"a".repeat(65))] {
        let call = Call { user: user.map(str::to_owned), ..posted(FORCE) };
        assert_eq!(judged(&call, FORCE), Err(403), "{user:?}");
    }
}

#[test]
fn a_page_of_another_site_cannot_act_in_a_visitors_name() {
    let from = |site: Option<&str>, origin: Option<&str>| {
        let (site, origin) = (site.map(str::to_owned), origin.map(str::to_owned));
        judged(&Call { site, origin, ..posted(FORCE) }, FORCE).map(drop)
    };
    assert_eq!(from(Some("cross-site"), None), Err(403));
    assert_eq!(from(Some("same-site"), Some("https://build.example.org")), Err(403));
    assert_eq!(from(None, Some("https://evil.example.org")), Err(403));
    assert_eq!(from(None, Some("null")), Err(403));
    assert_eq!(from(Some("none"), None), Ok(()));
    assert_eq!(from(None, Some("https://build.example.org")), Ok(()));
    assert_eq!(from(None, None), Ok(()), "curl");
}

#[test]
fn what_no_form_of_ours_sends_is_refused() {
    let bodies = [
        "",
        "action=force",
        "what=gcc",
        "action=destroy&what=gcc",
        "action=force&action=abort&what=gcc",
        "action=force&what=gcc&what=make",
        "action=force&what=gcc&role=admin",
        "action=force&what=..%2F..%2Fetc%2Fpasswd",
        "action=force&what=gcc%00",
        "action=force&what=source%2Fbase%2Fgcc%2FFrugalBuild",
        "action=force&what=20261122-120000-000-aaaaaa",
        "action=force&what=gcc&reason=a%0Ab",
        "action=force&what=%ff%fe",
        "%%%&=&&&",
    ];
    for body in bodies {
        assert_eq!(judged(&posted(body), body), Err(400), "{body}");
    }
    let many = format!("action=force&what=gcc{}", "&x=1".repeat(900));
    assert_eq!(judged(&posted(&many), &many), Err(400));
    let long = format!("action=force&what=gcc&reason={}", "a".repeat(600));
    assert_eq!(judged(&posted(&long), &long), Err(400));
}

#[test]
fn a_body_is_as_long_as_it_says_or_nothing_of_it_counts() {
    let with = |length: Option<&str>| Call { length: length.map(str::to_owned), ..posted(FORCE) };
    for length in [None, Some(""), Some("-1"), Some("+5"), Some("1e3"), Some("99999999999999999999999")] {
        assert_eq!(judged(&with(length), FORCE), Err(400), "{length:?}");
    }
    assert_eq!(judged(&with(Some("4000")), FORCE), Err(400), "cut off");
    assert_eq!(judged(&with(Some("1048576")), FORCE), Err(413));
    let call = Call { kind: "multipart/form-data".to_owned(), ..posted(FORCE) };
    assert_eq!(judged(&call, FORCE), Err(400));
}

#[test]
fn other_methods_addresses_and_queries_are_refused() {
    for method in ["PUT", "DELETE", "OPTIONS", "get", ""] {
        assert_eq!(judged(&Call { method: method.to_owned(), ..posted(FORCE) }, FORCE), Err(405), "{method}");
    }
    for path in ["/request/x", "/request/../../etc", "/other", "/request/20261122-120000-000-aaaaaa/x"] {
        let call = Call { path: path.to_owned(), ..posted(FORCE) };
        assert_eq!(judged(&call, FORCE), Err(404), "{path}");
        let call = Call { method: "GET".to_owned(), ..call };
        assert_eq!(judged(&call, ""), Err(404), "{path}");
    }
    for query in ["--help+-x", "action=force&what=gcc"] {
        for method in ["GET", "POST"] {
            let call = Call { query: query.to_owned(), method: method.to_owned(), ..posted(FORCE) };
            assert_eq!(judged(&call, FORCE), Err(400), "{query}");
        }
    }
}
