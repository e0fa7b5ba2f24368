//! The ledger's way back into a gate.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use coupon_domain::campaign::{CampaignState, Rules};
use coupon_domain::draw::merkle::TreeBuilder;
use coupon_domain::draw::winners_bitmap;
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::model::{CampaignHead, CampaignModel, LoadChunk, RoundView, Seat};
use coupon_domain::ports::{Conclusion, CreateOutcome, DrawResult, DrawRoot, Journal as _, NewCampaign};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use super::history::{History, decided_events};
use crate::build::{a_campaign, by, campaign_id, round, round_id, rules_like, second, user};
use crate::contract::differential::{Sequence, gate_equals_model, sequences};
use crate::contract::fold::{Fold, FoldedRound, load_chunks};
use crate::contract::reference::ReferenceGate;
use crate::under_test::{GateUnderTest, LedgerUnderTest, StandingClock};

/// All seats, in pages.
async fn seats(ledger: &LedgerUnderTest, round: RoundId, limit: u32) -> Vec<(UserId, Seat)> {
    let mut all: Vec<(UserId, Seat)> = Vec::new();
    loop {
        let after = all.last().map(|(user, _)| user.clone());
        let page = ledger.records.seats(round, after.as_ref(), limit).await.expect("the ledger answers");
        if page.is_empty() {
            return all;
        }
        assert!(page.len() <= limit as usize && all.len() < 100_000);
        all.extend(page);
    }
}

/// All counts, in pages.
async fn counts(ledger: &LedgerUnderTest, campaign: &CampaignId, limit: u32) -> Vec<(UserId, u32)> {
    let mut all: Vec<(UserId, u32)> = Vec::new();
    loop {
        let after = all.last().map(|(user, _)| user.clone());
        let page = ledger.records.coupon_counts(campaign, after.as_ref(), limit).await.expect("the ledger answers");
        if page.is_empty() {
            return all;
        }
        assert!(page.len() <= limit as usize && all.len() < 100_000);
        all.extend(page);
    }
}

/// Byte by byte, whatever language the store speaks.
pub async fn seats_and_counts_come_in_order_and_in_pages(ledger: LedgerUnderTest) {
    ledger.clock.set(second(500)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.open_round(round(1).claiming(300..360), second(0));
    history.open_round(round(2).reserving(0..240).claiming(400..460), second(0));
    let names =
        ["b", "a", "B", "_", "A", "0", "00", "a-b", "a.b", "ab", "a_b", "@", ":", "aB", "-", "Z", "z", "10", "9"];
    history.claim(round_id(1), &names.map(user), second(300));
    history.record(&ledger).await;
    let mut sorted = names.map(user).to_vec();
    sorted.sort();

    for limit in [1, 4, 1000] {
        let users: Vec<_> = seats(&ledger, round_id(1), limit).await.into_iter().map(|(user, _)| user).collect();
        assert_eq!(users, sorted);
        let expected: Vec<_> = sorted.iter().map(|user| (user.clone(), 1)).collect();
        assert_eq!(counts(&ledger, &history.campaign, limit).await, expected);
    }
    assert_eq!(seats(&ledger, round_id(2), 10).await, []);
    assert_eq!(counts(&ledger, &campaign_id("x"), 10).await, []);
}

/// A place, a coupon, both, or none.
pub async fn a_seat_is_found_by_its_user(ledger: LedgerUnderTest) {
    ledger.clock.set(second(500)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.open_round(round(1).reserving(0..240).claiming(300..360), second(0));
    history.open_round(round(2).claiming(400..460), second(0));
    history.reserve(round_id(1), &["ada", "bob"].map(user), second(1));
    history.claim(round_id(1), &["ada"].map(user), second(300));
    history.claim(round_id(2), &["eve"].map(user), second(400));
    history.record(&ledger).await;

    for (number, folded) in [1, 2].map(|number| (number, &history.fold.rounds[&round_id(number)])) {
        for who in ["ada", "Ada", "bob", "eve"].map(user) {
            let expected = folded.seats.get(&who).copied().unwrap_or_default();
            assert_eq!(ledger.records.seat(round_id(number), &who).await.expect("answers"), expected, "{who}");
        }
    }
}

/// Random histories, recorded in pieces: what the ledger gives back is the model that decided them.
pub async fn a_gate_loaded_from_the_ledger_is_the_one_that_was_lost(ledger: LedgerUnderTest) {
    ledger.clock.set(second(500)).await;
    let config = Config { cases: 40, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let case = AtomicU32::new(0);
    let runtime = tokio::runtime::Handle::current();
    let rebuilt = tokio::task::block_in_place(|| {
        let outcome = TestRunner::new(config).run(&sequences(), |sequence| {
            let case = case.fetch_add(1, Ordering::Relaxed);
            runtime.block_on(rebuilds(&ledger, case, sequence)).map_err(TestCaseError::fail)
        });
        outcome.map_err(|error| match error {
            TestError::Fail(difference, sequence) => format!("{difference}\n{sequence}"),
            TestError::Abort(reason) => reason.to_string(),
        })
    });
    if let Err(difference) = rebuilt {
        panic!("{difference}");
    }
}

async fn rebuilds(ledger: &LedgerUnderTest, case: u32, mut sequence: Sequence) -> Result<(), String> {
    // A campaign is created as a draft or active.
    let draft = matches!(sequence.head.state, CampaignState::Draft | CampaignState::Ended);
    sequence.head.state = if draft { CampaignState::Draft } else { CampaignState::Active };
    let clock = Arc::new(StandingClock::default());
    let gate = Arc::new(ReferenceGate::with_clock(Arc::clone(&clock)));
    let under_test =
        GateUnderTest { journal: Arc::clone(&gate) as _, gate: Arc::clone(&gate) as _, clock, keep: Box::new(()) };
    gate_equals_model(&under_test, case, &sequence).await.map_err(|difference| difference.to_string())?;
    let campaign = campaign_id(&format!("case-{case}"));
    let model = gate.model(&campaign).ok_or("the gate was opened")?;

    let title = format!("Campaign {campaign}");
    let rules = Rules { title, ..rules_like(&sequence.head) };
    // Requests are known to the model from the journal alone.
    let new = NewCampaign { id: campaign.clone(), rules, state: sequence.head.state, by: by(None) };
    let created = ledger.campaigns.create(&new).await.map_err(|e| format!("{e:?}"))?;
    if !matches!(created, CreateOutcome::Created(_)) {
        return Err(format!("{created:?}"));
    }
    let entries = gate.read(&campaign, 0, usize::MAX).await.map_err(|e| format!("{e:?}"))?;
    let mut fold = Fold::created(&new);
    let mut events = Vec::new();
    for piece in entries.chunks(7) {
        let recording = fold.recording(piece).map_err(|e| e.to_string())?;
        ledger.records.record(&campaign, &recording).await.map_err(|e| format!("{e:?} for {recording:?}"))?;
        events.extend(recording.events(&campaign));
        fold.apply(&recording);
    }
    for round in fold.in_gate().filter(|round| round.head.view.drawn) {
        conclude(ledger, round, &winners(&model, &round.head.view)).await?;
    }

    let rebuilt = loaded(ledger, &campaign, &sequence.head, model.position().epoch).await?;
    same("the gate", &model, &rebuilt)?;
    same("the events", &events, &decided_events(ledger, &campaign).await.into_iter().collect())
}

/// Who won, by ticket: no journal tells, but a gate that is told the same again is the same.
fn winners(model: &CampaignModel, view: &RoundView) -> Vec<bool> {
    let byte = |at: u32| {
        let same = |byte: &u8| {
            let mut again = model.clone();
            again.load(LoadChunk::Winners(view.spec.id, at, vec![*byte])).is_ok() && again == *model
        };
        (0..=u8::MAX).find(same).expect("it has some byte there")
    };
    let bytes: Vec<_> = (0..view.places.div_ceil(8)).map(byte).collect();
    (0..view.places as usize).map(|ticket| bytes[ticket / 8] & (0x80 >> (ticket % 8)) != 0).collect()
}

/// As the ledger was told before the gate: with ranks that make these the winners.
async fn conclude(ledger: &LedgerUnderTest, round: &FoldedRound, won: &[bool]) -> Result<(), String> {
    let view = &round.head.view;
    let tree = round.leaves.iter().copied().collect::<TreeBuilder>().finish();
    let root = DrawRoot { places: tree.size, root: tree.root, subtrees: tree.blocks };
    ledger.draws.keep_root(view.spec.id, &root).await.map_err(|e| format!("{e:?}"))?;
    let winners = view.supply.ok_or("what is drawn has a supply")?;
    let (mut best, mut worst) = (0..winners, (winners..view.places).rev());
    let ranks = won.iter().map(|won| if *won { best.next() } else { worst.next() });
    let ranks: Vec<_> = ranks.collect::<Option<_>>().ok_or("not as many winners as there are coupons")?;
    let last_score = (winners > 0).then_some(root.root);
    let result = DrawResult { beacon: None, winners, last_score };
    let conclusion = ledger.draws.conclude_draw(view.spec.id, &result, &ranks).await.map_err(|e| format!("{e:?}"))?;
    same("the conclusion", &Conclusion::Kept, &conclusion)
}

async fn loaded(
    ledger: &LedgerUnderTest,
    campaign: &CampaignId,
    like: &CampaignHead,
    epoch: u64,
) -> Result<CampaignModel, String> {
    let snapshot = ledger.records.snapshot(campaign).await.map_err(|e| format!("{e:?}"))?;
    let (mut taken, mut won) = (HashMap::new(), HashMap::new());
    for RoundView { spec, drawn, supply, .. } in snapshot.rounds.iter().map(|head| &head.view) {
        taken.insert(spec.id, seats(ledger, spec.id, 3).await);
        let ranks = if *drawn { ranks(ledger, spec.id).await } else { Vec::new() };
        won.insert(spec.id, winners_bitmap(&ranks, supply.unwrap_or(0)));
    }
    let counts = counts(ledger, campaign, 3).await;
    let mut model = CampaignModel::begin(like);
    for chunk in load_chunks(like, epoch, &snapshot, 500, |id| taken[&id].clone(), |id| won[&id].clone(), counts) {
        let failed = format!("{chunk:?}");
        model.load(chunk).map_err(|e| format!("{e} at {failed}"))?;
    }
    Ok(model)
}

/// All ranks, in pages.
async fn ranks(ledger: &LedgerUnderTest, round: RoundId) -> Vec<u32> {
    let mut all = Vec::new();
    loop {
        let from = u32::try_from(all.len()).expect("few");
        let page = ledger.draws.ranks(round, from, 3).await.expect("the ledger answers");
        if page.is_empty() {
            return all;
        }
        assert!(page.len() <= 3 && all.len() < 100_000);
        all.extend(page);
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}:\n  expected {expected:?}\n  found    {found:?}")) }
}
