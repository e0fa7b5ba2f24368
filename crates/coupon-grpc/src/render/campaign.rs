//! The answers of CampaignService.

use bytes::Bytes;
use coupon_domain::campaign::{Allocation, Campaign, CampaignState, Rules, Validity};
use coupon_domain::choice::Verb;
use coupon_domain::round::Phase;
use coupon_domain::schedule::{Schedule, Start};
use coupon_domain::stats::Deciles;
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_proto::v1 as pb;
use coupon_usecases::campaigns::Created;
use coupon_usecases::draws::{DrawReport, Published};
use coupon_usecases::rounds::RoundReport;
use coupon_usecases::statistics::RoundStats;

use super::coupon::refusal_reason;
use super::{benefit, duration, hash, int, timestamp, witness};

pub(crate) fn created(created: Created) -> pb::CreateCampaignResponse {
    match created {
        Created::Campaign(campaign, first) => pb::CreateCampaignResponse {
            campaign: Some(self::campaign(*campaign)),
            first_round: first.map(|first| round(*first).0),
        },
        Created::Valid(rules, state) => {
            pb::CreateCampaignResponse { campaign: Some(self::rules(*rules, state)), first_round: None }
        }
    }
}

pub(crate) fn campaign(campaign: Campaign) -> pb::Campaign {
    pb::Campaign {
        id: campaign.id.to_string(),
        etag: campaign.revision.to_string(),
        created_at: Some(timestamp(campaign.created_at)),
        updated_at: Some(timestamp(campaign.updated_at)),
        ..rules(campaign.rules, campaign.state)
    }
}

pub(crate) fn campaign_page(campaigns: Vec<Campaign>, limit: u32) -> pb::ListCampaignsResponse {
    let full = campaigns.len() >= limit as usize;
    let next_page_token = campaigns.last().filter(|_| full).map(|last| last.id.to_string()).unwrap_or_default();
    pb::ListCampaignsResponse { campaigns: campaigns.into_iter().map(campaign).collect(), next_page_token }
}

fn rules(rules: Rules, state: CampaignState) -> pb::Campaign {
    let supply = match rules.supply {
        Supply::Fixed(n) => Some(pb::supply::Rule::Fixed(i64::from(n))),
        Supply::RatioOfPlaces(ratio) => Some(pb::supply::Rule::RatioOfPlaces(self::ratio(ratio))),
        Supply::SharedPool => None,
    };
    let until = match rules.validity {
        Validity::At(at) => pb::validity::Until::At(timestamp(at)),
        Validity::AfterClaim(span) => pb::validity::Until::AfterClaim(duration(span)),
    };
    let allocation = match rules.allocation {
        Allocation::FirstCome => pb::Allocation::FirstCome,
        Allocation::Draw => pb::Allocation::Draw,
    };
    pb::Campaign {
        title: rules.title,
        benefit: Some(benefit(&rules.benefit)),
        supply: supply.map(|rule| pb::Supply { rule: Some(rule) }),
        allocation: allocation.into(),
        schedule: Some(schedule(&rules.schedule)),
        reservation_required: rules.reservation_required,
        max_per_user: rules.max_per_user.and_then(|n| i32::try_from(n).ok()),
        validity: Some(pb::Validity { until: Some(until) }),
        state: campaign_state(state).into(),
        metadata: rules.metadata.into_iter().collect(),
        total_limit: rules.total_limit.map(i64::from),
        max_places: rules.max_places.map(i64::from),
        notice_leads: rules.notice_leads.into_iter().map(duration).collect(),
        registered_users_only: rules.registered_users_only,
        beacon_source: rules.beacon_source.unwrap_or_default(),
        ..pb::Campaign::default()
    }
}

fn ratio(ratio: Ratio) -> pb::Ratio {
    pb::Ratio {
        numerator: i32::try_from(ratio.numerator()).unwrap_or(i32::MAX),
        denominator: i32::try_from(ratio.denominator()).unwrap_or(i32::MAX),
        rounding: rounding(ratio.rounding()).into(),
    }
}

fn rounding(rounding: Rounding) -> pb::Rounding {
    match rounding {
        Rounding::Floor => pb::Rounding::Floor,
        Rounding::Ceil => pb::Rounding::Ceil,
        Rounding::Nearest => pb::Rounding::Nearest,
    }
}

fn campaign_state(state: CampaignState) -> pb::CampaignState {
    match state {
        CampaignState::Draft => pb::CampaignState::Draft,
        CampaignState::Active => pb::CampaignState::Active,
        CampaignState::Paused => pb::CampaignState::Paused,
        CampaignState::Ended => pb::CampaignState::Ended,
    }
}

fn schedule(schedule: &Schedule) -> pb::Schedule {
    use pb::schedule::Start as Pb;
    let start = match &schedule.start {
        Start::Once(at) => Pb::Once(timestamp(*at)),
        Start::Recurring(recurrence) => Pb::Recurring(pb::Recurrence {
            cron: recurrence.cron().to_owned(),
            time_zone: recurrence.time_zone().to_owned(),
            first: recurrence.first().map(timestamp),
            last: recurrence.last().map(timestamp),
        }),
    };
    pb::Schedule {
        start: Some(start),
        reserve_lead: Some(duration(schedule.reserve_lead)),
        reserve_close_lead: Some(duration(schedule.reserve_close_lead)),
        claim_duration: Some(duration(schedule.claim_duration)),
    }
}

pub(crate) fn round(report: RoundReport) -> (pb::Round, Option<pb::Witness>) {
    let RoundReport { campaign, view, remaining, recovering, witness: seen } = report;
    let phase = match view.phase {
        _ if recovering => pb::RoundPhase::Recovering,
        Phase::Planned => pb::RoundPhase::Planned,
        Phase::Reserving => pb::RoundPhase::Reserving,
        Phase::Waiting => pb::RoundPhase::Waiting,
        Phase::Claiming => pb::RoundPhase::Claiming,
        Phase::Closed => pb::RoundPhase::Closed,
    };
    let claim = view.claim();
    let spec = view.spec;
    let round = pb::Round {
        id: spec.id.to_string(),
        campaign_id: campaign.to_string(),
        number: i64::from(spec.id.number()),
        phase: phase.into(),
        reserve_opens_at: spec.reserve.map(|window| timestamp(window.opens)),
        reserve_closes_at: spec.reserve.map(|window| timestamp(window.closes)),
        claim_opens_at: Some(timestamp(claim.opens)),
        claim_closes_at: Some(timestamp(claim.closes)),
        places: Some(i64::from(view.places)),
        supply: view.supply.map(i64::from),
        issued: Some(i64::from(view.issued)),
        remaining: remaining.map(int),
        draw_commit: spec.draw.map(|plan| hash(&plan.commit)).unwrap_or_default(),
        drawn: view.drawn,
        added: (view.added > 0).then_some(i64::from(view.added)),
    };
    (round, seen.map(witness))
}

/// A page of rounds.
pub(crate) fn round_page(reports: Vec<RoundReport>, limit: u32) -> pb::ListRoundsResponse {
    let full = reports.len() >= limit as usize;
    let next_page_token = reports.last().filter(|_| full).map(|last| last.view.spec.id.to_string()).unwrap_or_default();
    pb::ListRoundsResponse { rounds: reports.into_iter().map(|report| round(report).0).collect(), next_page_token }
}

pub(crate) fn draw(report: DrawReport) -> pb::GetDrawResponse {
    let DrawReport { view, plan, params, remaining_total, root, published } = report;
    let root_hash = root.as_ref().map(|root| hash(&root.root)).unwrap_or_default();
    let (seed, beacon, key, winners, last_score) = match published {
        Some(Published { seed, beacon, key, winners, last_score }) => (
            Bytes::copy_from_slice(&seed.reveal()),
            beacon.map(Bytes::from).unwrap_or_default(),
            hash(&key.reveal()),
            Some(i64::from(winners)),
            last_score.as_ref().map(hash).unwrap_or_default(),
        ),
        None => Default::default(),
    };
    pb::GetDrawResponse {
        round_id: view.spec.id.to_string(),
        commit: hash(&plan.commit),
        places: root.map(|root| i64::from(root.places)),
        root: root_hash,
        beacon,
        seed,
        key,
        winners,
        last_score,
        ratio: params.ratio().map(ratio),
        cap: i64::from(params.cap()),
        added: i64::from(view.added),
        remaining_total: remaining_total.map(int),
        beacon_source: plan.beacon_source.unwrap_or_default(),
    }
}

pub(crate) fn stats(stats: RoundStats) -> pb::GetStatsResponse {
    let RoundStats { round, refusals, deciles } = stats;
    let refusals = refusals.into_iter().map(|((verb, refusal), count)| pb::RefusalCount {
        call: match verb {
            Verb::Reserve => pb::CallKind::Reserve,
            Verb::Claim => pb::CallKind::Claim,
        }
        .into(),
        reason: refusal_reason(refusal).into(),
        count: int(count),
    });
    let parts = deciles.iter().flat_map(|deciles| &deciles.parts).map(|part| pb::ArrivalDecile {
        claims: int(part.claims),
        won: int(part.won),
        win_rate: if part.claims == 0 { 0.0 } else { part.won as f64 / part.claims as f64 },
    });
    pb::GetStatsResponse {
        round: Some(self::round(round).0),
        refusals: refusals.collect(),
        deciles: parts.collect(),
        chi_square: deciles.as_ref().and_then(Deciles::chi_square),
        p_value: deciles.as_ref().and_then(Deciles::p_value),
    }
}
