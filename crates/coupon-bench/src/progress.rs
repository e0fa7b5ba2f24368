//! How far a load is, for the person who waits; on standard error, so that a report can be piped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::plan::{Amount, Drive, Plan};

const REFRESH: Duration = Duration::from_millis(200);

/// A bar, or nothing.
pub(crate) struct Progress(ProgressBar);

/// The bar is shown as long as this is kept.
pub(crate) struct Shown {
    bar: ProgressBar,
    refreshing: JoinHandle<()>,
}

impl Progress {
    /// For so much of this load.
    pub(crate) fn of(plan: &Plan, target: &str, show: bool) -> Self {
        let total = match (plan.amount, plan.drive) {
            (Amount::Requests(requests), _) => Some(requests),
            (Amount::Duration(span), Drive::Rate { per_second, .. }) => Some((span.as_secs_f64() * per_second) as u64),
            (Amount::Duration(_), Drive::Callers(_) | Drive::Streams { .. }) => None,
        };
        let target_of_drawing = if show { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let template = match total {
            Some(_) => "{prefix:30} {bar:30} {human_pos:>12} of {human_len} {per_sec:>14} {eta:>4}",
            None => "{prefix:30} {spinner} {human_pos:>12} {per_sec:>14} {elapsed:>4}",
        };
        let bar = ProgressBar::with_draw_target(total, target_of_drawing);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(format!("{} on {target}", plan.load));
        Self(bar)
    }

    /// Shows this count until the answer is dropped.
    pub(crate) fn show(self, answered: Arc<AtomicU64>) -> Shown {
        let bar = self.0;
        let shown = bar.clone();
        let refreshing = tokio::spawn(async move {
            loop {
                shown.set_position(answered.load(Ordering::Relaxed));
                tokio::time::sleep(REFRESH).await;
            }
        });
        Shown { bar, refreshing }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.refreshing.abort();
        self.bar.finish_and_clear();
    }
}
