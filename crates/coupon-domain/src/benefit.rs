//! What a coupon is worth at the checkout.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::money::Money;

/// The kind of benefit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BenefitKind {
    /// Per cent of the order's amount, 1 to 100.
    PercentOff(u8),
    /// A fixed amount.
    AmountOff(Money),
    /// The order is shipped free of charge.
    FreeShipping,
    /// Something given, in the shop's words.
    Gift(CompactString),
}

/// What a coupon is worth, and for which orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benefit {
    /// The kind.
    pub kind: BenefitKind,
    /// The smallest order it is good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_order: Option<Money>,
    /// The largest discount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_discount: Option<Money>,
}

/// Why an order does not suit a benefit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsuitable {
    /// The order is in another currency.
    CurrencyMismatch,
    /// The order is too small.
    MinOrderNotMet,
}

impl Benefit {
    /// What comes off an order of this amount, never more than the amount; percentages are rounded down to the minor unit.
    ///
    /// # Errors
    /// If the order is in another currency or too small, in this order.
    pub fn discount(&self, amount: Money) -> Result<Money, Unsuitable> {
        let fixed = match self.kind {
            BenefitKind::AmountOff(off) => Some(off),
            BenefitKind::PercentOff(_) | BenefitKind::FreeShipping | BenefitKind::Gift(_) => None,
        };
        let mut amounts = [fixed, self.min_order, self.max_discount].into_iter().flatten();
        if amounts.any(|m| m.currency != amount.currency) {
            return Err(Unsuitable::CurrencyMismatch);
        }
        if self.min_order.is_some_and(|min| amount.minor < min.minor) {
            return Err(Unsuitable::MinOrderNotMet);
        }
        let discount = match self.kind {
            BenefitKind::PercentOff(percent) => amount.percent(percent),
            BenefitKind::AmountOff(off) => amount.at_most(off.minor),
            BenefitKind::FreeShipping | BenefitKind::Gift(_) => amount.at_most(0),
        };
        Ok(self.max_discount.map_or(discount, |cap| discount.at_most(cap.minor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn eur(minor: i64) -> Money {
        Money { currency: Currency::parse("EUR").expect("a currency"), minor }
    }

    fn benefit(kind: BenefitKind) -> Benefit {
        Benefit { kind, min_order: None, max_discount: None }
    }

    #[test]
    fn a_discount_never_exceeds_the_amount_nor_the_cap() {
        assert_eq!(benefit(BenefitKind::AmountOff(eur(500))).discount(eur(300)), Ok(eur(300)));
        let capped = Benefit { max_discount: Some(eur(200)), ..benefit(BenefitKind::PercentOff(20)) };
        assert_eq!(capped.discount(eur(900)), Ok(eur(180)));
        assert_eq!(capped.discount(eur(5000)), Ok(eur(200)));
        assert_eq!(benefit(BenefitKind::FreeShipping).discount(eur(900)), Ok(eur(0)));
    }

    #[test]
    fn the_currency_is_looked_at_before_the_minimum() {
        let usd = Money { currency: Currency::parse("USD").expect("a currency"), minor: 1 };
        let b = Benefit { min_order: Some(eur(1000)), ..benefit(BenefitKind::PercentOff(20)) };
        assert_eq!(b.discount(usd), Err(Unsuitable::CurrencyMismatch));
        assert_eq!(b.discount(eur(999)), Err(Unsuitable::MinOrderNotMet));
        assert_eq!(b.discount(eur(1000)), Ok(eur(200)));
    }
}
