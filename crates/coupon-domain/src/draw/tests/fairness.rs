//! Over many draws every place wins as often as another.

use super::*;

const DRAWS: u32 = 200;
const PLACES: u32 = 300;

/// How often each ticket won in draws that differ by their seeds alone.
fn wins(winners: u32) -> Vec<u32> {
    let params = params(Supply::Fixed(winners), None);
    let root = root(&leaves(PLACES));
    let mut wins = vec![0; PLACES as usize];
    for draw in 0..DRAWS {
        let seed = Seed::from(*Hash::of(&[&draw.to_be_bytes()]).as_bytes());
        let key = DrawKey::of(&seed, &params, PLACES, &root, &[]);
        rank(&key, PLACES).winning_tickets(winners).for_each(|ticket| wins[ticket as usize] += 1);
    }
    wins
}

/// Pearson's statistic over groups of equally many tickets. A draw takes W of N tickets without replacement, so that the counts vary
/// less than independent ones would: by the factor (N - W) / (N - 1), with which the statistic is distributed as chi-square.
fn chi_square(groups: &[u32], winners: u32) -> f64 {
    let (n, w) = (f64::from(PLACES), f64::from(winners));
    let expected = f64::from(DRAWS) * w / groups.len() as f64;
    let scale = expected * (n - w) / (n - 1.0);
    groups.iter().map(|wins| (f64::from(*wins) - expected).powi(2) / scale).sum()
}

/// Quantiles of chi-square with 299 degrees of freedom at 0.001 and 0.999 (R: `qchisq(c(0.001, 0.999), 299)`). Below the first, the
/// wins would be more even than chance makes them.
#[test]
fn no_ticket_wins_more_often_than_chance_allows() {
    for winners in [30, 60, 150, 270] {
        let statistic = chi_square(&wins(winners), winners);
        assert!((229.09..380.30).contains(&statistic), "{statistic} with {winners} winners");
    }
}

/// Quantile of chi-square with 9 degrees of freedom at 0.999: 27.877 (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.4).
#[test]
fn who_reserved_early_wins_no_more_often_than_who_reserved_late() {
    for winners in [30, 60, 150, 270] {
        let tenths: Vec<u32> = wins(winners).chunks(PLACES as usize / 10).map(|tenth| tenth.iter().sum()).collect();
        let statistic = chi_square(&tenths, winners);
        assert!(statistic < 27.877, "{statistic} with {winners} winners");
    }
}

#[test]
fn places_that_are_left_out_or_exchanged_change_the_whole_draw() {
    let params = params(Supply::Fixed(60), None);
    let key_over = |leaves: &[Hash]| DrawKey::of(&seed(), &params, 300, &root(leaves), &[]).reveal();
    let honest = leaves(300);
    let mut exchanged = honest.clone();
    exchanged.swap(3, 4);
    assert_ne!(key_over(&honest), key_over(&exchanged));
    assert_ne!(key_over(&honest), key_over(&honest[..299]));
    assert_ne!(leaf(3, &user(3), &receipt(3)), leaf(3, &user(3), &receipt(4)));
    assert_ne!(leaf(3, &user(3), &receipt(3)), leaf(3, &user(4), &receipt(3)));
}
