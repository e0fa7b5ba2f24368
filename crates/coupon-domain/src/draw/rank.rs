//! The order that a key gives to the places of a round.

use super::{DrawKey, Hash};

/// Each ticket's rank in the draw, 0 the best: with W winners, those with a rank below W.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    ranks: Vec<u32>,
}

/// Ranks the tickets `0..places` by (score, ticket).
///
/// Takes 20 bytes a place while it works and 4 afterwards.
#[must_use]
pub fn rank(key: &DrawKey, places: u32) -> Ranking {
    rank_by(places, |ticket| key.score(ticket))
}

/// Sorts by the first 64 bits of the score; only where two are equal is the rest worked out again.
fn rank_by(places: u32, score: impl Fn(u32) -> Hash) -> Ranking {
    let prefix = |ticket| score(ticket).as_bytes().iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    let mut order: Vec<(u64, u32)> = (0..places).map(|ticket| (prefix(ticket), ticket)).collect();
    order.sort_unstable_by(|(a_prefix, a), (b_prefix, b)| {
        a_prefix.cmp(b_prefix).then_with(|| (score(*a), a).cmp(&(score(*b), b)))
    });
    let mut ranks = vec![0; order.len()];
    for (rank, (_, ticket)) in (0..).zip(order) {
        ranks[ticket as usize] = rank;
    }
    Ranking { ranks }
}

impl Ranking {
    /// The ranks by ticket.
    #[must_use]
    pub fn ranks(&self) -> &[u32] {
        &self.ranks
    }

    /// The ranks by ticket, to keep.
    #[must_use]
    pub fn into_ranks(self) -> Vec<u32> {
        self.ranks
    }

    /// The score of the last of so many winners; `None` for no winners, and for more than there are places.
    #[must_use]
    pub fn last_score(&self, key: &DrawKey, winners: u32) -> Option<Hash> {
        let last = winners.checked_sub(1)?;
        (0..).zip(&self.ranks).find(|(_, rank)| **rank == last).map(|(ticket, _)| key.score(ticket))
    }

    /// The tickets of so many winners, lowest ticket first.
    pub fn winning_tickets(&self, winners: u32) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.ranks).filter(move |(_, rank)| **rank < winners).map(|(ticket, _)| ticket)
    }
}

/// The winners as a bitmap over the tickets, numbered as Redis' SETBIT and GETBIT do: ticket t is bit `0x80 >> (t % 8)` of byte `t / 8`.
#[must_use]
pub fn winners_bitmap(ranks: &[u32], winners: u32) -> Vec<u8> {
    let byte =
        |eight: &[u32]| (0..8).zip(eight).fold(0, |byte, (bit, rank)| byte | u8::from(*rank < winners) << (7 - bit));
    ranks.chunks(8).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(first: u8, last: u8) -> Hash {
        let mut bytes = [0; 32];
        (bytes[0], bytes[31]) = (first, last);
        Hash::from(bytes)
    }

    #[test]
    fn scores_that_begin_alike_are_ranked_by_the_whole_score() {
        let scores = [hash(1, 9), hash(0, 5), hash(1, 3), hash(0, 7)];
        assert_eq!(rank_by(4, |ticket| scores[ticket as usize]).into_ranks(), [3, 0, 2, 1]);
    }

    #[test]
    fn equal_scores_are_ranked_by_ticket() {
        let scores = |ticket| hash(9 - (ticket % 3) as u8, 1);
        let ranks: Vec<u32> = (0..300).map(|ticket| 100 * (2 - ticket % 3) + ticket / 3).collect();
        assert_eq!(rank_by(300, scores).into_ranks(), ranks);
    }

    #[test]
    fn a_bitmap_numbers_its_bits_as_redis_does() {
        assert_eq!(winners_bitmap(&[], 0), [0; 0]);
        assert_eq!(winners_bitmap(&[0], 1), [0x80]);
        assert_eq!(winners_bitmap(&[8, 7, 6, 5, 4, 3, 2, 1, 0], 2), [0b0000_0001, 0b1000_0000]);
        assert_eq!(winners_bitmap(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10), [0xff, 0b1100_0000]);
        assert_eq!(winners_bitmap(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0), [0, 0]);
    }
}
