//! Exactness: what was answered, what the gate has issued and what the ledger has must be the same, to the last coupon.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use coupon_proto::v1 as pb;
use futures::StreamExt as _;
use http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::crew::Work;
use crate::drive::Asked;
use crate::given::{Given, Last};
use crate::job::{Scene, user};
use crate::report::Exactness;
use crate::scene::Operator;
use crate::wire::Connection;
use crate::wire::message::Exported;

/// How long the ledger may take to catch up, beside a millisecond for each row.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);
/// Places that are looked for at once.
const LOOKING: usize = 256;
/// Over so many connections.
const CONNECTIONS: usize = 4;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Places,
    Coupons,
    /// Coupons that were used.
    Redemptions,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Places => "places",
            Self::Coupons => "coupons",
            Self::Redemptions => "redemptions",
        }
    }
}

/// Waits until the ledger has the latest one that was given: it has all before it, since the journal has one order.
pub(crate) async fn wait_for_ledger(
    operator: &Operator,
    scene: &Scene,
    kind: Kind,
    given: &Given,
) -> anyhow::Result<Option<Instant>> {
    // A redemption is answered when the ledger has it.
    let Some(last) = given.last().filter(|_| kind != Kind::Redemptions) else { return Ok(None) };
    let patience = PATIENCE + Duration::from_millis(last.serial);
    let wait = async {
        while !is_recorded(operator, scene, kind, last).await {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(patience, wait).await.context("the ledger does not catch up")?;
    Ok(Some(Instant::now()))
}

async fn is_recorded(operator: &Operator, scene: &Scene, kind: Kind, last: Last) -> bool {
    let (campaign_id, user_id) = (scene.campaign.clone(), user(last.user));
    match kind {
        // Asking does not make it so: only the ledger is read.
        Kind::Coupons | Kind::Redemptions => {
            let request = pb::ListCouponsRequest { user_id, campaign_id, ..Default::default() };
            let page = operator.coupons.clone().list_coupons(request).await;
            page.is_ok_and(|page| {
                page.into_inner().coupons.iter().any(|coupon| coupon.serial == Some(last.serial as i64))
            })
        }
        // It answers once the recorder has come that far.
        Kind::Places => {
            let request = pb::GetPlaceRequest { campaign_id, round_id: scene.round.clone(), user_id };
            operator.coupons.clone().get_place(request).await.is_ok()
        }
    }
}

/// Counts by everyone who counts.
pub(crate) async fn count(
    operator: &Operator,
    address: &str,
    scene: &Scene,
    kind: Kind,
    work: &Work,
) -> anyhow::Result<Exactness> {
    let answers = work.given.count();
    let gate = gate_count(operator, scene, kind).await?;
    let (gate, ledger) = match kind {
        Kind::Places => (gate, places_in_ledger(address, scene, &work.asked).await?.count()),
        Kind::Coupons => (gate, coupons_in_ledger(address, scene, None).await?),
        Kind::Redemptions => {
            // The gate knows nothing of redemptions: of what it has issued, so much was to be redeemed.
            let unused = work.prepared.saturating_sub(work.asked.iter().map(|asked| asked.count()).sum());
            let redeemed = coupons_in_ledger(address, scene, Some(pb::CouponState::Redeemed)).await?;
            (gate.saturating_sub(unused), redeemed)
        }
    };
    Ok(Exactness { answers, gate, ledger, expected: None })
}

/// What the gate has issued of it.
pub(crate) async fn gate_count(operator: &Operator, scene: &Scene, kind: Kind) -> anyhow::Result<u64> {
    let answer = operator.round(scene).await?;
    let round = answer.round.context("an answer without its round")?;
    answer.witness.context("the gate did not answer")?;
    let count = match kind {
        Kind::Places => round.places,
        Kind::Coupons | Kind::Redemptions => round.issued,
    };
    Ok(u64::try_from(count.unwrap_or(0))?)
}

/// How many coupons of the round the ledger has, in this state or in any, by reading each.
async fn coupons_in_ledger(address: &str, scene: &Scene, state: Option<pb::CouponState>) -> anyhow::Result<u64> {
    let request = pb::ExportCouponsRequest {
        campaign_id: scene.campaign.clone(),
        round_id: scene.round.clone(),
        state: state.unwrap_or_default().into(),
    };
    let mut grpc = Connection::open(address).await?.grpc()?.max_decoding_message_size(64 << 20);
    let path = PathAndQuery::from_static("/coupon.v1.CampaignService/ExportCoupons");
    let codec = ProstCodec::<_, Exported>::default();
    let mut pages = grpc.server_streaming(Request::new(request), path, codec).await?.into_inner();
    let mut count = 0;
    while let Some(page) = pages.message().await? {
        count += page.coupons.len() as u64;
    }
    Ok(count)
}

/// How many places of these users the ledger has, and whether it has the tickets that were answered. It is asked for each: the contract has
/// no list of places.
async fn places_in_ledger(address: &str, scene: &Scene, asked: &[Asked]) -> anyhow::Result<Given> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Operator::connect(address).await?);
    }
    let found = Given::default();
    let users = asked.iter().flat_map(|asked| asked.numbers());
    let looks = users.zip(connections.iter().cycle()).map(|(number, connection)| {
        let request = pb::GetPlaceRequest {
            campaign_id: scene.campaign.clone(),
            round_id: scene.round.clone(),
            user_id: user(number),
        };
        let mut coupons = connection.coupons.clone();
        async move {
            let ticket = match coupons.get_place(request).await {
                Ok(response) => response.into_inner().place.and_then(|place| place.ticket),
                Err(status) if status.code() == Code::NotFound => return Ok(None),
                Err(status) => bail!("the place of {} cannot be looked up: {status}", user(number)),
            };
            let ticket = ticket.and_then(|ticket| u64::try_from(ticket).ok()).context("a place without its ticket")?;
            Ok(Some((number, ticket)))
        }
    });
    let mut looks = futures::stream::iter(looks).buffer_unordered(LOOKING);
    while let Some(place) = looks.next().await {
        if let Some((number, ticket)) = place? {
            found.note(ticket, number);
        }
    }
    Ok(found)
}

/// What does not agree, in words.
pub(crate) fn differences(kind: Kind, work: &Work, exactness: &Exactness) -> Vec<String> {
    let Exactness { answers, gate, ledger, expected } = *exactness;
    let what = kind.name();
    let rules = [
        (work.given.twice() > 0, format!("{} answers had {what} that were given before", work.given.twice())),
        (work.given.beyond() > 0, format!("{} answers had {what} that cannot be", work.given.beyond())),
        (work.unsettled > 0, format!("{} requests have no answer even after several attempts", work.unsettled)),
        (gate != answers, format!("the gate has issued {gate} {what}, {answers} were answered")),
        (ledger != gate, format!("the ledger has {ledger} {what}, the gate has issued {gate}")),
        (
            expected.is_some_and(|expected| expected != answers),
            format!("there must be {} {what}, {answers} were answered", expected.unwrap_or_default()),
        ),
    ];
    rules.into_iter().filter_map(|(differs, text)| differs.then_some(text)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn work(given: u64, unsettled: u64) -> Work {
        let all = Arc::new(Given::default());
        (0..given).for_each(|serial| all.note(serial, serial));
        Work { given: all, unsettled, ..Work::nothing() }
    }

    fn found(work: &Work, gate: u64, ledger: u64, expected: Option<u64>) -> Vec<String> {
        let exactness = Exactness { answers: work.given.count(), gate, ledger, expected };
        let found = differences(Kind::Coupons, work, &exactness);
        assert_eq!(found.is_empty(), exactness.is_exact() && work.unsettled == 0 && work.given.twice() == 0);
        found
    }

    #[test]
    fn a_coupon_more_or_less_anywhere_is_named() {
        assert_eq!(found(&work(10, 0), 10, 10, Some(10)), [""; 0]);
        assert_eq!(found(&work(10, 0), 11, 11, None), ["the gate has issued 11 coupons, 10 were answered"]);
        assert_eq!(found(&work(10, 0), 10, 9, None), ["the ledger has 9 coupons, the gate has issued 10"]);
        assert_eq!(found(&work(10, 0), 10, 10, Some(9)), ["there must be 9 coupons, 10 were answered"]);
        assert_eq!(found(&work(10, 1), 10, 10, None), ["1 requests have no answer even after several attempts"]);
    }

    #[test]
    fn a_coupon_that_two_users_have_is_named_although_all_counts_agree() {
        let work = work(10, 0);
        work.given.note(3, 12);
        assert_eq!(found(&work, 10, 10, None), ["1 answers had coupons that were given before"]);
    }
}
