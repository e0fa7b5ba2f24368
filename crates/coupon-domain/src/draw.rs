//! The draw: an equal chance for every place, fixed when reservation closes, that anyone can check after the claims.
//!
//! **draw/v1** ranks the places by a hash. Its formulas, with `enc(x, ..)` = for each field a u32 big-endian length, then the bytes;
//! integers big-endian; H = SHA-256; HMAC = HMAC-SHA256 of RFC 2104:
//!
//! ```text
//! params   = enc("coupon/draw/v1", round id, u32 numerator, u32 denominator, u8 rounding, u64 cap)
//! commit   = H(enc("commit", params, seed))                       published before reservation opens
//! leaf(t)  = H(0x00 || enc(u64 t, H(enc(user id, receipt))))
//! root     = RFC 6962 tree hash over the leaves 0..N-1            published when reservation has closed
//! beacon   = enc(source, bytes), empty without
//! K        = HMAC(seed, enc("key", params, u64 N, root, beacon))
//! score(t) = HMAC(K, u64 t)
//! W        = (min(rounding(N * numerator / denominator), cap if any) or the fixed supply) + added,
//!            at most N and the remaining total
//! ```
//!
//! The W lowest (score, ticket) win; seed, K, W and the W-th score are published after the claims close. Rounding is 0 FLOOR, 1 CEIL,
//! 2 NEAREST (half up); cap is 0 for none. A fixed supply has numerator = denominator = rounding = 0 and cap = supply.
//!
//! A seed without a beacon proves that it was not chosen after the places were known, not that the operator did not know it.

mod hash;
mod hex;
mod key;
pub mod merkle;
mod params;
mod published;
mod rank;
mod seed;
mod step;
mod verify;

#[cfg(test)]
mod tests;

pub use hash::{Hash, InvalidHash};
pub use key::DrawKey;
pub use params::DrawParams;
pub use published::{Format, PublishedDraw, UnreadableDraw};
pub use rank::{Ranking, rank, winners_bitmap};
pub use seed::Seed;
pub use step::{Outcome, Step};

use crate::encoding::Encoder;
use crate::ids::UserId;

/// The leaf of a place: `H(0x00 || enc(u64 t, H(enc(user id, receipt))))`. The receipt keeps it from telling who reserved.
#[must_use]
pub fn leaf(ticket: u32, user: &UserId, receipt: &[u8; 16]) -> Hash {
    let owner = Hash::of(&[Encoder::default().field(user.as_str().as_bytes()).field(receipt).bytes()]);
    Hash::of(&[&[0x00], Encoder::default().number(u64::from(ticket)).field(owner.as_bytes()).bytes()])
}

/// `enc(source, bytes)` of a beacon, as it goes into the key; a draw without one has no bytes at all here.
#[must_use]
pub fn beacon(source: &str, bytes: &[u8]) -> Vec<u8> {
    Encoder::labelled(source).field(bytes).into_bytes()
}
