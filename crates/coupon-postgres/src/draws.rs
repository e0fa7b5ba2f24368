//! Draws: leaves, roots, beacons, results and ranks. What is written stays; whoever comes second learns of the first.

use async_trait::async_trait;
use coupon_domain::audit::{SET_BEACON, of_beacon};
use coupon_domain::checkout::Operator;
use coupon_domain::draw::Hash;
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::ports::{
    BeaconOutcome, Conclusion, DrawRecord, DrawRepository, DrawResult, DrawRoot, LedgerError, RequestRecord,
};
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::rows::{NowRow, count, int, number, readable, timestamp};
use crate::statement::sql;
use crate::{audit, requests};

/// The bytes of a rank, and of a hash.
const RANK: usize = 4;
const HASH: usize = 32;

const DRAW: &str =
    "SELECT places, root, subtrees, beacon, used_beacon, winners, last_score FROM draws WHERE round_no = $1";

const STAGE: &str = "SELECT beacon, winners IS NOT NULL AS drawn FROM draws WHERE round_no = $1";

const RANKS: &str = "SELECT substring(ranks FROM $2 FOR $3) AS part FROM draws WHERE round_no = $1";

#[derive(QueryableByName)]
struct LeavesRow {
    #[diesel(sql_type = Nullable<Binary>)]
    leaves: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Integer>)]
    last: Option<i32>,
}

#[derive(QueryableByName)]
struct DrawRow {
    #[diesel(sql_type = Nullable<Integer>)]
    places: Option<i32>,
    #[diesel(sql_type = Nullable<Binary>)]
    root: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    subtrees: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    beacon: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    used_beacon: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Integer>)]
    winners: Option<i32>,
    #[diesel(sql_type = Nullable<Binary>)]
    last_score: Option<Vec<u8>>,
}

impl DrawRow {
    fn read(self) -> Result<DrawRecord, Failure> {
        let root = match (self.places, self.root, self.subtrees) {
            (Some(places), Some(root), Some(subtrees)) => Some(DrawRoot {
                places: count(places, "draws.places")?,
                root: hash(&root, "draws.root")?,
                subtrees: hashes(&subtrees, "draws.subtrees")?,
            }),
            _ => None,
        };
        let result = self.winners.map(|winners| {
            Ok::<_, Failure>(DrawResult {
                beacon: self.used_beacon,
                winners: count(winners, "draws.winners")?,
                last_score: self.last_score.map(|score| hash(&score, "draws.last_score")).transpose()?,
            })
        });
        Ok(DrawRecord { root, beacon: self.beacon, result: result.transpose()? })
    }
}

/// How far a draw has come.
#[derive(QueryableByName, Default)]
struct Stage {
    #[diesel(sql_type = Nullable<Binary>)]
    beacon: Option<Vec<u8>>,
    #[diesel(sql_type = Bool)]
    drawn: bool,
}

#[derive(QueryableByName)]
struct PartRow {
    #[diesel(sql_type = Nullable<Binary>)]
    part: Option<Vec<u8>>,
}

fn hash(bytes: &[u8], part: &str) -> Result<Hash, Failure> {
    readable(<[u8; HASH]>::try_from(bytes).ok().map(Hash::from), part)
}

fn hashes(bytes: &[u8], part: &str) -> Result<Vec<Hash>, Failure> {
    bytes.chunks(HASH).map(|bytes| hash(bytes, part)).collect()
}

async fn stage(conn: &mut AsyncPgConnection, round: RoundId) -> Result<Option<Stage>, Failure> {
    Ok(sql(STAGE).bind::<Integer, _>(number(round)).get_result(conn).await.optional()?)
}

/// The request's row comes first: a second call with the same request waits for it, and sees afterwards what became of it.
async fn set_beacon(
    conn: &mut AsyncPgConnection,
    call: &RequestRecord,
    round: RoundId,
    beacon: &[u8],
    by: &Operator,
) -> Result<End<BeaconOutcome>, Failure> {
    let before = requests::begin(conn, &call.campaign, by.request, &call.verb).await?;
    if before.as_ref().is_some_and(|before| before != call) {
        return Ok(End::Rollback(BeaconOutcome::RequestUsed));
    }
    let set = sql(include_str!("queries/set_beacon.sql")).bind::<Integer, _>(number(round)).bind::<Binary, _>(beacon);
    if before.is_none()
        && let Some(row) = set.get_result::<NowRow>(conn).await.optional()?
    {
        audit::insert(conn, &[of_beacon(&call.campaign, round, beacon, by, timestamp(row.at))]).await?;
        return Ok(End::Commit(BeaconOutcome::Set));
    }
    let Stage { beacon: there, drawn } = stage(conn, round).await?.unwrap_or_default();
    Ok(End::Rollback(match there {
        Some(there) if there == beacon => BeaconOutcome::Repeated,
        Some(_) => BeaconOutcome::SetOtherwise,
        None if drawn => BeaconOutcome::TooLate,
        // It set another round's.
        None => BeaconOutcome::RequestUsed,
    }))
}

async fn conclude(
    conn: &mut AsyncPgConnection,
    round: RoundId,
    result: &DrawResult,
    ranks: Vec<u8>,
) -> Result<Conclusion, Failure> {
    let kept = sql(include_str!("queries/conclude_draw.sql"))
        .bind::<Integer, _>(number(round))
        .bind::<Nullable<Binary>, _>(result.beacon.as_deref())
        .bind::<Integer, _>(int(result.winners))
        .bind::<Nullable<Binary>, _>(result.last_score.as_ref().map(|score| score.as_bytes().as_slice()))
        .bind::<Binary, _>(ranks)
        .execute(conn)
        .await?;
    if kept == 1 {
        return Ok(Conclusion::Kept);
    }
    let Stage { drawn, .. } = readable(stage(conn, round).await?, &format!("the root of round {round}"))?;
    Ok(if drawn { Conclusion::Earlier } else { Conclusion::OtherBeacon })
}

#[async_trait]
impl DrawRepository for PostgresLedger {
    async fn leaves(&self, round: RoundId, from: u32, limit: u32) -> Result<Vec<Hash>, LedgerError> {
        let leaves = self.run(move |conn| {
            Box::pin(async move {
                let row = sql(include_str!("queries/leaves.sql"))
                    .bind::<Integer, _>(number(round))
                    .bind::<BigInt, _>(i64::from(from))
                    .bind::<BigInt, _>(i64::from(limit))
                    .get_result::<LeavesRow>(conn)
                    .await?;
                let leaves = hashes(&row.leaves.unwrap_or_default(), "places.leaf")?;
                let behind = row.last.map_or(Ok(from), |last| Ok::<_, Failure>(count(last, "places.ticket")? + 1))?;
                let whole = leaves.len() == (behind - from) as usize;
                readable(whole.then_some(leaves), &format!("a leaf of round {round}"))
            })
        });
        Ok(leaves.await?)
    }

    async fn draw(&self, round: RoundId) -> Result<DrawRecord, LedgerError> {
        let draw = self.run(move |conn| {
            Box::pin(async move {
                let row = sql(DRAW).bind::<Integer, _>(number(round)).get_result::<DrawRow>(conn).await.optional()?;
                row.map_or_else(|| Ok(DrawRecord::default()), DrawRow::read)
            })
        });
        Ok(draw.await?)
    }

    async fn keep_root(&self, round: RoundId, root: &DrawRoot) -> Result<(), LedgerError> {
        let (places, top) = (int(root.places), root.root);
        let subtrees: Vec<u8> = root.subtrees.iter().flat_map(|hash| *hash.as_bytes()).collect();
        let kept = self.run(move |conn| {
            Box::pin(async move {
                let keep = sql(include_str!("queries/keep_root.sql")).bind::<Integer, _>(number(round));
                let keep = keep.bind::<Integer, _>(places).bind::<Binary, _>(top.as_bytes().as_slice());
                Ok(keep.bind::<Binary, _>(subtrees).execute(conn).await?)
            })
        });
        kept.await?;
        Ok(())
    }

    async fn set_beacon(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        beacon: &[u8],
        by: &Operator,
    ) -> Result<BeaconOutcome, LedgerError> {
        let call = RequestRecord { campaign: campaign.clone(), verb: SET_BEACON.to_owned() };
        let (beacon, by) = (beacon.to_vec(), by.clone());
        let set =
            self.transaction(move |conn| Box::pin(async move { set_beacon(conn, &call, round, &beacon, &by).await }));
        Ok(set.await?)
    }

    async fn conclude_draw(
        &self,
        round: RoundId,
        result: &DrawResult,
        ranks: &[u32],
    ) -> Result<Conclusion, LedgerError> {
        let result = result.clone();
        let ranks: Vec<u8> = ranks.iter().flat_map(|rank| rank.to_be_bytes()).collect();
        let concluded = self.run(move |conn| Box::pin(async move { conclude(conn, round, &result, ranks).await }));
        Ok(concluded.await?)
    }

    async fn ranks(&self, round: RoundId, from: u32, limit: u32) -> Result<Vec<u32>, LedgerError> {
        let bytes = |ranks: u32| int(ranks.saturating_mul(RANK as u32));
        let (first, length) = (bytes(from).saturating_add(1), bytes(limit));
        let ranks = self.run(move |conn| {
            Box::pin(async move {
                let part = sql(RANKS).bind::<Integer, _>(number(round)).bind::<Integer, _>(first);
                let row = part.bind::<Integer, _>(length).get_result::<PartRow>(conn).await.optional()?;
                let part = row.and_then(|row| row.part).unwrap_or_default();
                let rank = |bytes: &[u8]| readable(bytes.try_into().ok().map(u32::from_be_bytes), "draws.ranks");
                part.chunks(RANK).map(rank).collect()
            })
        });
        Ok(ranks.await?)
    }
}
