//! A maintainer as a recipe writes it, read as one address or none.

use lettre::Address;
use lettre::message::Mailbox;

/// No header a person wrote by hand is longer, characters.
const LONGEST: usize = 200;

/// Returns the one mailbox `text` names; none if it names no usable one, or more than one.
///
/// A recipe must not choose a second recipient or a header, so everything doubtful is none: the admin is told
/// instead, with the text as it stands.
pub fn parse(text: &str) -> Option<Mailbox> {
    let text = text.trim();
    if text.chars().count() > LONGEST || text.chars().any(|c| c != '\t' && crate::base::output::acts(c)) {
        return None;
    }
    let clean = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (name, address) = match clean.strip_suffix('>') {
        Some(rest) => rest.rsplit_once('<')?,
        None => ("", clean.as_str()),
    };
    let name = name.trim().trim_matches('"').trim();
    if name.contains(['@', '<', '>', ';', ',', ':', '"', '\\']) {
        return None;
    }
    let address: Address = plain(address.trim())?.parse().ok()?;
    Some(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address))
}

/// Addresses every server takes: no quoting, no comments, nothing that could pass for an option.
fn plain(address: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"@._+-=~!#$%&'*/?^`{|}".contains(&byte);
    let fits = address.bytes().all(allowed) && !address.starts_with('-');
    (fits && address.matches('@').count() == 1).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintainers_are_read_as_people_write_them() {
        for (text, read) in [
            ("a@example.org", "a@example.org"),
            ("<a@example.org>", "a@example.org"),
            ("Ann  B. Smith\t<a.b@example.org> ", "\"Ann B. Smith\" <a.b@example.org>"),
            ("\"Ann\" <a@example.org>", "Ann <a@example.org>"),
            ("Kovács Ö <k@example.org>", "Kovács Ö <k@example.org>"),
        ] {
            assert_eq!(parse(text).map(|mailbox| mailbox.to_string()).as_deref(), Some(read));
        }
    }

    #[test]
    fn what_is_doubtful_is_no_address() {
        for text in [
            "",
            "nobody",
            "Ann <a at example dot org>",
            "a@example.org, b@example.org",
            "a@example.org\nBcc: b@example.org",
            "b@example.org, Ann <a@example.org>",
            "Group: a@example.org;",
            "-oQ/tmp@example.org",
            "\"a b\"@example.org",
            "Ann\u{202e} <a@example.org>",
            &format!("{} <a@example.org>", "n".repeat(300)),
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
