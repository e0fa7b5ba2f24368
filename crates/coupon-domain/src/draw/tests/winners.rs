//! How many win, against the fraction itself: no division, no rounding.

use super::*;

/// The rounding of `places * n / d`, found by going up from a number that is not above it.
fn rounded(mut winners: u128, (n, d): (u128, u128), places: u128, rounding: Rounding) -> u128 {
    let one_more = |winners: u128| match rounding {
        // The next whole number is still not above the fraction,
        Rounding::Floor => (winners + 1) * d <= places * n,
        // this one is still below it,
        Rounding::Ceil => winners * d < places * n,
        // or the middle between this one and the next is not above it.
        Rounding::Nearest => (2 * winners + 1) * d <= 2 * places * n,
    };
    while one_more(winners) {
        winners += 1;
    }
    winners
}

#[test]
fn the_number_of_winners_is_exact_for_every_number_of_places_in_every_rounding() {
    for (n, d) in
        [(1, 5), (1, 3), (2, 3), (1, 2), (3, 7), (1, 1), (1, 1_000_000), (999_999, 1_000_000), (333_333, 1_000_000)]
    {
        for rounding in [Rounding::Floor, Rounding::Ceil, Rounding::Nearest] {
            let (unbounded, capped) = (params(ratio(n, d, rounding), None), params(ratio(n, d, rounding), Some(150)));
            let mut share = 0;
            for places in 0..=2000 {
                share = rounded(share, (n.into(), d.into()), places.into(), rounding);
                let least = |bounds: &[u128]| bounds.iter().copied().min().expect("some bounds");
                let places_bound = u128::from(places);

                assert_eq!(u128::from(unbounded.winners(places, 0, None)), share, "{n}/{d} {rounding:?} of {places}");
                assert_eq!(u128::from(unbounded.winners(places, 7, None)), least(&[share + 7, places_bound]));
                assert_eq!(u128::from(unbounded.winners(places, 7, Some(100))), least(&[share + 7, places_bound, 100]));
                assert_eq!(u128::from(capped.winners(places, 0, None)), least(&[share, 150, places_bound]));
                assert_eq!(
                    u128::from(capped.winners(places, 7, Some(155))),
                    least(&[share + 7, 157, places_bound, 155])
                );
            }
        }
    }
}

#[test]
fn a_fixed_supply_is_bounded_by_the_places_and_by_what_the_campaign_has_left() {
    let fixed = params(Supply::Fixed(60), Some(1));
    assert_eq!(fixed.winners(300, 0, None), 60);
    assert_eq!(fixed.winners(300, 5, None), 65);
    assert_eq!(fixed.winners(59, 5, None), 59);
    assert_eq!(fixed.winners(300, 5, Some(64)), 64);
    assert_eq!(fixed.winners(300, 5, Some(0)), 0);
    assert_eq!(fixed.winners(0, 5, None), 0);
}

#[test]
fn the_largest_figures_do_not_overflow() {
    let all = params(ratio(1, 1, Rounding::Nearest), Some(u32::MAX));
    assert_eq!(all.winners(u32::MAX, u32::MAX, Some(u64::MAX)), u32::MAX);
    assert_eq!(params(Supply::Fixed(u32::MAX), None).winners(u32::MAX, u32::MAX, None), u32::MAX);
    assert_eq!(all.winners(u32::MAX, u32::MAX, Some(u64::from(u32::MAX) + 1)), u32::MAX);
}

#[test]
fn a_shared_pool_and_a_limit_of_nothing_cannot_be_drawn() {
    let round = RoundId::parse("r-7").expect("a round");
    assert_eq!(DrawParams::new(round, Supply::SharedPool, Some(100)), None);
    assert_eq!(DrawParams::new(round, ratio(1, 5, Rounding::Floor), Some(0)), None);
}
