//! The frame around a page's own text, which is the same for thousands of pages but for two words.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use jiff::Timestamp;
use serde::Serialize;
use tinytemplate::escape;

use super::{Link, Section};
use crate::base::Result;

/// Stand for the title and the text where these go; nothing that is shown has them.
const TITLE: char = '\u{1}';
const BODY: char = '\u{2}';

/// The frame around a page's own text.
#[derive(Serialize)]
pub(in super::super) struct Frame<'a> {
    /// What the page is about.
    pub title: &'a str,
    /// How the farm is called.
    pub farm: &'a str,
    /// The way up to the site's root.
    pub root: &'a str,
    /// The other pages.
    pub nav: Vec<Link>,
    /// The page's own text.
    pub body: &'a str,
    /// On pages about now only: the others must not change because time passes.
    pub made: Option<Timestamp>,
    /// It loads itself again every 30 seconds.
    pub live: bool,
    /// The feed about it, from the site's root.
    pub feed: Option<&'a str>,
}

/// Frames in which only title and text are missing, by section and way up.
#[derive(Default)]
pub(in super::super) struct Frames(RefCell<HashMap<(Section, String), Empty>>);

/// A frame without title and text; none when a template does not just put them in.
type Empty = Option<Rc<[Piece]>>;

/// What a frame is made of.
enum Piece {
    Text(String),
    Title,
    Body,
}

impl Frames {
    /// Puts a frame around the text `body`, as `render` does with a title and a text.
    ///
    /// # Errors
    /// Those of `render`.
    pub fn fill(
        &self,
        (section, root): (Section, &str),
        (title, body): (&str, &str),
        render: impl Fn(&str, &str) -> Result<String>,
    ) -> Result<String> {
        let key = (section, root.to_owned());
        let known = self.0.borrow().get(&key).cloned();
        if let Some(Some(empty)) = &known {
            return Ok(filled(empty, title, body));
        }
        let page = render(title, body)?;
        if known.is_none() {
            let empty = pieces(&render(&TITLE.to_string(), &BODY.to_string())?);
            // A person's own template may do something else with them.
            let same = filled(&empty, title, body) == page;
            self.0.borrow_mut().insert(key, same.then(|| empty.into()));
        }
        Ok(page)
    }
}

fn pieces(empty: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in empty.split_inclusive([TITLE, BODY]) {
        pieces.push(Piece::Text(part.trim_end_matches([TITLE, BODY]).to_owned()));
        match part.chars().next_back() {
            Some(TITLE) => pieces.push(Piece::Title),
            Some(BODY) => pieces.push(Piece::Body),
            Some(_) | None => {}
        }
    }
    pieces
}

fn filled(empty: &[Piece], title: &str, body: &str) -> String {
    let text = |piece: &Piece| if let Piece::Text(text) = piece { text.len() } else { title.len() };
    let mut page = String::with_capacity(empty.iter().map(text).sum::<usize>() + body.len());
    for piece in empty {
        match piece {
            Piece::Text(text) => page.push_str(text),
            Piece::Title => escape(title, &mut page),
            Piece::Body => page.push_str(body),
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    type Render<'a> = &'a dyn Fn(&str, &str) -> Result<String>;

    #[test]
    fn a_page_is_the_same_whether_its_frame_is_known_or_not() {
        let plain = |title: &str, body: &str| {
            let mut page = "<title>".to_owned();
            escape(title, &mut page);
            Ok(format!("{page}</title>{body}"))
        };
        let odd = |title: &str, body: &str| Ok(format!("{}{body}{title}", title.to_uppercase()));
        for render in [&plain as Render<'_>, &odd] {
            let frames = Frames::default();
            for title in ["one", "one", "two & <three>"] {
                let page = frames.fill((Section::Help, "../"), (title, "text"), render).unwrap();
                assert_eq!(page, render(title, "text").unwrap());
            }
        }
    }
}
