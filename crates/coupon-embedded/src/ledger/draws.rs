//! Draws: leaves, roots, beacons, results and ranks. What is written stays; whoever comes second learns of the first.

use async_trait::async_trait;
use coupon_domain::audit::{SET_BEACON, of_beacon};
use coupon_domain::checkout::Operator;
use coupon_domain::draw::Hash;
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::ports::{
    BeaconOutcome, Conclusion, DrawRecord, DrawRepository, DrawResult, DrawRoot, LedgerError, RequestRecord,
};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable};

use super::schema::{draws, places};
use super::{SqliteLedger, audit, requests, value};
use crate::failed::Failed;

/// The bytes of a hash, and of a rank.
const HASH: usize = 32;
const RANK: usize = 4;

#[async_trait]
impl DrawRepository for SqliteLedger {
    async fn leaves(&self, round: RoundId, from: u32, limit: u32) -> Result<Vec<Hash>, LedgerError> {
        Ok(self.read(move |conn| leaves(conn, round, from, limit)).await?)
    }

    async fn draw(&self, round: RoundId) -> Result<DrawRecord, LedgerError> {
        Ok(self.read(move |conn| find(conn, round)).await?)
    }

    async fn keep_root(&self, round: RoundId, root: &DrawRoot) -> Result<(), LedgerError> {
        let root = root.clone();
        Ok(self.write(move |conn, _| Ok(keep_root(conn, round, &root)?)).await?)
    }

    async fn set_beacon(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        beacon: &[u8],
        by: &Operator,
    ) -> Result<BeaconOutcome, LedgerError> {
        let (campaign, beacon, by) = (campaign.clone(), beacon.to_vec(), by.clone());
        let set = self.write(move |conn, stamp| {
            let outcome = set_beacon(conn, &campaign, round, &beacon, &by)?;
            if outcome == BeaconOutcome::Set {
                audit::append(conn, &of_beacon(&campaign, round, &beacon, &by, stamp.at))?;
            }
            Ok(outcome)
        });
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
        Ok(self.write(move |conn, _| conclude(conn, round, &result, &ranks)).await?)
    }

    async fn ranks(&self, round: RoundId, from: u32, limit: u32) -> Result<Vec<u32>, LedgerError> {
        Ok(self.read(move |conn| ranks(conn, round, from, limit)).await?)
    }
}

/// Leaves by ticket; none of a round that is not drawn.
fn leaves(conn: &mut SqliteConnection, round: RoundId, from: u32, limit: u32) -> Result<Vec<Hash>, Failed> {
    let (from, end) = (i64::from(from), i64::from(from) + i64::from(limit));
    let lines: Vec<(i64, Vec<u8>)> = places::table
        .filter(places::round_no.eq(value::number(round)).and(places::ticket.ge(from)).and(places::ticket.lt(end)))
        .filter(places::leaf.is_not_null())
        .order(places::ticket)
        .select((places::ticket, places::leaf.assume_not_null()))
        .load(conn)?;
    let dense = lines.iter().zip(from..).all(|((ticket, _), expected)| *ticket == expected);
    value::expect(dense.then_some(()), "a round's leaves")?;
    lines.iter().map(|(_, leaf)| hash(leaf)).collect()
}

fn hash(bytes: &[u8]) -> Result<Hash, Failed> {
    let bytes: Option<[u8; HASH]> = bytes.try_into().ok();
    value::expect(bytes.map(Hash::from), "a hash")
}

#[derive(Queryable)]
struct Line {
    places: Option<i64>,
    root: Option<Vec<u8>>,
    beacon: Option<Vec<u8>>,
    used_beacon: Option<Vec<u8>>,
    winners: Option<i64>,
    last_score: Option<Vec<u8>>,
    subtrees: Option<Vec<u8>>,
}

impl Line {
    fn record(self) -> Result<DrawRecord, Failed> {
        let Self { places, root, beacon, used_beacon, winners, last_score, subtrees } = self;
        let root = match (places, root, subtrees) {
            (Some(places), Some(root), Some(subtrees)) => Some(DrawRoot {
                places: value::count(places, "a draw's places")?,
                root: hash(&root)?,
                subtrees: subtrees.chunks(HASH).map(hash).collect::<Result<_, _>>()?,
            }),
            _ => None,
        };
        let result = match winners {
            Some(winners) => Some(DrawResult {
                beacon: used_beacon,
                winners: value::count(winners, "a draw's winners")?,
                last_score: last_score.as_deref().map(hash).transpose()?,
            }),
            None => None,
        };
        Ok(DrawRecord { root, beacon, result })
    }
}

fn find(conn: &mut SqliteConnection, round: RoundId) -> Result<DrawRecord, Failed> {
    let line = draws::table
        .find(value::number(round))
        .select((
            draws::places,
            draws::root,
            draws::beacon,
            draws::used_beacon,
            draws::winners,
            draws::last_score,
            draws::subtrees,
        ))
        .get_result::<Line>(conn)
        .optional()?;
    line.map_or_else(|| Ok(DrawRecord::default()), Line::record)
}

fn keep_root(conn: &mut SqliteConnection, round: RoundId, root: &DrawRoot) -> QueryResult<()> {
    make(conn, round)?;
    let subtrees: Vec<u8> = root.subtrees.iter().flat_map(|hash| *hash.as_bytes()).collect();
    diesel::update(draws::table.find(value::number(round)).filter(draws::root.is_null()))
        .set((
            draws::places.eq(i64::from(root.places)),
            draws::root.eq(root.root.as_bytes().as_slice()),
            draws::subtrees.eq(subtrees),
        ))
        .execute(conn)?;
    Ok(())
}

/// A row of which nothing is known yet, unless there is one.
fn make(conn: &mut SqliteConnection, round: RoundId) -> QueryResult<()> {
    diesel::insert_into(draws::table)
        .values(draws::round_no.eq(value::number(round)))
        .on_conflict(draws::round_no)
        .do_nothing()
        .execute(conn)?;
    Ok(())
}

/// How far a draw has come.
struct Stage {
    beacon: Option<Vec<u8>>,
    drawn: bool,
}

fn stage(conn: &mut SqliteConnection, round: RoundId) -> QueryResult<Stage> {
    let line: Option<(Option<Vec<u8>>, bool)> = draws::table
        .find(value::number(round))
        .select((draws::beacon, draws::winners.is_not_null()))
        .get_result(conn)
        .optional()?;
    let (beacon, drawn) = line.unwrap_or_default();
    Ok(Stage { beacon, drawn })
}

/// Nobody else writes meanwhile, so that the stage holds until it is changed.
fn set_beacon(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    round: RoundId,
    beacon: &[u8],
    by: &Operator,
) -> Result<BeaconOutcome, Failed> {
    let call = RequestRecord { campaign: campaign.clone(), verb: SET_BEACON.to_owned() };
    let before = by.request.map(|id| requests::find(conn, id)).transpose()?.flatten();
    if before.as_ref().is_some_and(|before| *before != call) {
        return Ok(BeaconOutcome::RequestUsed);
    }
    match stage(conn, round)? {
        Stage { beacon: Some(there), .. } if there == beacon => return Ok(BeaconOutcome::Repeated),
        Stage { beacon: Some(_), .. } => return Ok(BeaconOutcome::SetOtherwise),
        Stage { drawn: true, .. } => return Ok(BeaconOutcome::TooLate),
        // It set the beacon of another round.
        Stage { .. } if before.is_some() => return Ok(BeaconOutcome::RequestUsed),
        Stage { .. } => {}
    }
    // From here on it must succeed.
    make(conn, round)?;
    diesel::update(draws::table.find(value::number(round))).set(draws::beacon.eq(beacon)).execute(conn)?;
    if let Some(id) = by.request {
        requests::note(conn, id, campaign, SET_BEACON)?;
    }
    Ok(BeaconOutcome::Set)
}

fn conclude(
    conn: &mut SqliteConnection,
    round: RoundId,
    result: &DrawResult,
    ranks: &[u8],
) -> Result<Conclusion, Failed> {
    let stage = stage(conn, round)?;
    if stage.drawn {
        return Ok(Conclusion::Earlier);
    }
    if stage.beacon != result.beacon {
        return Ok(Conclusion::OtherBeacon);
    }
    // From here on it must succeed.
    let kept = diesel::update(draws::table.find(value::number(round)))
        .set((
            draws::used_beacon.eq(result.beacon.as_deref()),
            draws::winners.eq(i64::from(result.winners)),
            draws::last_score.eq(result.last_score.as_ref().map(|score| score.as_bytes().as_slice())),
            draws::ranks.eq(ranks),
        ))
        .execute(conn)?;
    if kept == 1 { Ok(Conclusion::Kept) } else { Err(Failed::Missing(format!("the root of round {round}"))) }
}

#[derive(QueryableByName)]
struct Part {
    #[diesel(sql_type = Nullable<Binary>)]
    part: Option<Vec<u8>>,
}

/// SQLite goes through the pages of all ranks and hands out a part: a millisecond for a million tickets, fifty for ten million.
fn ranks(conn: &mut SqliteConnection, round: RoundId, from: u32, limit: u32) -> Result<Vec<u32>, Failed> {
    let bytes = |ranks: u32| i64::from(ranks) * RANK as i64;
    let line: Option<Part> = diesel::sql_query("SELECT substr(ranks, ?, ?) AS part FROM draws WHERE round_no = ?")
        .bind::<BigInt, _>(bytes(from) + 1)
        .bind::<BigInt, _>(bytes(limit))
        .bind::<BigInt, _>(value::number(round))
        .get_result(conn)
        .optional()?;
    let part = line.and_then(|line| line.part).unwrap_or_default();
    let rank = |bytes: &[u8]| value::expect(bytes.try_into().ok().map(u32::from_be_bytes), "a rank");
    part.chunks(RANK).map(rank).collect()
}
