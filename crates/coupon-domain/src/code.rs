//! Coupon codes: derived from a master key, authentic without a store, never stored and never logged.
//!
//! A code has 100 bits, written as 20 characters of Crockford's base32 (<https://www.crockford.com/base32.html>) in groups of five:
//! 4 bits key id, 28 round number, 28 serial, 40 of HMAC-SHA256(master key, enc("code/v1", round number, serial, user)).

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::encoding::Encoder;
use crate::ids::{CouponId, RoundId, UserId};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS: usize = 20;
const MAC_BITS: u32 = 40;
const NUMBER_BITS: u32 = 28;
const NUMBER_MASK: u128 = (1 << NUMBER_BITS) - 1;

/// A coupon's secret. Does not show itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// The code as people write it: `7K3MZ-9QXT2-0ABCD-EFGHJ`. For the answer to its owner, nowhere else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// The secrets that sign codes and receipts: up to sixteen, each with an id of four bits.
#[derive(Clone)]
pub struct MasterKeys {
    signing: u8,
    keys: [Option<Hmac<Sha256>>; 16],
}

/// Why a text holds no master keys. Never says what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMasterKeys {
    /// Not a single key.
    #[error("there is no key in it")]
    Empty,
    /// A line of another form.
    #[error("line {0} is not of the form <id 0 to 15>:<64 hexadecimal digits>")]
    BadLine(usize),
    /// Two lines with one id.
    #[error("line {0} has the id of an earlier line")]
    RepeatedId(usize),
}

impl MasterKeys {
    /// Reads lines `<id 0 to 15>:<64 hexadecimal digits>`; the first signs, all verify. Blank lines and those that begin with `#` are
    /// passed over.
    ///
    /// # Errors
    /// If a line is of another form, an id comes twice, or there is no key.
    pub fn parse(text: &str) -> Result<Self, InvalidMasterKeys> {
        let mut signing = None;
        let mut keys = [const { None }; 16];
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, secret) = parse_line(line).ok_or(InvalidMasterKeys::BadLine(index + 1))?;
            if keys[usize::from(id)].is_some() {
                return Err(InvalidMasterKeys::RepeatedId(index + 1));
            }
            keys[usize::from(id)] = Hmac::new_from_slice(&secret).ok();
            signing.get_or_insert(id);
        }
        Ok(Self { signing: signing.ok_or(InvalidMasterKeys::Empty)?, keys })
    }

    /// The line that holds this secret under this id.
    #[must_use]
    pub fn format_line(id: u8, secret: &[u8; 32]) -> String {
        secret.iter().fold(format!("{id}:"), |line, byte| format!("{line}{byte:02x}"))
    }

    /// The id of the key that new rounds use.
    #[must_use]
    pub fn signing_id(&self) -> u8 {
        self.signing
    }

    /// Each key's id with the first 16 digits of HMAC-SHA256(master key, enc("check")): the same key has the same, and it reveals nothing.
    #[must_use]
    pub fn checks(&self) -> Vec<(u8, String)> {
        let fields = Encoder::labelled("check");
        let digits = |mac: [u8; 32]| mac[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        (0..16).filter_map(|id| self.mac(id, &fields).map(|mac| (id, digits(mac)))).collect()
    }

    /// The code of a user's coupon, by the key that its round keeps; `None` if that key is not here.
    #[must_use]
    pub fn code(&self, key_id: u8, coupon: CouponId, user: &UserId) -> Option<Code> {
        let mac = self.code_mac(key_id, coupon, user)?;
        let bits = (u128::from(key_id) << (2 * NUMBER_BITS + MAC_BITS))
            | (u128::from(coupon.round.number()) << (NUMBER_BITS + MAC_BITS))
            | (u128::from(coupon.serial) << MAC_BITS)
            | u128::from(mac);
        Some(Code(write(bits)))
    }

    /// The coupon that this code was made for, if it was made here and for this user. A wrong user, a guess and a typo look alike.
    #[must_use]
    pub fn authenticate(&self, code: &str, user: &UserId) -> Option<CouponId> {
        let bits = read(code)?;
        let number = |shift: u32| u32::try_from((bits >> shift) & NUMBER_MASK).ok();
        let key_id = u8::try_from(bits >> (2 * NUMBER_BITS + MAC_BITS)).ok()?;
        let round = RoundId::from_number(number(NUMBER_BITS + MAC_BITS)?)?;
        let coupon = CouponId { round, serial: number(MAC_BITS)? };
        let expected = self.code_mac(key_id, coupon, user)?;
        let given = u64::try_from(bits & ((1 << MAC_BITS) - 1)).ok()?;
        bool::from(expected.ct_eq(&given)).then_some(coupon)
    }

    /// The receipt of a place: HMAC-SHA256(master key, enc("receipt", round id, ticket, user)), cut to 16 bytes.
    #[must_use]
    pub fn receipt(&self, key_id: u8, round: RoundId, ticket: u32, user: &UserId) -> Option<[u8; 16]> {
        let fields = Encoder::labelled("receipt")
            .field(round.to_string().as_bytes())
            .number(u64::from(ticket))
            .field(user.as_str().as_bytes());
        let mac = self.mac(key_id, &fields)?;
        mac.first_chunk().copied()
    }

    fn code_mac(&self, key_id: u8, coupon: CouponId, user: &UserId) -> Option<u64> {
        let fields = Encoder::labelled("code/v1")
            .number(u64::from(coupon.round.number()))
            .number(u64::from(coupon.serial))
            .field(user.as_str().as_bytes());
        let mac = self.mac(key_id, &fields)?;
        mac.first_chunk().map(|first| u64::from_be_bytes(*first) >> (64 - MAC_BITS))
    }

    /// HMAC-SHA256(master key, fields); `None` if that key is not here.
    pub(crate) fn mac(&self, key_id: u8, fields: &Encoder) -> Option<[u8; 32]> {
        let mut mac = self.keys.get(usize::from(key_id))?.clone()?;
        mac.update(fields.bytes());
        Some(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKeys(..)")
    }
}

fn parse_line(line: &str) -> Option<(u8, [u8; 32])> {
    let (id, hex) = line.split_once(':')?;
    let id = id.parse().ok().filter(|id| *id < 16)?;
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut secret = [0; 32];
    for (byte, at) in secret.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some((id, secret))
}

fn write(bits: u128) -> String {
    let mut text = String::with_capacity(CHARACTERS + 3);
    for index in 0..CHARACTERS {
        if index > 0 && index % 5 == 0 {
            text.push('-');
        }
        let five = (bits >> (5 * (CHARACTERS - 1 - index))) & 31;
        text.push(char::from(ALPHABET[five as usize]));
    }
    text
}

/// Case and hyphens do not matter; O is read as 0, I and L as 1.
fn read(code: &str) -> Option<u128> {
    let mut bits = 0;
    let mut characters = 0;
    for byte in code.bytes().filter(|b| *b != b'-') {
        let plain = match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        let five = ALPHABET.iter().position(|c| *c == plain)?;
        characters += 1;
        if characters > CHARACTERS {
            return None;
        }
        bits = (bits << 5) | five as u128;
    }
    (characters == CHARACTERS).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> MasterKeys {
        let lines = [MasterKeys::format_line(3, &[7; 32]), MasterKeys::format_line(0, &[9; 32])];
        MasterKeys::parse(&lines.join("\n")).expect("two keys")
    }

    fn user(name: &str) -> UserId {
        UserId::parse(name).expect("an id")
    }

    fn coupon(round: u32, serial: u32) -> CouponId {
        CouponId { round: RoundId::from_number(round).expect("a round"), serial }
    }

    proptest! {
        #[test]
        fn a_code_authenticates_its_coupon_for_its_user_alone(round in 1..=RoundId::MAX, serial in 0..=CouponId::MAX_SERIAL, flip in 0usize..20) {
            let keys = keys();
            let coupon = coupon(round, serial);
            let code = keys.code(3, coupon, &user("ada")).expect("a key");
            prop_assert_eq!(keys.authenticate(code.reveal(), &user("ada")), Some(coupon));
            prop_assert_eq!(keys.authenticate(code.reveal(), &user("bob")), None);

            let mut typo: Vec<char> = code.reveal().chars().filter(|c| *c != '-').collect();
            typo[flip] = if typo[flip] == 'Z' { 'Y' } else { 'Z' };
            prop_assert_eq!(keys.authenticate(&typo.iter().collect::<String>(), &user("ada")), None);
        }

        #[test]
        fn a_guess_is_no_code(guess in "[0-9A-HJKMNP-TV-Z]{20}") {
            prop_assert_eq!(keys().authenticate(&guess, &user("ada")), None);
        }
    }

    #[test]
    fn people_may_write_it_their_way() {
        let keys = keys();
        let code = keys.code(0, coupon(1, 0), &user("ada")).expect("a key");
        let sloppy = code.reveal().to_lowercase().replace('-', "").replace('0', "o").replace('1', "l");
        assert_eq!(keys.authenticate(&sloppy, &user("ada")), Some(coupon(1, 0)));
        for not_a_code in ["", "-", "7K3MZ", &format!("{}0", code.reveal()), "U".repeat(20).as_str()] {
            assert_eq!(keys.authenticate(not_a_code, &user("ada")), None);
        }
    }

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let keys = keys();
        assert_eq!(keys.signing_id(), 3);
        let rotated = MasterKeys::parse(&MasterKeys::format_line(3, &[7; 32])).expect("a key");
        let old = keys.code(0, coupon(1, 0), &user("ada")).expect("a key");
        assert!(keys.authenticate(old.reveal(), &user("ada")).is_some());
        assert!(rotated.authenticate(old.reveal(), &user("ada")).is_none());
    }

    #[test]
    fn a_damaged_key_file_is_refused_by_line_and_shows_nothing() {
        assert_eq!(MasterKeys::parse("# none\n").err(), Some(InvalidMasterKeys::Empty));
        assert_eq!(MasterKeys::parse("\nnope").err(), Some(InvalidMasterKeys::BadLine(2)));
        let line = MasterKeys::format_line(1, &[1; 32]);
        assert_eq!(MasterKeys::parse(&format!("{line}\n{line}")).err(), Some(InvalidMasterKeys::RepeatedId(2)));
        assert_eq!(
            format!("{:?} {:?}", keys(), keys().code(3, coupon(1, 1), &user("a"))),
            "MasterKeys(..) Some(Code(..))"
        );
    }
}
