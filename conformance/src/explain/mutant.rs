//! A backend with one defect, as far as explanations need it: the story, and who catches it.

use crate::report::plain;

/// A mutant, as `conformance/mutants` has it on record.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "whoever holds the mutants fills all of it")]
pub struct MutantInfo {
    /// What it is called.
    pub name: String,
    /// The clause that it breaks.
    pub clause: String,
    /// What is wrong with it, for people.
    pub story: String,
    /// The cases that catch it. `None`: so many that none of them is about it.
    pub caught_by: Option<Vec<String>>,
}

impl MutantInfo {
    /// Those of `mutants` that `case` catches, the most particular first: those that the fewest cases catch.
    pub(super) fn caught_by<'m>(case: &str, mutants: &'m [Self]) -> Vec<&'m Self> {
        let mut caught: Vec<(usize, &Self)> = mutants
            .iter()
            .filter_map(|mutant| {
                let cases = mutant.caught_by.as_ref()?;
                cases.iter().any(|id| id == case).then_some((cases.len(), mutant))
            })
            .collect();
        caught.sort_by_key(|(cases, mutant)| (*cases, &mutant.name));
        caught.into_iter().map(|(_, mutant)| mutant).collect()
    }

    pub(super) fn told(&self) -> String {
        plain::line(&format!("{}: {}", self.name, self.story), plain::TEXT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_mutants_come_first_and_the_dead_ones_say_nothing() {
        let mutant = |name: &str, cases: Option<&[&str]>| MutantInfo {
            name: name.to_owned(),
            clause: String::from("C7.3"),
            story: String::from("s"),
            caught_by: cases.map(|cases| cases.iter().map(|case| (*case).to_owned()).collect()),
        };
        let mutants = [
            mutant("wide", Some(&["x", "y", "z"])),
            mutant("dead", None),
            mutant("narrow", Some(&["x"])),
            mutant("other", Some(&["y"])),
        ];
        let caught: Vec<&str> =
            MutantInfo::caught_by("x", &mutants).iter().map(|mutant| mutant.name.as_str()).collect();
        assert_eq!(caught, ["narrow", "wide"]);
    }
}
