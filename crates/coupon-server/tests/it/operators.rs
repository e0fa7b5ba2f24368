//! What operators do with campaigns, each on both sets of adapters.

pub(crate) mod calls;
mod endings;
mod rules_in_use;
mod supply;
mod updates;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use coupon_proto::v1 as pb;
use futures::future::join_all;
use pb::RefusalReason as Reason;
use tokio::sync::Notify;
use tonic::Code;

use self::calls::fault;
use crate::shop::{
    Instance, On, Outcome, Shop, at, campaign, daily, eventually, fixed, instant, on_both, open_campaign, seconds,
    users,
};

on_both! {
    campaigns_page_newest_first
    a_repeated_request_id_is_harmless
    a_title_is_taken_until_the_campaign_ends
    a_draft_has_not_opened
    s12_paused_no_yes_and_repeats_go_on
    s12_under_load_no_instance_says_yes_after_the_pause_has_answered
    rounds_page_latest_first_with_their_counts_of_now
}

async fn campaigns_page_newest_first(on: On) {
    let shop = Shop::open(on).await;
    let mut created = Vec::new();
    for n in 0..5 {
        created.push(shop.create(campaign(&format!("number {n}"), fixed(1))).await.0);
    }
    created.reverse();
    let mut client = shop.instances[0].campaigns.clone();
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListCampaignsRequest { page_size: 2, page_token, ..Default::default() };
        let page = client.list_campaigns(request).await.expect("a page").into_inner();
        ids.extend(page.campaigns.into_iter().map(|campaign| campaign.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(ids, created);
    let drafts = pb::ListCampaignsRequest { state: pb::CampaignState::Draft.into(), ..Default::default() };
    assert!(client.list_campaigns(drafts).await.expect("a page").into_inner().campaigns.is_empty());
}

async fn a_repeated_request_id_is_harmless(on: On) {
    let shop = Shop::open(on).await;
    let mut operator = shop.instances[0].campaigns.clone();
    let id = "0190d0a0-0000-7000-8000-000000000001".to_owned();
    let create = pb::CreateCampaignRequest {
        campaign: Some(campaign("once", fixed(1))),
        request_id: id.clone(),
        ..Default::default()
    };
    let first = operator.create_campaign(create.clone()).await.expect("created").into_inner();
    let again = operator.create_campaign(create).await.expect("created").into_inner();
    assert_eq!(first, again);
    let campaign_id = first.campaign.expect("a campaign").id;

    let activate = pb::ActivateCampaignRequest {
        campaign_id: campaign_id.clone(),
        request_id: "0190d0a0-0000-7000-8000-000000000002".to_owned(),
    };
    let pause = pb::PauseCampaignRequest { campaign_id: campaign_id.clone(), request_id: String::new() };
    operator.activate_campaign(activate.clone()).await.expect("active");
    operator.pause_campaign(pause).await.expect("paused");
    let repeat =
        operator.activate_campaign(activate).await.expect("harmless").into_inner().campaign.expect("a campaign");
    assert_eq!(repeat.state(), pb::CampaignState::Paused, "a late repeat does not undo the pause");

    let reused = pb::ResumeCampaignRequest { campaign_id, request_id: id };
    assert_eq!(operator.resume_campaign(reused).await.expect_err("used").code(), tonic::Code::FailedPrecondition);
}

async fn a_title_is_taken_until_the_campaign_ends(on: On) {
    let shop = Shop::open(on).await;
    let mut operator = shop.instances[0].campaigns.clone();
    shop.create(campaign("title", fixed(1))).await;
    let same = pb::CreateCampaignRequest { campaign: Some(campaign("title", fixed(2))), ..Default::default() };
    assert_eq!(operator.create_campaign(same).await.expect_err("taken").code(), tonic::Code::AlreadyExists);
    let longer = pb::Validity { until: Some(pb::validity::Until::AfterClaim(seconds(8 * 86_400))) };
    shop.create(pb::Campaign { validity: Some(longer), ..campaign("title", fixed(1)) }).await;
}

async fn a_draft_has_not_opened(on: On) {
    let shop = Shop::open(on).await;
    let mut operator = shop.instances[0].campaigns.clone();
    let request = pb::CreateCampaignRequest { campaign: Some(campaign("draft", fixed(1))), ..Default::default() };
    let created = operator.create_campaign(request).await.expect("created").into_inner();
    let (c, r) = (created.campaign.expect("a campaign").id, created.first_round.expect("a round").id);
    shop.set("22:56:00").await;
    let refused = shop.reserve(&c, &r, "ada").await;
    assert!(matches!(&refused.outcome, Outcome::No(refusal) if refusal.reason() == Reason::NotOpenYet));
    let pause = pb::PauseCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    assert_eq!(operator.pause_campaign(pause).await.expect_err("a draft").code(), tonic::Code::FailedPrecondition);
    let activate = pb::ActivateCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    operator.activate_campaign(activate).await.expect("active");
    shop.reserve(&c, &r, "ada").await.granted();
}

async fn s12_paused_no_yes_and_repeats_go_on(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(campaign("pause", fixed(10))).await;
    shop.set("22:56:00").await;
    shop.all_reserve(&c, &r, &users(4)).await;
    shop.set("23:00:00").await;
    let first = shop.claim(&c, &r, "user-0").await.granted();

    let operator = &mut shop.instances[0].campaigns.clone();
    let request = pb::PauseCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    let paused = operator.pause_campaign(request).await.expect("paused").into_inner().campaign.expect("a campaign");
    assert_eq!(paused.state(), pb::CampaignState::Paused);
    for mut instance in shop.instances.iter().cloned() {
        assert_eq!(instance.claim(&c, &r, "user-1").await.expect("an answer").reason(), Reason::Paused);
        assert_eq!(instance.claim(&c, &r, "user-0").await.expect("an answer").granted(), first);
    }
    shop.redeem(&first.code, "user-0", "order-1", 100).await.granted();

    let request = pb::ResumeCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    operator.resume_campaign(request).await.expect("resumed");
    for (n, mut instance) in (1..).zip(shop.instances.iter().cloned()) {
        assert_eq!(instance.claim(&c, &r, &format!("user-{n}")).await.expect("an answer").granted().serial, Some(n));
    }
}

/// Claims for one user after the other until it is told often enough that the campaign is paused. Answers the coupons it got, and how many
/// of them it was given although it had asked after the pause.
async fn claim_until_paused(
    mut instance: Instance,
    (c, r): (&str, &str),
    caller: usize,
    paused: &AtomicBool,
    given: &Progress,
) -> (Vec<String>, usize) {
    const OFTEN: usize = 10;
    let (mut coupons, mut late, mut refused) = (Vec::new(), 0, 0);
    for n in 0.. {
        let after = paused.load(Ordering::SeqCst);
        match instance.claim(c, r, &format!("user-{caller}-{n}")).await.expect("an answer").outcome {
            Outcome::Yes(coupon) => {
                coupons.push(coupon.id);
                late += usize::from(after);
                given.count();
            }
            Outcome::No(refusal) => {
                assert_eq!(refusal.reason(), Reason::Paused);
                refused += usize::from(after);
            }
        }
        if refused == OFTEN {
            break;
        }
    }
    (coupons, late)
}

/// Tells when so many are there.
struct Progress {
    count: AtomicUsize,
    goal: usize,
    reached: Notify,
}

impl Progress {
    fn count(&self) {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.goal {
            self.reached.notify_one();
        }
    }
}

async fn s12_under_load_no_instance_says_yes_after_the_pause_has_answered(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("under load", 1_000_000)).await;
    shop.set("23:00:00").await;
    let (paused, given) = (AtomicBool::new(false), Progress { count: 0.into(), goal: 500, reached: Notify::new() });
    let callers = shop
        .instances
        .iter()
        .cycle()
        .take(32)
        .enumerate()
        .map(|(caller, instance)| claim_until_paused(instance.clone(), (&c, &r), caller, &paused, &given));
    let pause = async {
        given.reached.notified().await;
        shop.instances[0].pause(&c).await.expect("paused");
        paused.store(true, Ordering::SeqCst);
    };
    let (answers, ()) = tokio::join!(join_all(callers), pause);
    assert_eq!(answers.iter().map(|(_, late)| late).sum::<usize>(), 0, "a yes after the pause had answered");
    let coupons: HashSet<_> = answers.into_iter().flat_map(|(coupons, _)| coupons).collect();
    assert!(coupons.len() >= 500);
    let issued = shop.gate(&c).await.answers.issued;
    shop.ledger_caught_up(&c).await;
    assert_eq!((issued, shop.seats(&r).await.len()), (coupons.len() as u64, coupons.len()));
}

async fn rounds_page_latest_first_with_their_counts_of_now(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, first) = shop.create(daily(campaign("rounds", fixed(2)), "0,10,20,30,40 21 * * *")).await;
    let (other, _) = shop.create(campaign("another", fixed(1))).await;
    shop.set("20:56:00").await;
    shop.all_reserve(&c, &first, &users(3)).await;
    shop.set("21:00:00").await;
    shop.claim(&c, &first, "user-0").await.granted();

    for instance in &shop.instances {
        // Those of the next hour.
        let all = instance.planned(&c, 5).await;
        let starts: Vec<_> = all.iter().map(|round| round.claim_opens_at).collect();
        assert_eq!(starts, [4, 3, 2, 1, 0].map(|n| Some(instant(at(&format!("21:{n}0:00"))))));
        for page_size in [1, 2, 3] {
            assert_eq!(instance.rounds(&c, page_size).await.expect("a list"), all, "in pages of {page_size}");
        }
        let round = all.last().expect("rounds");
        assert_eq!((&round.id, &round.campaign_id, round.phase()), (&first, &c, pb::RoundPhase::Claiming));
        assert_eq!(
            (round.places, round.supply, round.issued, round.remaining, round.added),
            (Some(3), Some(2), Some(1), Some(1), None)
        );
        assert_eq!(all[0].phase(), pb::RoundPhase::Planned);
        assert_eq!(instance.rounds(&other, 50).await.expect("a list").len(), 1);
        fault(instance.rounds("no-such-campaign", 50).await, Code::NotFound, "CAMPAIGN_NOT_FOUND");
    }
    // Each answer has the counts of its own moment.
    shop.claim(&c, &first, "user-1").await.granted();
    for instance in &shop.instances {
        let rounds = instance.rounds(&c, 50).await.expect("a list");
        let round = rounds.last().expect("rounds");
        assert_eq!((round.issued, round.remaining), (Some(2), Some(0)));
    }
    // A round that has left the gate stays in the list.
    shop.set("22:01:00").await;
    eventually(|| async {
        let there = shop.gate(&c).await.answers.rounds.iter().any(|round| round.spec.id.to_string() == first);
        (!there).then_some(())
    })
    .await;
    for instance in &shop.instances {
        let rounds = instance.rounds(&c, 2).await.expect("a list");
        let round = rounds.last().expect("rounds");
        assert_eq!((&round.id, round.phase(), round.issued), (&first, pb::RoundPhase::Closed, Some(2)));
    }
}
