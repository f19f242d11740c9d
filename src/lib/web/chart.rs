//! Charts: SVG from numbers, by the formatter `chart`. Colours are classes of the stylesheet.

use std::fmt::Write as _;

use jiff::SignedDuration;
use serde_json::Value;
use tinytemplate::escape;

use crate::base::clock::age;

/// The size of a chart, and the room its axes take.
const WIDE: f64 = 720.0;
const HIGH: f64 = 220.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 24.0;

/// What is drawn: numbers, their names, and the scale they fit in.
struct Plot<'a> {
    labels: Vec<&'a str>,
    series: Vec<(&'a str, &'a str, Vec<Option<f64>>)>,
    seconds: bool,
    bars: bool,
    top: f64,
}

/// `{data | chart}`: data has `title`, `kind` (`bars`, one upon the other, or `lines`), `unit` (`count` or `seconds`), `labels`
/// and `series`, each with `name`, `class` and `values`.
pub(super) fn chart(value: &Value, page: &mut String) -> tinytemplate::error::Result<()> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let plot = Plot::of(value, text("unit") == "seconds", text("kind") == "bars");
    if plot.labels.is_empty() {
        return Ok(());
    }
    write!(page, "<svg class=\"chart\" viewBox=\"0 0 {WIDE} {HIGH}\" role=\"img\"><title>")?;
    escape(text("title"), page);
    page.push_str("</title>");
    plot.axes(page)?;
    if plot.bars {
        plot.bars(page)?
    } else {
        plot.lines(page)?
    }
    page.push_str("</svg>");
    plot.legend(page)
}

/// `{percent | bar}`: as long as it says.
pub(super) fn bar(value: &Value, page: &mut String) -> tinytemplate::error::Result<()> {
    let percent = value.as_u64().unwrap_or_default().min(100);
    write!(
        page,
        "<svg class=\"bar\" viewBox=\"0 0 100 8\" aria-hidden=\"true\"><path class=\"fill built\" d=\"M0 0h{percent}v8h-{percent}z\"/></svg>"
    )?;
    Ok(())
}

impl<'a> Plot<'a> {
    fn of(value: &'a Value, seconds: bool, bars: bool) -> Self {
        let list =
            |value: &'a Value, key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
        let word = |value: &'a Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let labels: Vec<&str> = list(value, "labels").filter_map(Value::as_str).collect();
        let series: Vec<(&str, &str, Vec<Option<f64>>)> = list(value, "series")
            .map(|one| {
                (word(one, "name"), word(one, "class"), list(one, "values").map(Value::as_f64).collect())
            })
            .collect();
        let at = |n: usize| series.iter().filter_map(move |(_, _, values)| values.get(n).copied().flatten());
        let highest = |n: usize| if bars { at(n).sum() } else { at(n).fold(0.0, f64::max) };
        let most = (0..labels.len()).map(highest).fold(0.0, f64::max);
        let top = round_up(most, seconds);
        Self { labels, series, seconds, bars, top }
    }

    fn x(&self, at: usize) -> f64 {
        let step = (WIDE - LEFT) / self.labels.len().max(1) as f64;
        LEFT + step * at as f64
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (HIGH - TOP - BOTTOM) * (1.0 - value / self.top)
    }

    /// Two axes with their scales: values at four lines, labels at the first, the middle and the last.
    fn axes(&self, page: &mut String) -> std::fmt::Result {
        for quarter in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let value = self.top * quarter;
            let y = self.y(value);
            write!(page, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{WIDE}\"/>")?;
            let label = self.label(value);
            write!(
                page,
                "<text class=\"axis\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 6.0,
                y + 4.0
            )?;
        }
        let last = self.labels.len() - 1;
        for (at, anchor) in [(0, "start"), (last / 2, "middle"), (last, "end")] {
            if at == last / 2 && last < 4 && at != 0 || last == 0 && anchor != "start" {
                continue;
            }
            let x = if anchor == "end" { WIDE } else { self.x(at) };
            write!(
                page,
                "<text class=\"axis\" x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\">",
                HIGH - 6.0
            )?;
            escape(self.labels.get(at).copied().unwrap_or_default(), page);
            page.push_str("</text>");
        }
        Ok(())
    }

    fn label(&self, value: f64) -> String {
        if self.seconds { age(SignedDuration::from_secs(value as i64)) } else { format!("{value}") }
    }

    /// One path a series: a year of rectangles would be a large page.
    fn bars(&self, page: &mut String) -> std::fmt::Result {
        let wide = ((WIDE - LEFT) / self.labels.len().max(1) as f64 * 0.8).max(1.0);
        let mut below = vec![0.0; self.labels.len()];
        for (_, class, values) in &self.series {
            let mut path = String::new();
            for (at, (value, below)) in values.iter().zip(&mut below).enumerate() {
                let value = value.unwrap_or_default();
                if value > 0.0 {
                    let (low, high) = (self.y(*below), self.y(*below + value));
                    write!(path, "M{:.1} {low:.1}h{wide:.1}V{high:.1}h-{wide:.1}z", self.x(at))?;
                    *below += value;
                }
            }
            if !path.is_empty() {
                write!(page, "<path class=\"fill ")?;
                escape(class, page);
                write!(page, "\" d=\"{path}\"/>")?;
            }
        }
        Ok(())
    }

    fn lines(&self, page: &mut String) -> std::fmt::Result {
        let half = (WIDE - LEFT) / self.labels.len().max(1) as f64 / 2.0;
        for (_, class, values) in &self.series {
            let (mut path, mut drawn) = (String::new(), false);
            for (at, value) in values.iter().enumerate() {
                if let Some(value) = value {
                    let command = if drawn { 'L' } else { 'M' };
                    write!(path, "{command}{:.1} {:.1}", self.x(at) + half, self.y(*value))?;
                    // A dot where there is no line to the next.
                    if !drawn {
                        path.push_str("h.1");
                    }
                }
                drawn = value.is_some();
            }
            if !path.is_empty() {
                page.push_str("<path class=\"line ");
                escape(class, page);
                write!(page, "\" d=\"{path}\"/>")?;
            }
        }
        Ok(())
    }

    fn legend(&self, page: &mut String) -> tinytemplate::error::Result<()> {
        page.push_str("<ul class=\"legend\">");
        for (name, class, _) in &self.series {
            page.push_str(
                "<li><svg class=\"key\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><path class=\"fill ",
            );
            escape(class, page);
            page.push_str("\" d=\"M0 0h10v10h-10z\"/></svg> ");
            escape(name, page);
            page.push_str("</li>");
        }
        page.push_str("</ul>");
        Ok(())
    }
}

/// Returns the least round number that is not below `most` and has four round parts.
fn round_up(most: f64, seconds: bool) -> f64 {
    let steps: &[f64] = if seconds {
        &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0, 86_400.0]
    } else {
        &[1.0, 2.0, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0]
    };
    let fits = steps.iter().map(|step| step * 4.0).find(|top| *top >= most);
    let step = steps.last().copied().unwrap_or(1.0) * 4.0;
    fits.unwrap_or_else(|| (most / step).ceil() * step)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_chart_has_a_title_axes_and_a_legend_and_nothing_in_it_acts() {
        let data = json!({"title": "<b>", "kind": "bars", "unit": "count", "labels": ["\"a", "b"],
            "series": [{"name": "built", "class": "built", "values": [3, 5]}, {"name": "<i>", "class": "x\"", "values": [1, null]}]});
        let mut page = String::new();
        chart(&data, &mut page).unwrap();
        assert!(page.contains("<title>&lt;b&gt;</title>") && page.contains("&quot;a</text>"));
        assert!(page.contains(">8</text>") && page.contains("class=\"fill built\" d=\"M64.0 "));
        assert!(!page.contains("<i>") && page.contains("class=\"fill x&quot;\""));
    }

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!([0.0, 3.0, 17.0, 30_000.0].map(|most| round_up(most, false)), [4.0, 4.0, 20.0, 30_000.0]);
        assert_eq!(round_up(250.0, true), 1200.0);
    }
}
