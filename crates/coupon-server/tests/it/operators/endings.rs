//! EndCampaign: for good, from wherever it stands.

use coupon_proto::v1 as pb;
use pb::CampaignState as State;
use pb::RefusalReason as Reason;
use tonic::Code;

use super::calls::{change, fault, request_id};
use crate::shop::{On, Shop, at, campaign, daily, eventually, fixed, instant, on_both, open_campaign, users};

on_both! {
    a_campaign_can_be_ended_from_every_state
    ended_while_it_claims_it_gives_nothing_new_and_takes_nothing_back
    nothing_can_be_done_with_a_campaign_that_has_ended
    an_ended_campaign_leaves_its_title
    no_rounds_are_planned_for_an_ended_campaign_and_unused_ones_go
}

async fn in_state(shop: &Shop, state: State) -> Vec<String> {
    let request = pb::ListCampaignsRequest { state: state.into(), ..Default::default() };
    let page = shop.instances[0].campaigns.clone().list_campaigns(request).await.expect("a page").into_inner();
    page.campaigns.into_iter().map(|campaign| campaign.id).collect()
}

async fn a_campaign_can_be_ended_from_every_state(on: On) {
    let shop = Shop::with_company(on).await;
    let operator = &shop.instances[shop.instances.len() - 1];
    let (draft, _) = operator.draft(open_campaign("draft", 1)).await.expect("created");
    let (active, _) = shop.create(open_campaign("active", 1)).await;
    let (paused, _) = shop.create(open_campaign("paused", 1)).await;
    operator.pause(&paused).await.expect("paused");
    let states = [(State::Draft, draft.id), (State::Active, active), (State::Paused, paused)];
    shop.set("23:00:00").await;
    for (n, (state, c)) in (1..).zip(&states) {
        assert_eq!(in_state(&shop, *state).await, [c.as_str()]);
        let before = operator.campaign(c).await;
        let ended = operator.end(c).await.expect("ended");
        assert_eq!(ended.state(), State::Ended);
        assert_ne!(ended.etag, before.etag);
        assert_eq!(operator.campaign(c).await, ended);
        assert_eq!(operator.end(c).await.expect("twice is harmless"), ended);
        assert!(in_state(&shop, *state).await.is_empty());
        for call in [shop.claim(c, "", "ada").await.reason(), shop.reserve(c, "", "ada").await.reason()] {
            assert_eq!(call, Reason::Closed, "{state:?}");
        }
        // Newest first.
        let all: Vec<_> = states[..n].iter().rev().map(|(_, c)| c.clone()).collect();
        assert_eq!(in_state(&shop, State::Ended).await, all);
    }
    let request = pb::EndCampaignRequest { campaign_id: states[0].1.clone(), request_id: request_id(1) };
    operator.campaigns.clone().end_campaign(request).await.expect("whoever asks");
    fault(operator.end("no-such-campaign").await, Code::NotFound, "CAMPAIGN_NOT_FOUND");
}

async fn ended_while_it_claims_it_gives_nothing_new_and_takes_nothing_back(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(daily(campaign("claiming", fixed(10)), "0 23 * * *")).await;
    shop.set("22:56:00").await;
    let place = shop.reserve(&c, &r, "ada").await.granted();
    shop.all_reserve(&c, &r, &users(3)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.instances[0].end(&c).await.expect("ended");

    for instance in &mut shop.instances.clone() {
        for round in [r.as_str(), ""] {
            assert_eq!(instance.claim(&c, round, "user-0").await.expect("an answer").reason(), Reason::Closed);
            assert_eq!(instance.reserve(&c, round, "bob").await.expect("an answer").reason(), Reason::Closed);
        }
        let (again, claimed) = (instance.reserve(&c, &r, "ada").await, instance.claim(&c, &r, "ada").await);
        let (again, claimed) = (again.expect("an answer"), claimed.expect("an answer"));
        assert!(again.replayed && claimed.replayed);
        assert_eq!((again.granted(), claimed.granted()), (place.clone(), coupon.clone()));
    }
    // The rounds to come have closed too.
    shop.set("25 22:56:00").await;
    assert_eq!(shop.reserve(&c, "", "bob").await.reason(), Reason::Closed);
    shop.redeem(&coupon.code, "ada", "order", 1000).await.granted();
    assert_eq!(shop.claim(&c, &r, "ada").await.granted(), coupon, "a coupon is answered as it was issued");
}

async fn nothing_can_be_done_with_a_campaign_that_has_ended(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let pool = pb::Campaign { total_limit: Some(100), ..campaign("over", fixed(10)) };
    let (c, r) = shop.create(pool).await;
    let ended = operator.end(&c).await.expect("ended");

    let wrong_state = |answer| drop(fault(answer, Code::FailedPrecondition, "WRONG_STATE"));
    wrong_state(operator.activate(&c).await);
    wrong_state(operator.pause(&c).await);
    wrong_state(operator.resume(&c).await);
    let titled = |title: &str| change(&c, &["title"], pb::Campaign { title: title.to_owned(), ..Default::default() });
    wrong_state(operator.update(titled("another")).await);
    wrong_state(operator.update(titled("over")).await);
    let check = pb::UpdateCampaignRequest { validate_only: true, ..titled("another") };
    wrong_state(operator.update(check).await);
    for round in [r.as_str(), ""] {
        let refused = operator.add_supply(&c, round, 1, "").await;
        let status = fault(refused, Code::FailedPrecondition, "SUPPLY_REFUSED");
        assert!(status.message().contains("over"), "{status:?}");
    }
    assert_eq!(operator.campaign(&c).await, ended);
    operator.draft(campaign("another", fixed(10))).await.expect("a refused update takes no title");
}

async fn an_ended_campaign_leaves_its_title(on: On) {
    let shop = Shop::with_company(on).await;
    let operator = &shop.instances[0];
    let (c, _) = shop.create(campaign("title", fixed(1))).await;
    let (d, _) = operator.draft(campaign("another", fixed(1))).await.expect("created");
    let wanted = change(&d.id, &["title"], pb::Campaign { title: "title".to_owned(), ..Default::default() });
    fault(operator.update(wanted.clone()).await, Code::AlreadyExists, "TITLE_TAKEN");
    shop.instances[shop.instances.len() - 1].end(&c).await.expect("ended");
    operator.update(wanted).await.expect("the title is free");
    fault(operator.draft(campaign("title", fixed(1))).await, Code::AlreadyExists, "TITLE_TAKEN");
    operator.end(&d.id).await.expect("ended");
    shop.create(campaign("title", fixed(1))).await;
}

async fn no_rounds_are_planned_for_an_ended_campaign_and_unused_ones_go(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, used) = shop.create(daily(open_campaign("ended", 10), "0 23 * * *")).await;
    let (other, _) = shop.create(daily(open_campaign("goes on", 10), "0 23 * * *")).await;
    shop.set("23:00:00").await;
    shop.claim(&c, &used, "ada").await.granted();
    operator.end(&c).await.expect("ended");
    // The scheduler looks after all campaigns, time after time: two new rounds of the other are two times.
    for day in 25..=27 {
        shop.set(&format!("{day} 23:00:00")).await;
        let ahead = Some(instant(at(&format!("{} 23:00:00", day + 3))));
        eventually(|| async {
            let rounds = operator.rounds(&other, 50).await.expect("a list");
            (rounds[0].claim_opens_at == ahead).then_some(())
        })
        .await;
    }
    let rounds = operator.rounds(&c, 50).await.expect("a list");
    assert_eq!(rounds.iter().map(|round| round.id.as_str()).collect::<Vec<_>>(), [used.as_str()]);
    assert_eq!(shop.claim(&c, "", "bob").await.reason(), Reason::Closed);
}
