//! What a check of a draw tells its reader.

use std::fmt;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was checked, in a word or two.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// The figures and what they mean, for a reader who knows no formula.
    pub explanation: String,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The file says what follows from its other parts.
    Passed,
    /// It does not: the file or the draw was tampered with.
    Failed,
    /// What the step needs is not in the file, and need not be yet.
    NotPublished,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotPublished => "not published",
        })
    }
}

impl Step {
    /// The figures, then what they mean if they are right, or else.
    pub(super) fn judge(name: &'static str, holds: bool, figures: String, meaning: &str, otherwise: &str) -> Self {
        let (outcome, comment) = if holds { (Outcome::Passed, meaning) } else { (Outcome::Failed, otherwise) };
        Self { name, outcome, explanation: format!("{figures} {comment}") }
    }
}
