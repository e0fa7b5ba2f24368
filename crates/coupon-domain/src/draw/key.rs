//! The key of a draw, and a ticket's score under it.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{DrawParams, Hash, Seed};
use crate::encoding::Encoder;

/// K of draw/v1, which orders the places: secret until the claims have closed. Does not show itself in logs.
#[derive(Clone)]
pub struct DrawKey {
    key: Hash,
    /// Has both padded keys of RFC 2104 behind it, so that a score costs two compressions instead of four.
    hmac: Hmac<Sha256>,
}

impl DrawKey {
    /// `K = HMAC(seed, enc("key", params, u64 N, root, beacon))`; the beacon as [`super::beacon`] encodes it, empty without one.
    #[must_use]
    pub fn of(seed: &Seed, params: &DrawParams, places: u32, root: &Hash, beacon: &[u8]) -> Self {
        let fields = Encoder::labelled("key")
            .field(&params.encode())
            .number(u64::from(places))
            .field(root.as_bytes())
            .field(beacon);
        let key = mac(hmac(&seed.reveal()), fields.bytes());
        Self { key, hmac: hmac(key.as_bytes()) }
    }

    /// `score(t) = HMAC(K, u64 t)`: the lowest win.
    #[must_use]
    pub fn score(&self, ticket: u32) -> Hash {
        mac(self.hmac.clone(), &u64::from(ticket).to_be_bytes())
    }

    /// The key itself: for the publication after the claims close.
    #[must_use]
    pub fn reveal(&self) -> Hash {
        self.key
    }
}

impl fmt::Debug for DrawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrawKey(..)")
    }
}

/// RFC 2104, section 2: a key shorter than a block is padded with zeros.
fn hmac(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::new(&block.into())
}

fn mac(mut hmac: Hmac<Sha256>, message: &[u8]) -> Hash {
    hmac.update(message);
    Hash::from(<[u8; 32]>::from(hmac.finalize().into_bytes()))
}
