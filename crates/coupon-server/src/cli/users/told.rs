//! What became of a file of users: the service's answer by lines of the file, and the lines that were not sent.

use coupon_proto::v1 as pb;
use indicatif::HumanCount;

use crate::cli::Verdict;

/// So many errors are told; the lines are counted all the same. The service does likewise.
const MAX_ERRORS: usize = 1000;

/// Lines that were not sent.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// Runs of such lines: the first one's number, and how many there are.
    runs: Vec<(u64, u64)>,
    refused: u64,
    /// Of the first of them.
    errors: Vec<(u64, String)>,
}

impl Unsent {
    /// A line without content.
    pub(super) fn skip(&mut self, number: u64) {
        match self.runs.last_mut() {
            Some((first, length)) if *first + *length == number => *length += 1,
            _ => self.runs.push((number, 1)),
        }
    }

    /// A line that is no user.
    pub(super) fn refuse(&mut self, number: u64, why: String) {
        self.skip(number);
        self.refused += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push((number, why));
        }
    }
}

/// The report, and whether all lines went well.
pub(super) fn report(told: &pb::CreateUsersResponse, unsent: &Unsent) -> (String, Verdict) {
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let failed = count(told.failed) + unsent.refused;
    let mut lines = vec![format!(
        "{} created, {} unchanged, {} failed",
        HumanCount(count(told.created)),
        HumanCount(count(told.unchanged)),
        HumanCount(failed)
    )];
    let mut errors = by_line(&told.errors, unsent);
    errors.extend(unsent.errors.iter().cloned());
    // Stable: the errors of a line stay in their order.
    errors.sort_by_key(|(line, _)| *line);
    errors.truncate(MAX_ERRORS);
    let lines_told = errors.chunk_by(|(a, _), (b, _)| a == b).count() as u64;
    lines.extend(errors.into_iter().map(|(line, why)| format!("line {line}: {why}")));
    if lines_told < failed {
        lines.push(format!("and {} more", HumanCount(failed - lines_told)));
    }
    (lines.join("\n"), if failed == 0 { Verdict::Good } else { Verdict::Bad })
}

/// The service counts what it was sent; its errors are in that order.
fn by_line(errors: &[pb::UserError], unsent: &Unsent) -> Vec<(u64, String)> {
    let mut runs = unsent.runs.iter().peekable();
    let mut left_out = 0;
    let line_of = |error: &pb::UserError| {
        let mut line = u64::try_from(error.line).unwrap_or(0) + left_out;
        while let Some((_, length)) = runs.next_if(|(first, _)| *first <= line) {
            left_out += length;
            line += length;
        }
        (line, format!("{} {} (user {:?})", error.field, error.description, error.user_id))
    };
    errors.iter().map(line_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: i64) -> pb::UserError {
        let [user_id, field, description] = ["ada", "user.name", "is odd"].map(str::to_owned);
        pb::UserError { line, user_id, field, description }
    }

    fn told(lines: &[i64]) -> pb::CreateUsersResponse {
        let failed = i64::try_from(lines.len()).expect("few");
        pb::CreateUsersResponse { failed, errors: lines.iter().copied().map(error).collect(), ..Default::default() }
    }

    #[test]
    fn errors_are_told_by_lines_of_the_file() {
        let mut unsent = Unsent::default();
        unsent.skip(2);
        unsent.refuse(3, "is no user".to_owned());
        unsent.skip(6);
        // Sent were the lines 1, 4, 5, 7.
        let (report, verdict) = report(&told(&[1, 2, 3, 4]), &unsent);
        let odd = |line: u64| format!("line {line}: user.name is odd (user \"ada\")");
        let lines = [
            "0 created, 0 unchanged, 5 failed".to_owned(),
            odd(1),
            "line 3: is no user".to_owned(),
            odd(4),
            odd(5),
            odd(7),
        ];
        assert_eq!((report, verdict), (lines.join("\n"), Verdict::Bad));
    }

    #[test]
    fn beyond_a_thousand_errors_the_lines_are_counted() {
        let mut unsent = Unsent::default();
        (1..=1200).for_each(|line| unsent.refuse(line, "is no user".to_owned()));
        let (report, _) = report(&told(&[1, 2]), &unsent);
        assert_eq!(report.lines().count(), 1002);
        assert_eq!(report.lines().last(), Some("and 202 more"));
    }

    #[test]
    fn without_a_failure_all_is_well() {
        let told = pb::CreateUsersResponse { created: 2, unchanged: 1_000, ..Default::default() };
        assert_eq!(
            report(&told, &Unsent::default()),
            ("2 created, 1,000 unchanged, 0 failed".to_owned(), Verdict::Good)
        );
    }
}
