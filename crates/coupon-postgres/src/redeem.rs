//! Using coupons for orders, many calls at once, with the answers that they would get one after the other.
//!
//! A wave is those open calls that share no coupon and no order with an open call before them; one statement writes all of it that may be
//! written. What it did not write is decided by a second statement's facts. Facts also answer calls of later waves, as long as no open
//! call before them could still change what they see: sixty calls for one coupon are two statements.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use coupon_domain::ids::{CampaignId, CouponId, OrderId};
use coupon_domain::money::Money;
use coupon_domain::redemption::{Redeem, RedeemFacts, RedeemOutcome};
use coupon_domain::time::Timestamp;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::connection::PostgresLedger;
use crate::failure::Failure;
use crate::rows::{CouponRow, OrderRow, int, number, timestamp};
use crate::statement::sql;

/// How often in a row a wave may come to nothing because others changed the facts between the two statements.
const FRUITLESS: u32 = 20;

/// A call with its place in the batch.
type Numbered<'a> = (usize, &'a Redeem);

#[derive(QueryableByName)]
struct UsedRow {
    #[diesel(sql_type = Integer)]
    ordinal: i32,
    #[diesel(sql_type = Timestamptz)]
    redeemed_at: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct FactsRow {
    #[diesel(sql_type = Integer)]
    ordinal: i32,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(embed)]
    coupon: CouponRow,
    #[diesel(embed)]
    order: OrderRow,
}

impl PostgresLedger {
    pub(crate) async fn redeem_all(&self, calls: &[Redeem]) -> Result<Vec<RedeemOutcome>, Failure> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let calls = calls.to_vec();
        self.run(move |conn| Box::pin(async move { redeem_all(conn, &calls).await })).await
    }
}

async fn redeem_all(conn: &mut AsyncPgConnection, calls: &[Redeem]) -> Result<Vec<RedeemOutcome>, Failure> {
    let mut batch = Batch::new(calls);
    let mut fruitless = 0;
    while let open @ 1.. = batch.open() {
        batch.write_wave(conn).await?;
        batch.settle(conn).await?;
        fruitless = if batch.open() < open { 0 } else { fruitless + 1 };
        if fruitless > FRUITLESS {
            return Err(Failure::Damaged("a coupon's row and its order's contradict each other".to_owned()));
        }
    }
    batch.finish()
}

/// The calls and what became of them so far.
struct Batch<'a> {
    calls: &'a [Redeem],
    outcomes: Vec<Option<Result<RedeemOutcome, Failure>>>,
}

impl<'a> Batch<'a> {
    fn new(calls: &'a [Redeem]) -> Self {
        Self { calls, outcomes: calls.iter().map(|_| None).collect() }
    }

    fn pending(&self) -> Vec<Numbered<'a>> {
        self.calls.iter().enumerate().filter(|(index, _)| self.outcomes[*index].is_none()).collect()
    }

    fn open(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_none()).count()
    }

    fn answer(&mut self, index: usize, outcome: Result<RedeemOutcome, Failure>) {
        self.outcomes[index] = Some(outcome);
    }

    /// Writes what may be written of the next wave. A statement that fails is run again call by call, so that a bad call fails alone.
    async fn write_wave(&mut self, conn: &mut AsyncPgConnection) -> Result<(), Failure> {
        let wave = self.wave();
        if wave.is_empty() {
            return Ok(());
        }
        match write(conn, &wave).await {
            Ok(used) => self.note(used),
            Err(failure) if !failure.is_of_the_statement() => return Err(failure),
            Err(_) => {
                for call in wave {
                    match write(conn, &[call]).await {
                        Ok(used) => self.note(used),
                        Err(failure) if !failure.is_of_the_statement() => return Err(failure),
                        Err(failure) => self.answer(call.0, Err(failure)),
                    }
                }
            }
        }
        Ok(())
    }

    /// Of the open calls those that share nothing with one before them, and of these those that may be written.
    fn wave(&self) -> Vec<Numbered<'a>> {
        let mut shared = Keys::default();
        let mut wave = self.pending();
        wave.retain(|(_, call)| shared.add(call));
        wave.retain(|(_, call)| call.discount.is_ok());
        wave
    }

    fn note(&mut self, used: Vec<(usize, Timestamp)>) {
        let calls = self.calls;
        for (index, at) in used {
            if let Some((call, discount)) = calls.get(index).and_then(|call| Some((call, call.discount.ok()?))) {
                self.answer(index, Ok(RedeemOutcome::Redeemed(call.redemption(discount, at))));
            }
        }
    }

    /// Answers by facts each open call that no open call before it can touch.
    async fn settle(&mut self, conn: &mut AsyncPgConnection) -> Result<(), Failure> {
        let pending = self.pending();
        if pending.is_empty() {
            return Ok(());
        }
        let mut undecided = Keys::default();
        for (index, facts, at) in facts(conn, &pending).await? {
            let Some(call) = self.calls.get(index) else { continue };
            if undecided.has(call) {
                undecided.add(call);
                continue;
            }
            match call.decide(&facts, at) {
                // It has to be written: in the next wave.
                RedeemOutcome::Redeemed(_) => drop(undecided.add(call)),
                outcome => self.answer(index, Ok(outcome)),
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<RedeemOutcome>, Failure> {
        self.outcomes.into_iter().flatten().collect()
    }
}

/// Coupons and orders of some calls.
#[derive(Default)]
struct Keys<'a> {
    coupons: HashSet<CouponId>,
    orders: HashSet<(&'a CampaignId, &'a OrderId)>,
}

impl<'a> Keys<'a> {
    /// Adds those of a call; whether both were new.
    fn add(&mut self, call: &'a Redeem) -> bool {
        let coupon = self.coupons.insert(call.coupon);
        let order = self.orders.insert((&call.campaign, &call.order));
        coupon && order
    }

    fn has(&self, call: &Redeem) -> bool {
        self.coupons.contains(&call.coupon) || self.orders.contains(&(&call.campaign, &call.order))
    }
}

/// Writes those calls whose coupon may be used now; answers with their places in the batch.
async fn write(conn: &mut AsyncPgConnection, wave: &[Numbered<'_>]) -> Result<Vec<(usize, Timestamp)>, Failure> {
    let minor = |money: Result<Money, _>| money.map(|m| m.minor).unwrap_or_default();
    let rows = sql(include_str!("queries/redeem_wave.sql"))
        .bind::<Array<Integer>, _>(column(wave, |(index, _)| ordinal(index)))
        .bind::<Array<Integer>, _>(column(wave, |(_, call)| number(call.coupon.round)))
        .bind::<Array<Integer>, _>(column(wave, |(_, call)| int(call.coupon.serial)))
        .bind::<Array<Text>, _>(column(wave, |(_, call)| call.campaign.as_str()))
        .bind::<Array<Text>, _>(column(wave, |(_, call)| call.user.as_str()))
        .bind::<Array<Text>, _>(column(wave, |(_, call)| call.order.as_str()))
        .bind::<Array<Text>, _>(column(wave, |(_, call)| call.amount.currency.code()))
        .bind::<Array<BigInt>, _>(column(wave, |(_, call)| call.amount.minor))
        .bind::<Array<BigInt>, _>(column(wave, |(_, call)| minor(call.discount)))
        .bind::<Array<Text>, _>(column(wave, |_| Uuid::now_v7().to_string()))
        .load::<UsedRow>(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (index(row.ordinal), timestamp(row.redeemed_at))).collect())
}

/// What [`Redeem::decide`] needs for each of these calls, in their order, with the ledger's time.
pub(crate) async fn facts(
    conn: &mut AsyncPgConnection,
    calls: &[Numbered<'_>],
) -> Result<Vec<(usize, RedeemFacts, Timestamp)>, Failure> {
    let mut rows = sql(include_str!("queries/redeem_facts.sql"))
        .bind::<Array<Integer>, _>(column(calls, |(index, _)| ordinal(index)))
        .bind::<Array<Integer>, _>(column(calls, |(_, call)| number(call.coupon.round)))
        .bind::<Array<Integer>, _>(column(calls, |(_, call)| int(call.coupon.serial)))
        .bind::<Array<Text>, _>(column(calls, |(_, call)| call.campaign.as_str()))
        .bind::<Array<Text>, _>(column(calls, |(_, call)| call.order.as_str()))
        .load::<FactsRow>(conn)
        .await?;
    rows.sort_by_key(|row| row.ordinal);
    rows.into_iter()
        .map(|row| {
            let facts = RedeemFacts { coupon: row.coupon.read()?, order: row.order.read()? };
            Ok((index(row.ordinal), facts, timestamp(row.at)))
        })
        .collect()
}

fn column<'a, T>(calls: &[Numbered<'a>], part: impl Fn(Numbered<'a>) -> T) -> Vec<T> {
    calls.iter().map(|call| part(*call)).collect()
}

fn ordinal(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

fn index(ordinal: i32) -> usize {
    usize::try_from(ordinal).unwrap_or(usize::MAX)
}
