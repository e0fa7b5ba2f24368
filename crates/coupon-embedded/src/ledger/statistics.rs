//! Counts of rounds, for people.

use std::collections::BTreeMap;

use async_trait::async_trait;
use coupon_domain::answer::Refusal;
use coupon_domain::choice::Verb;
use coupon_domain::ids::RoundId;
use coupon_domain::ports::{LedgerError, StatisticsRepository, Tally};
use coupon_domain::stats::ArrivalBucket;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::upsert::excluded;

use super::schema::{round_arrivals as arrivals, round_refusals as refusals, rounds};
use super::{SqliteLedger, value};
use crate::failed::Failed;
use crate::sqlite::to_integer;

#[async_trait]
impl StatisticsRepository for SqliteLedger {
    async fn add_tally(&self, round: RoundId, tally: &Tally) -> Result<(), LedgerError> {
        let tally = tally.clone();
        Ok(self.write(move |conn, _| Ok(add(conn, value::number(round), &tally)?)).await?)
    }

    async fn tally(&self, round: RoundId) -> Result<Tally, LedgerError> {
        Ok(self.read_at_one_instant(move |conn| tally(conn, value::number(round))).await?)
    }
}

fn add(conn: &mut SqliteConnection, round: i64, tally: &Tally) -> QueryResult<()> {
    let known: bool = diesel::select(exists(rounds::table.find(round))).get_result(conn)?;
    if !known {
        return Ok(());
    }
    for ((verb, reason), count) in &tally.refusals {
        diesel::insert_into(refusals::table)
            .values((
                refusals::round_no.eq(round),
                refusals::verb.eq(word(*verb)),
                refusals::reason.eq(reason.as_str()),
                refusals::count.eq(to_integer(*count)),
            ))
            .on_conflict((refusals::round_no, refusals::verb, refusals::reason))
            .do_update()
            .set(refusals::count.eq(refusals::count + excluded(refusals::count)))
            .execute(conn)?;
    }
    for ArrivalBucket { bucket, won, lost } in &tally.arrivals {
        diesel::insert_into(arrivals::table)
            .values((
                arrivals::round_no.eq(round),
                arrivals::bucket.eq(i64::from(*bucket)),
                arrivals::won.eq(to_integer(*won)),
                arrivals::lost.eq(to_integer(*lost)),
            ))
            .on_conflict((arrivals::round_no, arrivals::bucket))
            .do_update()
            .set((
                arrivals::won.eq(arrivals::won + excluded(arrivals::won)),
                arrivals::lost.eq(arrivals::lost + excluded(arrivals::lost)),
            ))
            .execute(conn)?;
    }
    Ok(())
}

fn tally(conn: &mut SqliteConnection, round: i64) -> Result<Tally, Failed> {
    let of_round = refusals::table.filter(refusals::round_no.eq(round));
    let counts: Vec<(String, String, i64)> =
        of_round.select((refusals::verb, refusals::reason, refusals::count)).load(conn)?;
    let of_round = arrivals::table.filter(arrivals::round_no.eq(round)).order(arrivals::bucket);
    let buckets: Vec<(i64, i64, i64)> =
        of_round.select((arrivals::bucket, arrivals::won, arrivals::lost)).load(conn)?;
    Ok(Tally {
        refusals: counts.iter().map(refused).collect::<Result<BTreeMap<_, _>, _>>()?,
        arrivals: buckets.iter().map(arrived).collect::<Result<_, _>>()?,
    })
}

fn refused((verb, reason, count): &(String, String, i64)) -> Result<((Verb, Refusal), u64), Failed> {
    let verb = [Verb::Reserve, Verb::Claim].into_iter().find(|known| word(*known) == verb);
    let reason = Refusal::ALL.into_iter().find(|known| known.as_str() == reason);
    Ok((value::expect(verb.zip(reason), "a refusal")?, value::count(*count, "a count of refusals")?))
}

fn arrived((bucket, won, lost): &(i64, i64, i64)) -> Result<ArrivalBucket, Failed> {
    Ok(ArrivalBucket {
        bucket: value::count(*bucket, "a span of arrivals")?,
        won: value::count(*won, "a count of winners")?,
        lost: value::count(*lost, "a count of losers")?,
    })
}

fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Reserve => "RESERVE",
        Verb::Claim => "CLAIM",
    }
}
