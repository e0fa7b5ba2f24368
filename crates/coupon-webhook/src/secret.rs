//! Secrets that sign.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";

/// Why a text is not a secret. It does not say what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// It begins with something else.
    #[error("a webhook secret begins with whsec_")]
    NoPrefix,
    /// What follows is not base64.
    #[error("a webhook secret is whsec_ and base64")]
    NotBase64,
    /// It has too few or too many bytes.
    #[error("a webhook secret has 24 to 64 bytes")]
    BadLength,
}

/// A secret that a receiver shares: 24 to 64 bytes, written `whsec_` and their base64. It is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// If it is of another form.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret::NoPrefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSecret::NotBase64)?;
        Self::from_bytes(Zeroizing::new(bytes))
    }

    /// A secret of these bytes.
    ///
    /// # Errors
    /// If there are fewer than 24 or more than 64.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, InvalidSecret> {
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidSecret::BadLength) }
    }

    /// The secret in its text form, for the file that keeps it and for the receiver, and for nobody else.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(self.0.as_slice())))
    }

    /// The signature of a message with this id, sent at this second.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the scheme's own libraries are tested with.
    #[test]
    fn the_schemes_own_example_is_signed_as_the_scheme_says() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_read_as_it_is_written_and_never_shown() {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let secret = Secret::parse(text).expect("a secret");
        assert_eq!(secret.reveal().as_str(), text);
        assert_eq!(format!("{secret:?}"), "Secret(***)");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        let of_length = |length| Secret::from_bytes(Zeroizing::new(vec![7; length])).map(drop);
        assert_eq!(Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Err(InvalidSecret::NoPrefix));
        assert_eq!(Secret::parse("whsec_not base64"), Err(InvalidSecret::NotBase64));
        assert_eq!(Secret::parse("whsec_MfKQ9r8GKYo="), Err(InvalidSecret::BadLength));
        assert_eq!([23, 24, 64, 65].map(|n| of_length(n).is_ok()), [false, true, true, false]);
    }
}
