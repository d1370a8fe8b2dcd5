//! What a call spent: reported, counted or unknown. Unknown is never zero (C7.6).

use serde::Serialize;

/// Tokens, and how far to trust the number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "source", content = "tokens")]
#[expect(clippy::exhaustive_enums, reason = "a number is told, counted or not known")]
pub enum TokenCount {
    /// The model's side said so, and it is not less than what was counted here.
    Reported(u64),
    /// Counted here, piece by piece, as it arrived. Exact if each piece is a token, as with most servers.
    Counted(u64),
    /// Something may have been spent and nobody knows how much. Settle it as the worst case.
    Unknown,
}

impl TokenCount {
    /// The number, if there is one.
    pub fn known(self) -> Option<u64> {
        match self {
            Self::Reported(tokens) | Self::Counted(tokens) => Some(tokens),
            Self::Unknown => None,
        }
    }

    /// The number, or `worst_case` where nobody knows.
    pub fn or_worst_case(self, worst_case: u64) -> u64 {
        self.known().unwrap_or(worst_case)
    }

    /// The larger of what is told and what was counted: a server cannot talk its usage down.
    pub fn reconcile(reported: Option<u64>, counted: Self) -> Self {
        match (reported, counted) {
            (Some(told), Self::Counted(seen) | Self::Reported(seen)) if told < seen => counted,
            (Some(told), Self::Counted(_) | Self::Reported(_) | Self::Unknown) => Self::Reported(told),
            (None, counted) => counted,
        }
    }
}

/// What one call spent so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "contract §8 names the two numbers")]
pub struct Usage {
    /// Tokens of the prompt.
    pub tokens_in: TokenCount,
    /// Tokens generated, also those that nobody got to see.
    pub tokens_out: TokenCount,
}

impl Usage {
    /// Nothing reached a model, so nothing was spent.
    pub const NOTHING: Self = Self { tokens_in: TokenCount::Counted(0), tokens_out: TokenCount::Counted(0) };

    /// The request reached a model's side, and there was no sign of what it did.
    pub const UNKNOWN: Self = Self { tokens_in: TokenCount::Unknown, tokens_out: TokenCount::Unknown };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_talk_its_usage_down() {
        let counted = TokenCount::Counted(7);
        assert_eq!(TokenCount::reconcile(Some(3), counted), counted);
        assert_eq!(TokenCount::reconcile(Some(9), counted), TokenCount::Reported(9));
        assert_eq!(TokenCount::reconcile(Some(7), counted), TokenCount::Reported(7));
        assert_eq!(TokenCount::reconcile(None, counted), counted);
    }

    #[test]
    fn unknown_is_never_zero() {
        assert_eq!(TokenCount::reconcile(None, TokenCount::Unknown), TokenCount::Unknown);
        assert_eq!(TokenCount::Unknown.or_worst_case(300), 300);
        assert_eq!(TokenCount::reconcile(Some(0), TokenCount::Unknown), TokenCount::Reported(0));
    }
}
