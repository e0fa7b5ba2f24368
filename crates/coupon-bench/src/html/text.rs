//! Texts and figures as the page shows them.

use indicatif::HumanCount;

/// A text from outside, for any place in the page that is not a script, a style or an address.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            '{' => safe += "&#123;",
            '}' => safe += "&#125;",
            // Control characters are not allowed in a page.
            control if control.is_control() => safe.push(' '),
            plain => safe.push(plain),
        }
    }
    safe
}

/// At most so many characters.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

pub(super) fn count(count: u64) -> String {
    HumanCount(count).to_string()
}

pub(super) fn rate(rate: f64) -> String {
    if rate > 0.0 && rate < 10.0 { format!("{rate:.1}") } else { count(rate.round() as u64) }
}

/// Microseconds, with three digits that mean something.
pub(super) fn time(micros: u64) -> String {
    let digits = |value: f64| match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    };
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", digits(micros as f64 / 1e3)),
        1_000_000.. => format!("{} s", digits(micros as f64 / 1e6)),
    }
}

/// A power of ten of microseconds.
pub(super) fn round_time(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000.. => format!("{} s", micros / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let shown = [0, 999, 1_000, 12_345, 123_456, 999_999, 1_500_000, 75_000_000].map(time);
        assert_eq!(shown, ["0 µs", "999 µs", "1.00 ms", "12.3 ms", "123 ms", "1000 ms", "1.50 s", "75.0 s"]);
    }

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        assert_eq!((shorten("größer", 6), shorten("größer", 4)), ("größer".to_owned(), "grö…".to_owned()));
    }
}
