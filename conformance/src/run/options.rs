//! How a suite is run.

use std::time::Duration;

use crate::model::ModelEndpoint;
use crate::registry::Profile;
use crate::suite::CaseFolder;

/// How a suite is run.
#[expect(clippy::exhaustive_structs, reason = "the command line fills all of it")]
pub struct RunOptions<'a> {
    /// Which cases are asked of the backend.
    pub profile: Profile,
    /// Only the case with this id, or those of this clause. A filtered run is never conformant.
    pub only: Option<String>,
    /// From which ids are drawn.
    pub seed: u64,
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
            jobs: 2,
            answer_deadline: Duration::from_secs(20),
            watchdog: Duration::from_secs(60),
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

/// What a case's own thread needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) answer_deadline: Duration,
    pub(crate) model: Option<ModelEndpoint>,
}

impl RunOptions<'_> {
    pub(crate) fn settings(&self) -> Settings {
        Settings { seed: self.seed, answer_deadline: self.answer_deadline, model: self.model.clone() }
    }

    /// Whether the case is run. A law has no runs of its own, so to look at one law everything is run.
    pub(crate) fn runs(&self, case: &CaseFolder) -> bool {
        self.profile.scores(&case.case.clauses)
            && match &self.only {
                None => true,
                Some(only) => case.id == *only || case.case.clauses.contains(only) || self.is_law(only),
            }
    }

    fn is_law(&self, only: &str) -> bool {
        crate::judge::laws().any(|law| law.id == only || law.clauses.contains(&only))
    }

    /// Whether a verdict on the law is asked for.
    pub(crate) fn asks_law(&self, id: &str, clauses: &[&str]) -> bool {
        clauses.first().is_some_and(|clause| self.profile.includes(clause))
            && match &self.only {
                None => true,
                Some(only) => id == only || clauses.contains(&only.as_str()),
            }
    }
}
