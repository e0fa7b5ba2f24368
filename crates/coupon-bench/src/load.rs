//! What a service is loaded with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// `grpc.health.v1.Health/Check`: what a call costs that does nothing.
    Empty,
    /// `Reserve`, each user once.
    Reserve,
    /// The same over `ReserveStream`.
    ReserveStream,
    /// `Claim`, each user once; all get a coupon.
    Claim,
    /// The same over `ClaimStream`.
    ClaimStream,
    /// `Claim` where all is sold out: each refusal is what was asked for.
    Refused,
    /// `Redeem` of coupons that were claimed and recorded before.
    Redeem,
    /// All reserve, then all claim, and a fifth of the places get a coupon.
    Rush,
}

impl Load {
    /// All of them, in the order in which they are run if nobody says otherwise.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::Reserve,
        Self::ReserveStream,
        Self::Claim,
        Self::ClaimStream,
        Self::Refused,
        Self::Redeem,
        Self::Rush,
    ];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Reserve => "reserve",
            Self::ReserveStream => "reserve-stream",
            Self::Claim => "claim",
            Self::ClaimStream => "claim-stream",
            Self::Refused => "refused",
            Self::Redeem => "redeem",
            Self::Rush => "rush",
        }
    }

    /// Whether many requests share a call.
    #[must_use]
    pub const fn is_streamed(self) -> bool {
        matches!(self, Self::ReserveStream | Self::ClaimStream)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No load has this name.
#[derive(Debug)]
pub struct UnknownLoad;

impl fmt::Display for UnknownLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such load")
    }
}

impl std::error::Error for UnknownLoad {}

impl FromStr for Load {
    type Err = UnknownLoad;

    fn from_str(name: &str) -> Result<Self, UnknownLoad> {
        Self::ALL.into_iter().find(|load| load.name() == name).ok_or(UnknownLoad)
    }
}
