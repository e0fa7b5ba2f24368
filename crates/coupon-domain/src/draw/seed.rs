//! The secret behind a commit, and how it is kept until the draw: sealed with a master key.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};

use super::hex;
use crate::code::MasterKeys;
use crate::encoding::Encoder;
use crate::ids::RoundId;

/// Thirty-two random bytes of a round, secret until its claims have closed. Does not show itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The bytes: for the formulas, and for the publication after the claims close.
    #[must_use]
    pub fn reveal(&self) -> [u8; 32] {
        self.0
    }
}

impl From<[u8; 32]> for Seed {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

const NONCE: usize = 24;

impl MasterKeys {
    /// The seed as the ledger keeps it: hexadecimal digits of `nonce || XChaCha20-Poly1305(HMAC(master key, enc("seal/v1")), nonce, seed)`
    /// with the associated data `enc("draw seed", round id)`. `None` if that key is not here.
    ///
    /// The nonce must be random; 24 bytes are enough for chance never to draw one twice (draft-irtf-cfrg-xchacha).
    #[must_use]
    pub fn seal_seed(&self, key_id: u8, round: RoundId, seed: &Seed, nonce: [u8; NONCE]) -> Option<String> {
        let payload = Payload { msg: &seed.0, aad: &associated_data(round) };
        let sealed = self.seed_cipher(key_id)?.encrypt(&nonce.into(), payload).ok()?;
        Some(hex::encode(&nonce) + &hex::encode(&sealed))
    }

    /// Opens what [`MasterKeys::seal_seed`] sealed; `None` for another key, another round or a changed text.
    #[must_use]
    pub fn open_seed(&self, key_id: u8, round: RoundId, sealed: &str) -> Option<Seed> {
        let bytes = hex::decode(sealed)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: &associated_data(round) };
        let seed = self.seed_cipher(key_id)?.decrypt(&(*nonce).into(), payload).ok()?;
        seed.try_into().ok().map(Seed)
    }

    fn seed_cipher(&self, key_id: u8) -> Option<XChaCha20Poly1305> {
        Some(XChaCha20Poly1305::new(&self.mac(key_id, &Encoder::labelled("seal/v1"))?.into()))
    }
}

fn associated_data(round: RoundId) -> Vec<u8> {
    Encoder::labelled("draw seed").field(round.to_string().as_bytes()).into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> MasterKeys {
        let lines = [MasterKeys::format_line(3, &[7; 32]), MasterKeys::format_line(0, &[9; 32])];
        MasterKeys::parse(&lines.join("\n")).expect("two keys")
    }

    fn round(number: u32) -> RoundId {
        RoundId::from_number(number).expect("a round")
    }

    proptest! {
        #[test]
        fn a_sealed_seed_opens_for_its_round_and_key_alone(seed: [u8; 32], nonce: [u8; NONCE], number in 1..RoundId::MAX) {
            let (keys, seed) = (keys(), Seed::from(seed));
            let sealed = keys.seal_seed(3, round(number), &seed, nonce).expect("a key");
            prop_assert!(!sealed.contains(&hex::encode(&seed.reveal())));
            prop_assert_eq!(keys.open_seed(3, round(number), &sealed), Some(seed));
            prop_assert_eq!(keys.open_seed(3, round(number + 1), &sealed), None);
            prop_assert_eq!(keys.open_seed(0, round(number), &sealed), None);
        }
    }

    /// Worked out by a program that shares no code with this one, so that what an older version sealed stays open.
    #[test]
    fn a_sealed_seed_is_written_as_it_always_was() {
        let seed = Seed::from(std::array::from_fn(|at| at as u8));
        let sealed = "000102030405060708090a0b0c0d0e0f101112131415161749dc3e886d8cbcd80bb70545e3ab584ce7400c232b2c677ec3a46a37c1224775\
                      2110644e932b834d33e499631a5641a8";
        assert_eq!(keys().seal_seed(3, round(7), &seed, std::array::from_fn(|at| at as u8)).as_deref(), Some(sealed));
        assert_eq!(keys().open_seed(3, round(7), sealed), Some(seed));
    }

    #[test]
    fn a_sealed_seed_with_any_digit_changed_does_not_open() {
        let sealed = keys().seal_seed(3, round(7), &Seed::from([1; 32]), [2; NONCE]).expect("a key");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            let digit = if &sealed[at..=at] == "0" { "1" } else { "0" };
            changed.replace_range(at..=at, digit);
            assert_eq!(keys().open_seed(3, round(7), &changed), None, "digit {at}");
        }
        for text in ["", "00", "no", &sealed[2..], &sealed[..sealed.len() - 2], &format!("{sealed}00")] {
            assert_eq!(keys().open_seed(3, round(7), text), None, "{text}");
        }
    }

    #[test]
    fn a_key_that_is_not_here_neither_seals_nor_opens() {
        let sealed = keys().seal_seed(3, round(7), &Seed::from([1; 32]), [2; NONCE]).expect("a key");
        for missing in [1, 15, 16, u8::MAX] {
            assert_eq!(keys().seal_seed(missing, round(7), &Seed::from([1; 32]), [2; NONCE]), None);
            assert_eq!(keys().open_seed(missing, round(7), &sealed), None);
        }
    }

    #[test]
    fn a_seed_shows_nothing_in_logs() {
        assert_eq!(format!("{:?}", Seed::from([0xab; 32])), "Seed(..)");
    }
}
