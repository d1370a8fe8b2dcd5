//! The names of events.

use crate::word::words;

words! {
    /// Every event name that Krako publishes, and two of our own (decision 0019).
    #[expect(clippy::exhaustive_enums, reason = "a new name is a new MINOR, and whoever maps events has to see it")]
    pub enum EventKind {
        /// A unit entered the queue of its pool, will be tried again, or was woken to stand in for another.
        UnitScheduled = "workunit.scheduled",
        /// A node took it.
        UnitClaimed = "workunit.claimed",
        /// An attempt started.
        UnitStarted = "workunit.started",
        /// An output was held against its schema.
        UnitValidated = "workunit.validated",
        /// The unit settled with an output, or without having been run.
        UnitCompleted = "workunit.completed",
        /// The unit settled without an output.
        UnitFailed = "workunit.failed",
        /// Ours: an attempt on `cpu` ended that does not count any more.
        UnitStopped = "workunit.stopped",
        /// A model was asked.
        LlmStarted = "llm.invocation.started",
        /// It answered.
        LlmCompleted = "llm.invocation.completed",
        /// It did not.
        LlmFailed = "llm.invocation.failed",
        /// A graph was accepted.
        SessionStarted = "execution.session.started",
        /// Ours: nothing more is started, and what is under way is stopped.
        SessionStopping = "execution.session.stopping",
        /// Every unit settled, and nothing failed that was not stood in for.
        SessionCompleted = "execution.session.completed",
        /// Something did, or the session was stopped.
        SessionFailed = "execution.session.failed",
    }
}

impl EventKind {
    /// Whether it is among the twelve that Krako publishes. Whoever knows only those passes over the others.
    pub fn is_published(self) -> bool {
        match self {
            Self::SessionStopping | Self::UnitStopped => false,
            Self::UnitScheduled
            | Self::UnitClaimed
            | Self::UnitStarted
            | Self::UnitValidated
            | Self::UnitCompleted
            | Self::UnitFailed
            | Self::LlmStarted
            | Self::LlmCompleted
            | Self::LlmFailed
            | Self::SessionStarted
            | Self::SessionCompleted
            | Self::SessionFailed => true,
        }
    }

    /// Whether it is about the session and not about one unit.
    pub fn is_of_session(self) -> bool {
        match self {
            Self::SessionStarted | Self::SessionStopping | Self::SessionCompleted | Self::SessionFailed => {
                true
            }
            Self::UnitScheduled
            | Self::UnitClaimed
            | Self::UnitStarted
            | Self::UnitValidated
            | Self::UnitCompleted
            | Self::UnitFailed
            | Self::UnitStopped
            | Self::LlmStarted
            | Self::LlmCompleted
            | Self::LlmFailed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows C5.4
    #[test]
    fn the_published_names_are_the_twelve_of_krako() {
        let published: Vec<&str> =
            EventKind::ALL.iter().filter(|kind| kind.is_published()).map(|kind| kind.as_str()).collect();
        assert_eq!(
            published,
            [
                "workunit.scheduled",
                "workunit.claimed",
                "workunit.started",
                "workunit.validated",
                "workunit.completed",
                "workunit.failed",
                "llm.invocation.started",
                "llm.invocation.completed",
                "llm.invocation.failed",
                "execution.session.started",
                "execution.session.completed",
                "execution.session.failed",
            ]
        );
    }
}
