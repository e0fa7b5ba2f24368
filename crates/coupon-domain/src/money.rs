//! Exact money: whole minor units of an ISO 4217 currency.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// Why something is not money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// Not a code of ISO 4217.
    #[error("currency_code is not a currency of ISO 4217")]
    UnknownCurrency,
    /// Units and nanos disagree, or nanos has more digits than the currency.
    #[error("is not a whole number of the currency's minor units")]
    Fraction,
    /// Less than zero.
    #[error("is negative")]
    Negative,
    /// More than this service reckons with.
    #[error("is larger than 1000000000000 units")]
    TooLarge,
}

impl Currency {
    /// Reads a code such as `TWD`.
    ///
    /// # Errors
    /// If ISO 4217 does not know it.
    pub fn parse(code: &str) -> Result<Self, InvalidMoney> {
        iso_currency::Currency::from_code(code).map(Self).ok_or(InvalidMoney::UnknownCurrency)
    }

    /// Its three letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Minor units in one unit: 100 for most, 1 for JPY, 1000 for KWD.
    #[must_use]
    pub fn minor_per_unit(self) -> i64 {
        10_i64.pow(u32::from(self.0.exponent().unwrap_or(0)))
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidMoney;
    fn try_from(code: String) -> Result<Self, InvalidMoney> {
        Self::parse(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

/// An amount of zero or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// The currency.
    pub currency: Currency,
    /// Whole minor units, never negative.
    pub minor: i64,
}

impl Money {
    const MAX_UNITS: i64 = 1_000_000_000_000;
    const NANOS: i64 = 1_000_000_000;

    /// From the parts of `google.type.Money`.
    ///
    /// # Errors
    /// If it is negative, too large, or not a whole number of minor units.
    pub fn from_parts(currency: Currency, units: i64, nanos: i32) -> Result<Self, InvalidMoney> {
        if units < 0 || nanos < 0 {
            return Err(InvalidMoney::Negative);
        }
        if units > Self::MAX_UNITS {
            return Err(InvalidMoney::TooLarge);
        }
        let nanos_per_minor = Self::NANOS / currency.minor_per_unit();
        let nanos = i64::from(nanos);
        if nanos >= Self::NANOS || nanos % nanos_per_minor != 0 {
            return Err(InvalidMoney::Fraction);
        }
        Ok(Self { currency, minor: units * currency.minor_per_unit() + nanos / nanos_per_minor })
    }

    /// The parts of `google.type.Money`: units and nanos.
    #[must_use]
    pub fn parts(self) -> (i64, i32) {
        let per_unit = self.currency.minor_per_unit();
        let nanos = self.minor % per_unit * (Self::NANOS / per_unit);
        (self.minor / per_unit, i32::try_from(nanos).unwrap_or(0))
    }

    /// So many per cent of it, rounded down to the minor unit.
    #[must_use]
    pub fn percent(self, percent: u8) -> Self {
        let minor = i128::from(self.minor) * i128::from(percent) / 100;
        Self { minor: i64::try_from(minor).unwrap_or(i64::MAX), ..self }
    }

    /// The smaller of two amounts of one currency.
    #[must_use]
    pub fn at_most(self, minor: i64) -> Self {
        Self { minor: self.minor.min(minor), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(code: &str, units: i64, nanos: i32) -> Result<Money, InvalidMoney> {
        Money::from_parts(Currency::parse(code)?, units, nanos)
    }

    #[test]
    fn parts_go_in_and_come_out_alike() {
        for (code, units, nanos, minor) in
            [("EUR", 12, 340_000_000, 1234), ("JPY", 5, 0, 5), ("KWD", 1, 5_000_000, 1005)]
        {
            let m = money(code, units, nanos).expect("valid");
            assert_eq!((m.minor, m.parts()), (minor, (units, nanos)));
        }
    }

    #[test]
    fn what_no_till_can_take_is_refused() {
        assert_eq!(money("EUR", 1, 1), Err(InvalidMoney::Fraction));
        assert_eq!(money("JPY", 1, 10_000_000), Err(InvalidMoney::Fraction));
        assert_eq!(money("EUR", -1, 0), Err(InvalidMoney::Negative));
        assert_eq!(money("EUR", i64::MAX, 0), Err(InvalidMoney::TooLarge));
        assert_eq!(money("XXQ", 1, 0), Err(InvalidMoney::UnknownCurrency));
    }

    #[test]
    fn a_percentage_is_rounded_down() {
        assert_eq!(money("EUR", 0, 990_000_000).map(|m| m.percent(15).minor), Ok(14));
    }
}
