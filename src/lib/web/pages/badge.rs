//! Badges: the state of a package as a small picture, for other people's pages.

use tinytemplate::escape;

/// How wide a character is taken to be, in tenths of a pixel.
const WIDTH: usize = 66;

/// Returns the badge that says `state` of `label`.
pub(super) fn badge(label: &str, state: &str) -> String {
    let colour = match state {
        "built" | "published" => "#1d6b3c",
        "failing" | "failed" => "#b3261e",
        "trouble" => "#8a5a00",
        "building" | "waiting" => "#1f5f99",
        _ => "#5c6661",
    };
    let (mut name, mut said) = (String::new(), String::new());
    escape(label, &mut name);
    escape(state, &mut said);
    let (left, right) = (wide(label), wide(state));
    let (all, middle, second) = (left + right, left / 2, left + right / 2);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" \
         aria-label=\"{name}: {said}\"><title>{name}: {said}</title>\
         <rect width=\"{left}\" height=\"20\" fill=\"#3d4642\"/>\
         <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{colour}\"/>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"{middle}\" y=\"14\">{name}</text><text x=\"{second}\" y=\"14\">{said}</text></g></svg>\n"
    )
}

fn wide(text: &str) -> usize {
    text.chars().count() * WIDTH / 10 + 12
}
