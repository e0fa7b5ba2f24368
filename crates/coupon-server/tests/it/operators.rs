//! What operators do with campaigns, each on both sets of adapters.

use coupon_proto::v1 as pb;
use pb::RefusalReason as Reason;

use crate::shop::{On, Outcome, Shop, campaign, fixed, on_both, seconds, users};

on_both! {
    campaigns_page_newest_first
    a_repeated_request_id_is_harmless
    a_title_is_taken_until_the_campaign_ends
    a_draft_has_not_opened
    s12_paused_no_yes_and_repeats_go_on
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
    let instances = if on == On::Embedded { 1 } else { 2 };
    let shop = Shop::with_instances(on, instances).await;
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
