//! `coupon draw verify`: the steps of the check, for a reader who knows no formula.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use coupon_domain::draw::{Outcome, PublishedDraw, Step};
use coupon_domain::ids::UserId;
use textwrap::Options;

use crate::cli::{Unusable, Verdict, print};

const WIDTH: usize = 100;
const INDENT: &str = "    ";

/// Its arguments.
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The file of the draw, as `coupon draw export` writes it
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Check this ticket's place too: that it took part, and whether it won
    #[arg(long, value_name = "N", requires_all = ["user", "receipt"])]
    ticket: Option<u32>,

    /// The user who has that ticket
    #[arg(long, value_name = "USER", requires_all = ["ticket", "receipt"])]
    user: Option<UserId>,

    /// The receipt that came with it, 32 hexadecimal digits
    #[arg(long, value_name = "HEX", requires_all = ["ticket", "user"], value_parser = receipt)]
    receipt: Option<Receipt>,
}

type Receipt = [u8; 16];

fn receipt(hex: &str) -> Result<Receipt, String> {
    let digits = hex.len() == 32 && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u128::from_str_radix(hex, 16).ok().filter(|_| digits);
    number.map(u128::to_be_bytes).ok_or_else(|| "must be 32 hexadecimal digits".to_owned())
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<Verdict> {
        let text = std::fs::read_to_string(&self.file).with_context(|| Unusable(self.file.clone()))?;
        let draw = PublishedDraw::parse(&text).with_context(|| Unusable(self.file.clone()))?;
        let mut steps = draw.verify();
        if let (Some(ticket), Some(user), Some(receipt)) = (self.ticket, self.user, self.receipt) {
            steps.extend(draw.check_place(ticket, &user, &receipt));
        }
        print(&report(&draw, &steps));
        Ok(if any(&steps, Outcome::Failed) { Verdict::Bad } else { Verdict::Good })
    }
}

fn any(steps: &[Step], outcome: Outcome) -> bool {
    steps.iter().any(|step| step.outcome == outcome)
}

fn report(draw: &PublishedDraw, steps: &[Step]) -> String {
    let PublishedDraw { campaign_id, round_id, places, .. } = draw;
    let mut parts = vec![format!("The draw of round {round_id} in campaign {campaign_id}: {places} places.")];
    parts.extend(steps.iter().map(describe));
    parts.push(textwrap::fill(&conclusion(draw, steps), WIDTH));
    parts.join("\n\n")
}

fn describe(step: &Step) -> String {
    let outcome = match step.outcome {
        Outcome::Passed => "PASSED",
        Outcome::Failed => "FAILED",
        Outcome::NotPublished => "NOT PUBLISHED YET",
    };
    let indented = Options::new(WIDTH).initial_indent(INDENT).subsequent_indent(INDENT);
    format!("{}: {outcome}\n{}", step.name, textwrap::fill(&step.explanation, indented))
}

/// What was shown, and what no file can show about itself.
fn conclusion(draw: &PublishedDraw, steps: &[Step]) -> String {
    let named = |outcome| {
        let names: Vec<_> = steps.iter().filter(|step| step.outcome == outcome).map(|step| step.name).collect();
        names.join(", ")
    };
    if any(steps, Outcome::Failed) {
        return format!(
            "NOT VERIFIED. Failed: {}. Either the file was changed or the draw was not carried out as it says.",
            named(Outcome::Failed)
        );
    }
    let mut sentences = vec![format!("VERIFIED from this file alone: {}.", named(Outcome::Passed))];
    if any(steps, Outcome::NotPublished) {
        sentences.push(format!("Not published yet: {}.", named(Outcome::NotPublished)));
    }
    sentences.push(format!(
        "Only you can compare the commit {} with the one that was published before reservation opened, and the root {} with the one \
         that was published when it closed.",
        draw.commit, draw.root
    ));
    if let (Some(source), Some(_)) = (&draw.beacon_source, &draw.beacon) {
        sentences.push(format!("And only you can compare the bytes of the beacon with what {source} published."));
    }
    sentences.join(" ")
}
