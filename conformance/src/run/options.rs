//! How a suite is run.

use std::time::Duration;

use super::observe::Observer;
use crate::generate::Search;
use crate::model::ModelEndpoint;
use crate::registry::Profile;

/// How a suite is run.
#[expect(clippy::exhaustive_structs, reason = "the command line fills all of it")]
pub struct RunOptions<'a> {
    /// Which cases are asked of the backend.
    pub profile: Profile,
    /// Only the case with this id, or those of this clause. A filtered run is never conformant.
    pub only: Option<String>,
    /// From which ids are drawn.
    pub seed: u64,
    /// Random graphs for each family of generated cases.
    pub graphs: u32,
    /// Cases at one time.
    pub jobs: usize,
    /// The longest that a backend may take to answer one request.
    pub answer_deadline: Duration,
    /// The longest that a case may take.
    pub watchdog: Duration,
    /// A model that outlives the cases, for a backend that was told once where it is.
    pub model: Option<ModelEndpoint>,
    /// How one repeats a case: this, with ` --only CASE` after it.
    pub repeat: String,
    /// The command line, for the report.
    pub command: String,
    /// When the run started, RFC 3339, for the report.
    pub started_at: String,
    /// Told after each case.
    pub progress: &'a (dyn Fn(&Progress<'_>) + Send + Sync),
}

impl std::fmt::Debug for RunOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunOptions")
            .field("profile", &self.profile)
            .field("only", &self.only)
            .field("seed", &self.seed)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        Self {
            profile: Profile::Core,
            only: None,
            seed: 1,
            graphs: 32,
            jobs: 2,
            answer_deadline: Duration::from_secs(20),
            watchdog: Duration::from_secs(180),
            model: None,
            repeat: String::from("kora-backend conformance run"),
            command: String::new(),
            started_at: String::new(),
            progress: &|_| (),
        }
    }
}

/// One case more is done.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what a progress bar shows")]
pub struct Progress<'a> {
    /// Its id.
    pub case: &'a str,
    /// How many are.
    pub done: usize,
    /// Of how many.
    pub total: usize,
    /// Whether something is wrong with it.
    pub failed: bool,
}

impl RunOptions<'_> {
    pub(crate) fn observer(&self) -> Observer {
        Observer { seed: self.seed, answer_deadline: self.answer_deadline, model: self.model.clone() }
    }

    /// How long to look for graphs that break a relation.
    pub(crate) fn search(&self) -> Search {
        Search { seed: self.seed, graphs: self.graphs, shrinks: 8 * self.graphs }
    }

    /// Whether a case with these clauses is run. A law has no runs of its own, so to look at one law everything is run.
    pub(crate) fn runs(&self, id: &str, clauses: &[String]) -> bool {
        self.profile.scores(clauses)
            && (self.is_asked(id, clauses.iter().map(String::as_str)) || self.asks_a_law())
    }

    /// Whether a verdict on it is asked for.
    pub(crate) fn is_asked<'c>(&self, id: &str, mut clauses: impl Iterator<Item = &'c str>) -> bool {
        self.only.as_ref().is_none_or(|only| id == only || clauses.any(|clause| clause == only))
    }

    fn asks_a_law(&self) -> bool {
        let Some(only) = self.only.as_deref() else { return false };
        crate::judge::laws().any(|law| law.id == only || law.clauses.contains(&only))
    }
}
