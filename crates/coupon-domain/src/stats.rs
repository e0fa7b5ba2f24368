//! How evenly a round's coupons went over the order of arrival: a fair draw favours nobody, the fastest least of all.

use std::array;
use std::collections::BTreeMap;
use std::time::Duration;

use statrs::function::gamma::checked_gamma_ur;

/// Decided claims of a span of time: those that got a coupon, and those refused as `NOT_DRAWN` or `SOLD_OUT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalBucket {
    /// Which span since claims opened, in [`bucket_width`]s; 0 is the first.
    pub bucket: u32,
    /// Claims that got a coupon.
    pub won: u64,
    /// Claims that got none.
    pub lost: u64,
}

/// How long a bucket is: a ten-thousandth of the time for claims, and no less than a millisecond.
#[must_use]
pub fn bucket_width(claim_duration: Duration) -> Duration {
    (claim_duration / 10_000).max(Duration::from_millis(1))
}

/// A tenth of the claims of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decile {
    /// Its claims.
    pub claims: u64,
    /// Those of them that got a coupon.
    pub won: u64,
}

/// The claims of a round in ten parts, in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deciles {
    /// From the first to arrive to the last; their sizes differ by one at most.
    pub parts: [Decile; 10],
}

/// Ten equal parts of the claims in order of arrival; nothing if there are fewer than ten claims. Buckets may come in any order, and
/// one in several pieces.
///
/// The order within a bucket is not known. So where a boundary between two parts divides a bucket, its coupons count as spread evenly
/// over its claims. Only totals up to a boundary are rounded (to the nearest, half up), and a part is what two of them differ by: the
/// parts add up to exactly all claims and all coupons, and no part has more coupons than claims.
#[must_use]
pub fn deciles(buckets: &[ArrivalBucket]) -> Option<Deciles> {
    let mut arrived = BTreeMap::<u32, Decile>::new();
    for piece in buckets {
        let bucket = arrived.entry(piece.bucket).or_default();
        bucket.claims += piece.won + piece.lost;
        bucket.won += piece.won;
    }
    let claims = arrived.values().map(|bucket| bucket.claims).sum();
    if claims < 10 {
        return None;
    }
    let up_to = |tenths| first(share(claims, tenths, 10), arrived.values());
    Some(Deciles {
        parts: array::from_fn(|part| {
            let (before, after) = (up_to(part as u64), up_to(part as u64 + 1));
            Decile { claims: after.claims - before.claims, won: after.won - before.won }
        }),
    })
}

/// So many claims, the first to arrive, and what they won.
fn first<'a>(claims: u64, buckets: impl IntoIterator<Item = &'a Decile>) -> Decile {
    let mut total = Decile::default();
    for bucket in buckets {
        let left = claims - total.claims;
        if bucket.claims > left {
            return Decile { claims, won: total.won + share(bucket.won, left, bucket.claims) };
        }
        total = Decile { claims: total.claims + bucket.claims, won: total.won + bucket.won };
    }
    total
}

/// `amount * part / whole`, to the nearest, half up; `part` is at most `whole`.
fn share(amount: u64, part: u64, whole: u64) -> u64 {
    let (amount, part, whole) = (u128::from(amount), u128::from(part), u128::from(whole));
    // At most `amount`, so it fits.
    u64::try_from((2 * amount * part + whole) / (2 * whole)).unwrap_or(u64::MAX)
}

impl Deciles {
    /// Pearson's chi-square of the ten parts' coupons and refusals against the rate of all: 0 where each part has its exact share, about
    /// 9 (the degrees of freedom) where coupons went by chance. Nothing if all or none won: then there is nothing to be uneven.
    ///
    /// It says little where a part can expect fewer than five coupons or five refusals.
    #[must_use]
    pub fn chi_square(&self) -> Option<f64> {
        let total = |of: fn(&Decile) -> u64| self.parts.iter().map(of).sum::<u64>() as f64;
        let rate = total(|part| part.won) / total(|part| part.claims);
        // Coupons and refusals deviate alike: d²/(n·r) + d²/(n·(1-r)) = d²/(n·r·(1-r)).
        let term = |part: &Decile| {
            let claims = part.claims as f64;
            (part.won as f64 - claims * rate).powi(2) / (claims * rate * (1.0 - rate))
        };
        (rate > 0.0 && rate < 1.0).then(|| self.parts.iter().map(term).sum())
    }

    /// How likely chance alone is at least that uneven: below 0.001 once in a thousand fair draws, as good as 0 where the first come win.
    #[must_use]
    pub fn p_value(&self) -> Option<f64> {
        self.chi_square().map(upper_tail)
    }
}

/// The share of the chi-square distribution with 9 degrees of freedom that is at least `chi_square`: `Q(9/2, chi_square/2)`, see
/// Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.19.
fn upper_tail(chi_square: f64) -> f64 {
    // It is an error only at 0, where all of the distribution is above.
    checked_gamma_ur(4.5, chi_square / 2.0).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(bucket: u32, won: u64, lost: u64) -> ArrivalBucket {
        ArrivalBucket { bucket, won, lost }
    }

    fn parts(buckets: &[ArrivalBucket]) -> [(u64, u64); 10] {
        deciles(buckets).expect("ten claims").parts.map(|part| (part.claims, part.won))
    }

    /// Ten parts of 100 claims that won so many.
    fn of_a_hundred(won: [u64; 10]) -> Deciles {
        Deciles { parts: won.map(|won| Decile { claims: 100, won }) }
    }

    #[test]
    fn a_bucket_is_a_ten_thousandth_of_the_time_for_claims_but_a_millisecond_at_least() {
        assert_eq!(bucket_width(Duration::from_secs(60)), Duration::from_millis(6));
        assert_eq!(bucket_width(Duration::from_secs(1)), Duration::from_millis(1));
        assert_eq!(bucket_width(Duration::from_secs(30 * 86_400)), Duration::from_millis(259_200));
    }

    #[test]
    fn fewer_than_ten_claims_have_no_tenths() {
        assert_eq!(deciles(&[]), None);
        assert_eq!(deciles(&[bucket(0, 4, 5)]), None);
        assert_eq!(parts(&[bucket(0, 5, 5)]).map(|(claims, _)| claims), [1; 10]);
    }

    #[test]
    fn claims_are_taken_in_order_of_arrival() {
        // Ten claims a bucket, of which the k-th wins k; the last comes first, and one comes in two pieces.
        let mut buckets: Vec<_> = (0..10).rev().map(|k| bucket(7 * k, u64::from(k), 10 - u64::from(k))).collect();
        buckets[4] = bucket(35, 5, 0);
        buckets.push(bucket(35, 0, 5));
        assert_eq!(parts(&buckets), array::from_fn(|k| (10, k as u64)));
    }

    #[test]
    fn a_bucket_across_boundaries_is_divided_in_proportion() {
        // 20 claims, 3 of them in the first bucket: the second part ends within the second bucket.
        assert_eq!(
            parts(&[bucket(0, 3, 0), bucket(1, 5, 5), bucket(2, 0, 7)]),
            [(2, 2), (2, 2), (2, 1), (2, 1), (2, 1), (2, 1), (2, 0), (2, 0), (2, 0), (2, 0)]
        );
        // All at once: nothing is known of their order.
        assert_eq!(parts(&[bucket(0, 200, 800)]), [(100, 20); 10]);
    }

    #[test]
    fn the_chi_square_is_the_textbooks() {
        // Expected 20 and 80 in each: (4² + 4²) · (1/20 + 1/80) = 2.
        let slightly = of_a_hundred([24, 16, 20, 20, 20, 20, 20, 20, 20, 20]);
        assert!((slightly.chi_square().expect("some won") - 2.0).abs() < 1e-12);
        assert_eq!(of_a_hundred([20; 10]).chi_square(), Some(0.0));
        assert_eq!(of_a_hundred([20; 10]).p_value(), Some(1.0));
    }

    #[test]
    fn where_all_or_none_won_there_is_nothing_to_be_uneven() {
        for won in [0, 100] {
            assert_eq!(of_a_hundred([won; 10]).chi_square(), None);
            assert_eq!(of_a_hundred([won; 10]).p_value(), None);
        }
    }

    /// NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.4, critical values of the chi-square distribution, 9 degrees of freedom.
    #[test]
    fn the_p_value_is_that_of_the_table() {
        for (p, chi_square) in [
            (0.10, 14.684),
            (0.05, 16.919),
            (0.025, 19.023),
            (0.01, 21.666),
            (0.001, 27.877),
            (0.90, 4.168),
            (0.95, 3.325),
            (0.975, 2.700),
            (0.99, 2.088),
            (0.999, 1.152),
        ] {
            let found = upper_tail(chi_square);
            assert!((found - p).abs() < 1e-4, "{chi_square}: {found}, not {p}");
        }
    }

    #[test]
    fn where_the_first_come_win_chance_is_ruled_out() {
        let rush = deciles(&[bucket(0, 6_000, 0), bucket(1, 0, 24_000)]).expect("ten claims");
        assert_eq!(rush.parts.map(|part| part.won), [3_000, 3_000, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!((rush.chi_square().expect("some won") - 30_000.0).abs() < 1e-6);
        assert!(rush.p_value().expect("some won") < 1e-300);
    }

    #[test]
    fn where_coupons_went_by_chance_the_p_value_is_not_small() {
        // 30,000 claims, 6,000 coupons: parts off by about their standard deviation, 21.
        let won = [622, 578, 600, 615, 585, 630, 570, 592, 608, 600];
        let drawn = Deciles { parts: won.map(|won| Decile { claims: 3_000, won }) };
        assert!(drawn.p_value().expect("some won") > 0.05);
    }

    proptest! {
        #[test]
        fn the_parts_add_up_and_differ_by_one_claim_at_most(
            counts in prop::collection::vec((0..50_u32, 0..1_000_u64, 0..1_000_u64), 1..100),
        ) {
            let buckets: Vec<_> = counts.iter().map(|&(at, won, lost)| bucket(at, won, lost)).collect();
            let won: u64 = buckets.iter().map(|b| b.won).sum();
            let claims = won + buckets.iter().map(|b| b.lost).sum::<u64>();
            let Some(Deciles { parts }) = deciles(&buckets) else {
                prop_assert!(claims < 10);
                return Ok(());
            };
            prop_assert_eq!(parts.iter().map(|part| part.claims).sum::<u64>(), claims);
            prop_assert_eq!(parts.iter().map(|part| part.won).sum::<u64>(), won);
            for part in parts {
                prop_assert!(part.won <= part.claims);
                prop_assert!((claims / 10..=claims.div_ceil(10)).contains(&part.claims));
            }
        }

        #[test]
        fn a_p_value_is_a_probability(won in prop::array::uniform10(0..=100_u64)) {
            let deciles = of_a_hundred(won);
            prop_assert!(deciles.p_value().is_none_or(|p| (0.0..=1.0).contains(&p)));
        }
    }
}
