//! What a session costs: the lines that its events make, at the prices that a fabric sets. No part of what a run means.

use krako_contract::{Billing, LineItem, Usd};

/// What a fabric asks for. All zero by default: nothing costs anything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "Krako bills these three")]
pub struct Prices {
    /// For a million prompt tokens.
    pub million_tokens_in: Usd,
    /// For a million generated tokens.
    pub million_tokens_out: Usd,
    /// For a thousand work units on `cpu`.
    pub thousand_cpu_units: Usd,
}

/// What has been billed, before it has a price.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "Krako bills these three")]
pub struct Billed {
    /// Prompt tokens.
    pub tokens_in: u64,
    /// Generated tokens.
    pub tokens_out: u64,
    /// Work units on `cpu`.
    pub cpu_units: u64,
}

impl Billed {
    /// Takes a line in. Whoever may see one twice tells them apart by their `event_id`.
    pub fn add(&mut self, line: &LineItem) {
        self.tokens_in = self.tokens_in.saturating_add(line.tokens_in);
        self.tokens_out = self.tokens_out.saturating_add(line.tokens_out);
        self.cpu_units = self.cpu_units.saturating_add(line.units);
    }
}

impl Prices {
    /// What that costs, in whole millionths of a dollar, rounded up once.
    pub fn cost(&self, billed: &Billed) -> Usd {
        // A million of a million each: nothing overflows.
        let of = |count: u64, price: Usd, per: u128| {
            u128::from(count) * u128::from(price.micros()) * (1_000_000 / per)
        };
        let micros = of(billed.tokens_in, self.million_tokens_in, 1_000_000)
            .saturating_add(of(billed.tokens_out, self.million_tokens_out, 1_000_000))
            .saturating_add(of(billed.cpu_units, self.thousand_cpu_units, 1000))
            .div_ceil(1_000_000);
        Usd::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The same as a report has it.
    pub fn billing(&self, billed: &Billed) -> Billing {
        Billing {
            tokens_in: billed.tokens_in,
            tokens_out: billed.tokens_out,
            estimated_cost_usd: self.cost(billed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_exact_and_rounded_up_once() {
        let prices = Prices {
            million_tokens_in: Usd::from_micros(150_000),
            million_tokens_out: Usd::from_micros(600_000),
            thousand_cpu_units: Usd::from_micros(10),
        };
        let cost = |tokens_in, tokens_out, cpu_units| {
            prices.cost(&Billed { tokens_in, tokens_out, cpu_units }).micros()
        };
        assert_eq!(cost(0, 0, 0), 0);
        assert_eq!(cost(1, 0, 0), 1);
        assert_eq!(cost(20, 10, 0), 9);
        assert_eq!(cost(1_000_000, 1_000_000, 1000), 750_010);
        assert_eq!(cost(u64::MAX, u64::MAX, u64::MAX), Usd::MAX_MICROS);
    }
}
