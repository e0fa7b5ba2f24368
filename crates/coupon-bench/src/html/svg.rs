//! What all charts are drawn with. Their colours are in the page, for light and dark screens.

use super::text::escape;

/// All charts are as wide as this, in the units of their texts.
pub(super) const WIDTH: f64 = 760.0;
/// Where the area of the values ends.
pub(super) const RIGHT: f64 = 700.0;

/// A chart so high, its keys in the corner at the top right: their classes and names.
pub(super) fn chart(title: &str, height: f64, keys: &[(&str, &str)], shapes: &str) -> String {
    let title = escape(title);
    let mut legend = String::new();
    let mut x = WIDTH;
    for (class, name) in keys.iter().rev() {
        x -= 34.0 + 7.0 * name.chars().count() as f64;
        legend += &format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"6\" width=\"12\" height=\"12\" rx=\"2\"/>");
        legend += &text((x + 17.0, 16.0), "minor", "start", name);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}\">\
         <text class=\"title\" x=\"0\" y=\"16\">{title}</text>{legend}{shapes}</svg>"
    )
}

/// A text, which is escaped here.
pub(super) fn text((x, y): (f64, f64), class: &str, anchor: &str, text: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text))
}

/// From a corner at the top left; the tip is what a pointer over it shows.
pub(super) fn bar(class: &str, (x, y): (f64, f64), (width, height): (f64, f64), tip: &str) -> String {
    format!(
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
        width.max(0.5),
        height.max(0.0),
        escape(tip)
    )
}

/// A line of the grid.
pub(super) fn line(class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> String {
    format!("<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>")
}

/// Times by their logarithm, over whole powers of ten.
pub(super) struct LogScale {
    /// Exponents of ten.
    first: u32,
    last: u32,
    from: f64,
    to: f64,
}

impl LogScale {
    /// From one position in the chart to another, for values such as these; none without any.
    pub(super) fn of(values: impl Iterator<Item = u64> + Clone, from: f64, to: f64) -> Option<Self> {
        let first = values.clone().min()?.max(1).ilog10();
        let most = values.max()?.max(1);
        let last = if 10_u64.pow(most.ilog10()) == most { most.ilog10() } else { most.ilog10() + 1 };
        Some(Self { first, last: last.max(first + 1), from, to })
    }

    pub(super) fn at(&self, value: u64) -> f64 {
        let part = ((value.max(1) as f64).log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + part * (self.to - self.from)
    }

    pub(super) fn powers(&self) -> impl Iterator<Item = u64> {
        (self.first..=self.last).map(|exponent| 10_u64.pow(exponent))
    }
}

/// The end of a scale from 0 that has room for this value, and is 1, 2, 2.5 or 5 times a power of ten.
pub(super) fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0].map(|step| step * power).into_iter().find(|end| *end >= value).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_values() {
        assert_eq!([0.0, 0.7, 1.0, 12.0, 240.0, 251.0, 6e5].map(round_up), [1.0, 1.0, 1.0, 20.0, 250.0, 500.0, 1e6]);
    }

    #[test]
    fn a_logarithmic_scale_spans_whole_powers() {
        let scale = LogScale::of([250, 99_000].into_iter(), 0.0, 300.0).expect("values");
        assert_eq!(scale.powers().collect::<Vec<_>>(), [100, 1_000, 10_000, 100_000]);
        assert_eq!([100, 10_000, 100_000].map(|value| scale.at(value)), [0.0, 200.0, 300.0]);
        assert_eq!(LogScale::of([0].into_iter(), 0.0, 1.0).expect("a value").powers().count(), 2);
        assert!(LogScale::of(std::iter::empty(), 0.0, 1.0).is_none());
    }
}
