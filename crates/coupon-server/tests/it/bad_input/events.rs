//! What does not belong into the calls of EventService, into those of the audit, and into the metadata of an operator's call.

use coupon_proto::v1 as pb;
use futures::stream;
use pb::replay_events_request::What;
use tonic::Request;
use tonic::metadata::MetadataValue;

use super::{create, named, names, no_ids, with};
use crate::operators::calls::change;
use crate::shop::{Instance, On, Shop, campaign, fixed, named as subscriber, on_both};

on_both! {
    what_is_no_subscription_is_refused_by_name
    what_is_no_call_about_outlets_is_refused_by_name
    pages_of_the_audit_that_are_none_are_refused_by_name
    an_actor_that_is_none_is_refused_by_every_call_of_an_operator
}

async fn what_is_no_subscription_is_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let instance = &shop.instances[0];
    for bad in no_ids() {
        names(instance.acknowledge(&bad, 0).await, "subscriber");
        names(instance.delete_subscriber(&bad).await, "subscriber");
        if !bad.is_empty() {
            names(instance.subscribe(subscriber(&bad)).await.map(drop), "subscriber");
            let request = pb::SubscribeRequest { campaign_id: bad.clone(), ..Default::default() };
            names(instance.subscribe(request).await.map(drop), "campaign_id");
        }
    }
    for kind in [0, -1, 18, 99, i32::MIN, i32::MAX] {
        let kinds = vec![pb::EventKind::CouponHeld.into(), kind];
        names(instance.subscribe(pb::SubscribeRequest { kinds, ..subscriber("s") }).await.map(drop), "kinds");
    }
    for max_unacknowledged in [-1, 10_001, i32::MIN, i32::MAX] {
        let request = pb::SubscribeRequest { max_unacknowledged, ..subscriber("s") };
        names(instance.subscribe(request).await.map(drop), "max_unacknowledged");
    }
    for after in [-1, i64::MIN, i64::MAX] {
        let request = pb::SubscribeRequest { after: Some(after), ..subscriber("s") };
        names(instance.subscribe(request).await.map(drop), "after");
        names(instance.acknowledge("s", after).await, "position");
    }
    // Names of the service's own outlets.
    names(instance.subscribe(subscriber("outlet:shop")).await.map(drop), "subscriber");
    names(instance.acknowledge("outlet:shop", 0).await, "subscriber");
    let all = pb::SubscribeRequest {
        subscriber: "a b".to_owned(),
        after: Some(-1),
        kinds: vec![0],
        campaign_id: "{}".to_owned(),
        max_unacknowledged: -1,
    };
    let fields: Vec<_> = named(instance.subscribe(all).await.map(drop)).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["subscriber", "after", "kinds", "campaign_id", "max_unacknowledged"]);
    assert_eq!(instance.subscribers().await, [], "nothing was written");
}

async fn what_is_no_call_about_outlets_is_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let mut events = shop.instances[0].events.clone();
    let letters = |outlet: &str| pb::ListDeadLettersRequest { outlet: outlet.to_owned(), ..Default::default() };
    let replay = |outlet: &str, what| pb::ReplayEventsRequest { outlet: outlet.to_owned(), what };
    for bad in no_ids() {
        names(events.list_dead_letters(letters(&bad)).await, "outlet");
        names(events.replay_events(replay(&bad, Some(What::DeadLetters(true)))).await, "outlet");
        if !bad.is_empty() {
            let page = pb::ListDeadLettersRequest { page_token: bad, ..letters("outlet:shop") };
            names(events.list_dead_letters(page).await, "page_token");
        }
    }
    for page_size in [-1, 1001, i32::MIN, i32::MAX] {
        let page = pb::ListDeadLettersRequest { page_size, ..letters("outlet:shop") };
        names(events.list_dead_letters(page).await, "page_size");
    }
    for (what, field) in [
        (None, "dead_letters"),
        (Some(What::DeadLetters(false)), "dead_letters"),
        (Some(What::After(-1)), "after"),
        (Some(What::After(i64::MIN)), "after"),
    ] {
        names(events.replay_events(replay("outlet:shop", what)).await, field);
    }
}

async fn pages_of_the_audit_that_are_none_are_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let mut campaigns = shop.instances[0].campaigns.clone();
    for page_size in [-1, 1001, i32::MIN, i32::MAX] {
        let page = pb::ListAuditRecordsRequest { page_size, ..Default::default() };
        names(campaigns.list_audit_records(page).await, "page_size");
    }
    for bad in no_ids().into_iter().filter(|bad| !bad.is_empty()) {
        let page = pb::ListAuditRecordsRequest { campaign_id: bad.clone(), ..Default::default() };
        names(campaigns.list_audit_records(page).await, "campaign_id");
        let page = pb::ListAuditRecordsRequest { page_token: bad, ..Default::default() };
        names(campaigns.list_audit_records(page).await, "page_token");
    }
}

/// The same message, from each of these callers.
fn from_nobody<T: Clone>(message: &T) -> Vec<Request<T>> {
    let long = "x".repeat(129);
    let odd = [&["a b"][..], &[""], &["'; --"], &["{}"], &[&long], &["ada", "bob"], &["ada", "ada"]];
    let said = odd.iter().map(|actors| {
        let mut request = Request::new(message.clone());
        for actor in *actors {
            request.metadata_mut().append("coupon-actor", MetadataValue::try_from(*actor).expect("a header"));
        }
        request
    });
    said.collect()
}

async fn an_actor_that_is_none_is_refused_by_every_call_of_an_operator(on: On) {
    const FIELD: &str = "coupon-actor";
    let shop = Shop::open(on).await;
    let (there, r) = shop.create(campaign("there", fixed(1))).await;
    let c = || there.clone();
    let before = (shop.gate(&there).await, shop.events(&there).await);
    let Instance { mut campaigns, mut users, .. } = shop.instances[0].clone();
    for request in from_nobody(&create(with(|_| {}))) {
        names(campaigns.create_campaign(request).await, FIELD);
    }
    let title = change(&there, &["title"], pb::Campaign { title: "new".to_owned(), ..Default::default() });
    for request in from_nobody(&title) {
        names(campaigns.update_campaign(request).await, FIELD);
    }
    for request in from_nobody(&pb::ActivateCampaignRequest { campaign_id: c(), ..Default::default() }) {
        names(campaigns.activate_campaign(request).await, FIELD);
    }
    for request in from_nobody(&pb::PauseCampaignRequest { campaign_id: c(), ..Default::default() }) {
        names(campaigns.pause_campaign(request).await, FIELD);
    }
    for request in from_nobody(&pb::ResumeCampaignRequest { campaign_id: c(), ..Default::default() }) {
        names(campaigns.resume_campaign(request).await, FIELD);
    }
    for request in from_nobody(&pb::EndCampaignRequest { campaign_id: c(), ..Default::default() }) {
        names(campaigns.end_campaign(request).await, FIELD);
    }
    let add = pb::AddSupplyRequest { campaign_id: c(), round_id: r.clone(), amount: 1, ..Default::default() };
    for request in from_nobody(&add) {
        names(campaigns.add_supply(request).await, FIELD);
    }
    for request in from_nobody(&pb::VoidCouponRequest { coupon_id: format!("{r}-0"), ..Default::default() }) {
        names(campaigns.void_coupon(request).await, FIELD);
    }
    let beacon = pb::SetBeaconRequest { campaign_id: c(), round_id: r, beacon: vec![7].into(), ..Default::default() };
    for request in from_nobody(&beacon) {
        names(campaigns.set_beacon(request).await, FIELD);
    }
    let ada = pb::User { id: "ada".to_owned(), ..Default::default() };
    for request in from_nobody(&pb::CreateUserRequest { user: Some(ada.clone()) }) {
        names(users.create_user(request).await, FIELD);
    }
    for request in from_nobody(&pb::CreateUsersRequest { user: Some(ada) }) {
        let request = request.map(|line| stream::iter([line]));
        names(users.create_users(request).await, FIELD);
    }
    for request in from_nobody(&pb::DeleteUserRequest { user_id: "ada".to_owned() }) {
        names(users.delete_user(request).await, FIELD);
    }
    assert_eq!((shop.gate(&there).await, shop.events(&there).await), before, "nothing was decided");
    let all = users.list_users(pb::ListUsersRequest::default()).await.expect("a page").into_inner().users;
    assert_eq!(all, []);
}
