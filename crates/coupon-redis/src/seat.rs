//! What a user has in a round, as the functions write it: `ticket:at`, `ticket:at:serial:at`, or `::serial:at` without a place.

use coupon_domain::answer::{Issued, Place};
use coupon_domain::model::Seat;
use coupon_domain::time::Timestamp;

/// Reads it; its times are microseconds since `origin`.
pub(crate) fn parse(text: &str, origin: Timestamp) -> Option<Seat> {
    let mut parts = text.split(':');
    let place = numbered(parts.next(), parts.next(), origin)?;
    let coupon = numbered(parts.next(), parts.next(), origin)?;
    let seat = Seat {
        place: place.map(|(ticket, reserved_at)| Place { ticket, reserved_at }),
        coupon: coupon.map(|(serial, claimed_at)| Issued { serial, claimed_at }),
    };
    parts.next().is_none().then_some(seat)
}

/// A number with its time; inside, `None` if both are empty or not there.
fn numbered(number: Option<&str>, at: Option<&str>, origin: Timestamp) -> Option<Option<(u32, Timestamp)>> {
    match (number.unwrap_or_default(), at.unwrap_or_default()) {
        ("", "") => Some(None),
        (number, at) => {
            let since: i64 = at.parse().ok()?;
            let at = Timestamp::from_micros(origin.micros().checked_add(since)?);
            Some(Some((number.parse().ok()?, at)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seat's numbers and times, places first; empty where there is none.
    fn parsed(text: &str) -> Option<String> {
        let seat = parse(text, Timestamp::from_micros(1_000))?;
        let place = seat.place.map(|p| format!("place {} at {}", p.ticket, p.reserved_at.micros()));
        let coupon = seat.coupon.map(|c| format!("coupon {} at {}", c.serial, c.claimed_at.micros()));
        Some([place, coupon].into_iter().flatten().collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_seat_has_a_place_a_coupon_or_both() {
        assert_eq!(parsed("7:5").as_deref(), Some("place 7 at 1005"));
        assert_eq!(parsed("7:5:0:60").as_deref(), Some("place 7 at 1005, coupon 0 at 1060"));
        assert_eq!(parsed("::0:60").as_deref(), Some("coupon 0 at 1060"));
        for damaged in ["x", "7", "7:5:0", "7:5:0:60:", "7:5:0:y"] {
            assert_eq!(parsed(damaged), None, "{damaged}");
        }
    }
}
