//! What makes one of the suite's own backends different from the plain one: nothing, a defect, or an oddity.

use super::{Defect, Quirk};

/// How one of the suite's own backends behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "right, wrong in one thing, or odd in one thing")]
pub enum Behaviour {
    /// Plainly right.
    Plain,
    /// Wrong in one thing: a mutant, which the suite must catch.
    Defective(Defect),
    /// Odd in one thing and right: the suite must let it pass.
    Odd(Quirk),
}

impl Behaviour {
    /// Whether it has this defect.
    pub(super) fn has(self, defect: Defect) -> bool {
        self == Self::Defective(defect)
    }

    /// Whether it has this oddity.
    pub(super) fn is(self, quirk: Quirk) -> bool {
        self == Self::Odd(quirk)
    }

    /// By name: `plain`, or that of a defect or an oddity.
    pub fn named(name: &str) -> Option<Self> {
        let defect =
            Defect::ALL.iter().find(|defect| defect.name() == name).map(|defect| Self::Defective(*defect));
        let quirk = Quirk::ALL.iter().find(|quirk| quirk.name() == name).map(|quirk| Self::Odd(*quirk));
        defect.or(quirk).or((name == "plain").then_some(Self::Plain))
    }

    /// The name by which [`Self::named`] finds it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Defective(defect) => defect.name(),
            Self::Odd(quirk) => quirk.name(),
        }
    }
}
