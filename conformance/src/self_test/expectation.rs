//! What is on record about each mutant: which cases it must fail, no more and no fewer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::own::Defect;

/// Every file of `mutants/`: name, text. Written by the build script.
const EMBEDDED: &str = include_str!(concat!(env!("OUT_DIR"), "/mutants.json"));

/// A mutant fails more than so many cases: then each new case would have to be written into its record.
const MOST: usize = 100;

/// One file of `mutants/`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the format of `mutants/*.json`")]
pub struct Expectation {
    /// The clause that the mutant breaks.
    pub clause: String,
    /// Its defect, by name.
    pub defect: String,
    /// What it does.
    pub story: String,
    /// What it must fail.
    pub fails: Fails,
}

/// What a mutant must fail.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Written", into = "Written")]
#[expect(clippy::exhaustive_enums, reason = "exactly this, or more than can be listed")]
pub enum Fails {
    /// More than a hundred cases: `"*"`.
    Most,
    /// These cases and laws.
    Exactly(BTreeSet<String>),
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(untagged)]
enum Written {
    Star(String),
    List(BTreeSet<String>),
}

impl From<Written> for Fails {
    fn from(written: Written) -> Self {
        match written {
            Written::Star(_) => Self::Most,
            Written::List(cases) => Self::Exactly(cases),
        }
    }
}

impl From<Fails> for Written {
    fn from(fails: Fails) -> Self {
        match fails {
            Fails::Most => Self::Star(String::from("*")),
            Fails::Exactly(cases) => Self::List(cases),
        }
    }
}

impl Expectation {
    /// What is to be on record about a mutant that failed these cases.
    pub fn new(defect: Defect, failed: BTreeSet<String>) -> Self {
        Self {
            clause: defect.clause().to_owned(),
            defect: defect.name().to_owned(),
            story: defect.story().to_owned(),
            fails: if failed.len() > MOST { Fails::Most } else { Fails::Exactly(failed) },
        }
    }
}

/// What is on record about all mutants.
#[derive(Clone, Debug, Default)]
pub struct Expectations(BTreeMap<String, Expectation>);

impl Expectations {
    /// The record that this binary was made with. A file that cannot be read is not on record.
    pub fn embedded() -> Self {
        let files: BTreeMap<String, String> = serde_json::from_str(EMBEDDED).unwrap_or_default();
        files.values().filter_map(|text| serde_json::from_str(text).ok()).collect()
    }

    /// The record in a folder: one file for each mutant.
    ///
    /// # Errors
    ///
    /// Whatever keeps a file from being read.
    pub fn in_folder(folder: &Path) -> std::io::Result<Self> {
        let mut read = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let text = std::fs::read_to_string(entry?.path())?;
            read.push(serde_json::from_str(&text)?);
        }
        Ok(read.into_iter().collect())
    }

    /// What is on record about a mutant with this defect.
    pub fn of(&self, defect: Defect) -> Option<&Expectation> {
        self.0.get(defect.name())
    }

    /// All of them, by the defect's name.
    pub fn iter(&self) -> impl Iterator<Item = &Expectation> {
        self.0.values()
    }

    /// Of each case, the mutants that it catches, the most particular first: those that fail the fewest cases.
    pub fn killers(&self) -> BTreeMap<&str, Vec<&Expectation>> {
        let mut killers: BTreeMap<&str, Vec<(usize, &Expectation)>> = BTreeMap::new();
        for expectation in self.iter() {
            let Fails::Exactly(cases) = &expectation.fails else { continue };
            for case in cases {
                killers.entry(case).or_default().push((cases.len(), expectation));
            }
        }
        for found in killers.values_mut() {
            found.sort_by_key(|(fails, expectation)| (*fails, expectation.defect.as_str()));
        }
        let without_counts = |found: Vec<(usize, _)>| found.into_iter().map(|(_, killer)| killer).collect();
        killers.into_iter().map(|(case, found)| (case, without_counts(found))).collect()
    }
}

impl FromIterator<Expectation> for Expectations {
    fn from_iter<I: IntoIterator<Item = Expectation>>(expectations: I) -> Self {
        Self(expectations.into_iter().map(|expectation| (expectation.defect.clone(), expectation)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        let few = Expectation::new(Defect::SixthCategory, BTreeSet::from(["C9.2-five-words".to_owned()]));
        let most = Expectation::new(Defect::Dead, (0..101).map(|number| number.to_string()).collect());
        for expectation in [few, most] {
            let text = serde_json::to_string(&expectation).unwrap();
            assert_eq!(serde_json::from_str::<Expectation>(&text).unwrap(), expectation, "{text}");
        }
    }

    #[test]
    fn the_most_particular_killer_comes_first() {
        let of = |defect, cases: &[&str]| {
            Expectation::new(defect, cases.iter().map(|case| (*case).to_owned()).collect())
        };
        let expectations: Expectations =
            [of(Defect::ValidatesNothing, &["a", "b", "c"]), of(Defect::PatternsPass, &["b"])]
                .into_iter()
                .collect();
        let killers = expectations.killers();
        let names = |case: &str| killers[case].iter().map(|found| found.defect.as_str()).collect::<Vec<_>>();
        assert_eq!(names("b"), ["patterns-pass", "validates-nothing"]);
        assert_eq!(names("a"), ["validates-nothing"]);
    }
}
