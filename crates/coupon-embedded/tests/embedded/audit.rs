//! Who changed what: told with the change, and by the recorder for what a gate decided.

use coupon_domain::audit::{CREATE, CREATE_USERS, DELETE_USER, SET_BEACON};
use coupon_domain::campaign::Transition;
use coupon_domain::checkout::{Call, VOID_COUPON, Void};
use coupon_domain::ids::Actor;
use coupon_domain::ports::{
    AuditRepository as _, CampaignRepository as _, CouponRepository as _, DrawRepository as _, Gate as _, NewUser,
    UserRepository as _,
};
use coupon_testkit::build::{by, by_whom, coupon_id, round_id, user};
use serde_json::json;
use uuid::Uuid;

use crate::checkout::ten_coupons;

#[tokio::test]
async fn each_change_has_one_record_and_what_changes_nothing_has_none() {
    let shop = ten_coupons().await;
    let (ledger, campaign) = (&shop.ledger, &shop.campaign);
    let ada = NewUser { id: user("ada"), name: "Ada".to_owned(), metadata: Default::default() };
    let (pause, void) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let called = Call::Void(Void { coupon: coupon_id(1, 3), reason: String::new(), by: by_whom("vera", Some(void)) });

    for _ in 0..2 {
        ledger.create_users(std::slice::from_ref(&ada), &by(None)).await.expect("the ledger answers");
        ledger.set_beacon(campaign, round_id(1), b"b", &by(None)).await.expect("the ledger answers");
        ledger.carry_out(std::slice::from_ref(&called)).await.expect("the ledger answers");
    }
    for _ in 0..2 {
        ledger.delete_user(&ada.id, &by(None)).await.expect("the ledger answers");
    }
    for name in ["paula", "somebody-else"] {
        let actor = Actor::parse(name).expect("a name");
        ledger.announce(pause, &actor).await.expect("the ledger answers");
    }
    shop.gate.transition(campaign, Transition::Pause, Some(pause), shop.seen()).await.expect("decided");
    shop.gate.transition(campaign, Transition::Resume, None, shop.seen()).await.expect("decided");
    shop.record().await;

    let shop = shop.restarted();
    let mut records = shop.ledger.audit_records(None, None, 100).await.expect("the ledger answers");
    assert!(records.is_sorted_by(|(one, _), (next, _)| one > next), "the latest comes first");
    records.reverse();
    let told: Vec<_> = records.iter().map(|(_, record)| (record.action.as_str(), record.by.actor.as_str())).collect();
    assert_eq!(
        told,
        [
            (CREATE, "tester"),
            (CREATE_USERS, "tester"),
            (SET_BEACON, "tester"),
            (VOID_COUPON, "vera"),
            (DELETE_USER, "tester"),
            ("PAUSE", "paula"),
            ("RESUME", "service"),
        ]
    );
    let (_, paused) = &records[5];
    assert_eq!(paused.by.request, Some(pause));
    assert_eq!((&paused.before, &paused.after), (&Some(json!({"state": "ACTIVE"})), &Some(json!({"state": "PAUSED"}))));
    let (_, voided) = &records[3];
    assert_eq!(
        (voided.coupon, voided.round, &voided.user),
        (Some(coupon_id(1, 3)), Some(round_id(1)), &Some(user("u-3")))
    );
    let request = shop.ledger.request(void).await.expect("the ledger answers").expect("it was noted");
    assert_eq!(request.verb, VOID_COUPON);

    let of_campaign = shop.ledger.audit_records(Some(&shop.campaign), None, 100).await.expect("the ledger answers");
    assert_eq!(of_campaign.len(), 5);
    let before = shop.ledger.audit_records(None, Some(records[5].0), 2).await.expect("the ledger answers");
    assert_eq!(before, [records[4].clone(), records[3].clone()]);
}
