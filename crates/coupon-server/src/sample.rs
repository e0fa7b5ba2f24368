//! Sample data: a history made by the real use cases under a clock that is moved, and a live campaign with a round each minute.
//!
//! Two users, two campaigns, six coupons: one coupon each where one is the limit, two each where two are. Two are used, one has expired, three are unused.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use coupon_domain::answer::Outcome;
use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{RulesDraft, Validity};
use coupon_domain::checkout::Operator;
use coupon_domain::code::Code;
use coupon_domain::ids::{Actor, CampaignId, OrderId, RoundId, UserId};
use coupon_domain::money::{Currency, Money};
use coupon_domain::ports::Clock as _;
use coupon_domain::schedule::{Recurrence, Schedule, Start};
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_domain::time::Timestamp;
use coupon_usecases::ask::Ask;
use coupon_usecases::campaigns::{CreateCall, Created};
use coupon_usecases::checkout::{RedeemCall, Redeemed};
use coupon_usecases::engine::Engine;
use coupon_usecases::error::Fault;
use tracing::info;

use crate::clock::ServiceClock;

/// The campaign that a newcomer can use at once.
pub const LIVE: &str = "live";
const WELCOME: &str = "sample-welcome";
const WEEKLY: &str = "sample-weekly";
const USERS: [&str; 2] = ["ada", "bob"];

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Loads what is not there yet. What is there is left as it is.
///
/// # Errors
/// If a use case fails or answers otherwise than the history needs.
pub async fn load(engine: &Arc<Engine>, clock: &ServiceClock) -> anyhow::Result<()> {
    if is_there(engine, LIVE).await? {
        return Ok(());
    }
    let today = clock.now();
    let history = History { engine, clock };
    let told = async {
        history.welcome(today.minus(40 * DAY)).await?;
        history.weekly(today.minus(14 * DAY)).await
    };
    let told = told.await;
    clock.stand_at(None);
    told.context("the history of the sample data")?;
    create(engine, LIVE, live_rules()?).await.context("the live sample campaign")?;
    info!("sample data loaded");
    Ok(())
}

async fn is_there(engine: &Engine, id: &str) -> anyhow::Result<bool> {
    match engine.campaign(&CampaignId::parse(id)?).await {
        Ok(_) => Ok(true),
        Err(Fault::UnknownCampaign(_)) => Ok(false),
        Err(fault) => Err(fault.into()),
    }
}

async fn create(engine: &Arc<Engine>, id: &str, draft: RulesDraft) -> anyhow::Result<()> {
    let call = CreateCall {
        id: Some(CampaignId::parse(id)?),
        draft,
        violations: Vec::new(),
        by: Operator { actor: Actor::parse("sample-data")?, request: None },
        validate_only: false,
        activate: true,
    };
    match engine.create_campaign(call).await {
        Ok(Created::Campaign(..)) => Ok(()),
        Ok(Created::Valid(..)) => bail!("{id} was only checked"),
        Err(Fault::Invalid(wrong)) => bail!("{id}: {wrong:?}"),
        Err(fault) => Err(fault.into()),
    }
}

struct History<'a> {
    engine: &'a Arc<Engine>,
    clock: &'a ServiceClock,
}

impl History<'_> {
    /// One round for two users; ada used her coupon, bob let his expire.
    async fn welcome(&self, start: Timestamp) -> anyhow::Result<()> {
        if is_there(self.engine, WELCOME).await? {
            return Ok(());
        }
        self.clock.stand_at(Some(start.minus(DAY)));
        create(self.engine, WELCOME, welcome_rules(start)?).await?;
        let codes = self.rush(WELCOME, start).await?;
        self.redeem(&codes[0], USERS[0], "sample-order-1", start.plus(2 * DAY)).await
    }

    /// Two rounds, a week apart, two coupons a user; ada used one of hers.
    async fn weekly(&self, start: Timestamp) -> anyhow::Result<()> {
        if is_there(self.engine, WEEKLY).await? {
            return Ok(());
        }
        self.clock.stand_at(Some(start.minus(DAY)));
        create(self.engine, WEEKLY, weekly_rules(start)?).await?;
        let [first, second] = self.starts(WEEKLY).await?[..] else { bail!("the weekly campaign has two starts") };
        let codes = self.rush(WEEKLY, first).await?;
        self.rush(WEEKLY, second).await?;
        self.redeem(&codes[0], USERS[0], "sample-order-2", second.plus(DAY)).await
    }

    async fn starts(&self, campaign: &str) -> anyhow::Result<Vec<Timestamp>> {
        let campaign = self.engine.campaign(&CampaignId::parse(campaign)?).await?;
        Ok(campaign.rules.schedule.starts_after(self.clock.now(), 2))
    }

    /// Both users reserve and claim in the round that starts then.
    async fn rush(&self, campaign: &str, start: Timestamp) -> anyhow::Result<Vec<Code>> {
        let campaign = CampaignId::parse(campaign)?;
        self.clock.stand_at(Some(start.minus(2 * MINUTE)));
        let round = self.round(&campaign, start).await?;
        let mut codes = Vec::new();
        for user in USERS {
            let ask = Ask { campaign: campaign.clone(), round: Some(round), user: UserId::parse(user)? };
            let place = self.engine.reserve(&ask).await?.asked.outcome;
            anyhow::ensure!(matches!(place, Outcome::Granted(_)), "{user} gets a place: {place:?}");
        }
        for (second, user) in (1..).zip(USERS) {
            self.clock.stand_at(Some(start.plus(second * SECOND)));
            let ask = Ask { campaign: campaign.clone(), round: Some(round), user: UserId::parse(user)? };
            let claimed = self.engine.claim(&ask).await?;
            codes.push(claimed.code.with_context(|| format!("{user} gets a coupon: {:?}", claimed.asked.outcome))?);
        }
        Ok(codes)
    }

    async fn round(&self, campaign: &CampaignId, start: Timestamp) -> anyhow::Result<RoundId> {
        let report = self.engine.round(campaign, None).await?;
        anyhow::ensure!(report.view.spec.claim.opens == start, "the round of this start is the next one");
        Ok(report.view.spec.id)
    }

    async fn redeem(&self, code: &Code, user: &str, order: &str, at: Timestamp) -> anyhow::Result<()> {
        self.clock.stand_at(Some(at));
        let call = RedeemCall {
            code: code.reveal().to_owned(),
            user: UserId::parse(user)?,
            order: OrderId::parse(order)?,
            amount: Money::from_parts(Currency::parse("EUR")?, 49, 900_000_000)?,
            validate_only: false,
        };
        match self.engine.redeem(call).await? {
            Redeemed::Yes { .. } => Ok(()),
            Redeemed::No(refusal, _) => bail!("{user} redeems for {order}: {refusal:?}"),
        }
    }
}

fn percent_off(percent: u8) -> Benefit {
    Benefit { kind: BenefitKind::PercentOff(percent), min_order: None, max_discount: None }
}

fn welcome_rules(start: Timestamp) -> anyhow::Result<RulesDraft> {
    Ok(RulesDraft {
        title: "Sample: welcome, 10 % off".to_owned(),
        benefit: Some(percent_off(10)),
        supply: Some(Supply::RatioOfPlaces(Ratio::new(1, 1, Rounding::Floor)?)),
        schedule: Some(Schedule {
            start: Start::Once(start),
            reserve_lead: Schedule::RESERVE_LEAD,
            reserve_close_lead: Schedule::RESERVE_CLOSE_LEAD,
            claim_duration: Schedule::CLAIM_DURATION,
        }),
        reservation_required: true,
        max_per_user: Some(1),
        validity: Some(Validity::AfterClaim(30 * DAY)),
        ..RulesDraft::default()
    })
}

fn weekly_rules(first: Timestamp) -> anyhow::Result<RulesDraft> {
    let day = chrono::DateTime::from_timestamp_micros(first.micros()).context("a date")?;
    let cron = day.format("%-M %-H * * %w").to_string();
    let recurrence = Recurrence::parse(&cron, "UTC", Some(first.minus(MINUTE)), Some(first.plus(8 * DAY)))?;
    Ok(RulesDraft {
        title: "Sample: weekly, 5 EUR off".to_owned(),
        benefit: Some(Benefit {
            kind: BenefitKind::AmountOff(Money::from_parts(Currency::parse("EUR")?, 5, 0)?),
            min_order: None,
            max_discount: None,
        }),
        supply: Some(Supply::Fixed(100)),
        schedule: Some(Schedule {
            start: Start::Recurring(recurrence),
            reserve_lead: Schedule::RESERVE_LEAD,
            reserve_close_lead: Schedule::RESERVE_CLOSE_LEAD,
            claim_duration: Schedule::CLAIM_DURATION,
        }),
        reservation_required: true,
        max_per_user: Some(2),
        validity: Some(Validity::AfterClaim(60 * DAY)),
        ..RulesDraft::default()
    })
}

/// A round each minute: reserve in one minute, claim in the next.
fn live_rules() -> anyhow::Result<RulesDraft> {
    Ok(RulesDraft {
        title: "Live sample: 20 % off, a round each minute".to_owned(),
        benefit: Some(percent_off(20)),
        supply: Some(Supply::Fixed(1000)),
        schedule: Some(Schedule {
            start: Start::Recurring(Recurrence::parse("* * * * *", "UTC", None, None)?),
            reserve_lead: MINUTE,
            reserve_close_lead: Duration::ZERO,
            claim_duration: MINUTE,
        }),
        reservation_required: true,
        max_per_user: Some(1000),
        validity: Some(Validity::AfterClaim(14 * DAY)),
        ..RulesDraft::default()
    })
}
