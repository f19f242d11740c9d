//! Words, links and command lines of pages.

use crate::base::output::inert;

/// Returns `text` as one harmless line of at most `limit` characters.
pub(super) fn line(text: &str, limit: usize) -> String {
    let safe = inert(text);
    if safe.chars().count() <= limit {
        return safe;
    }
    safe.chars().take(limit).chain(['…']).collect()
}

/// Returns `text` as one part of an address: all but `A-Z a-z 0-9 - . _ ~` is written `%NN`.
pub(super) fn segment(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                part.push(char::from(byte))
            }
            other => part.push_str(&format!("%{other:02X}")),
        }
    }
    part
}

/// Returns the directory of a package's page. `~` is in no package's name: it keeps the list of packages, which
/// is a file `index.html`, apart from a package of that name.
pub(super) fn package_dir(name: &str) -> String {
    if name == "index.html" { "index.html~".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_in_a_name_is_written_out_in_links() {
        assert_eq!(segment("gtk+-2.0~x"), "gtk%2B-2.0~x");
        assert_eq!(segment("a/\"b"), "a%2F%22b");
    }
}
