//! The oddities that a backend may have and still be right.

/// Declares the oddities: what each is called, what the backend does, and why the contract allows it.
macro_rules! quirks {
    ($($quirk:ident $name:literal $story:literal $because:literal)*) => {
        /// What is odd about a backend that is right.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Quirk {
            $(#[doc = $story] $quirk,)*
        }

        impl Quirk {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$quirk),*];

            /// Its name in data files and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$quirk => $name,)* }
            }

            /// What the backend does.
            pub fn story(self) -> &'static str {
                match self { $(Self::$quirk => $story,)* }
            }

            /// Why the contract allows it.
            pub fn legal_because(self) -> &'static str {
                match self { $(Self::$quirk => $because,)* }
            }
        }
    };
}

quirks! {
    Backwards "backwards" "Runs independent tasks in reverse order."
        "§6: placement and timing may differ; only what depends on each other has an order."
    FourLanes "four-lanes" "Runs up to four tasks at the same time, and declares so."
        "§3.3: `max_concurrency` is the backend's to declare."
    SixtyFourLanes "sixty-four-lanes" "Runs up to sixty-four tasks at the same time, and declares so."
        "§3.3: `max_concurrency` is the backend's to declare."
    Slow "slow" "Takes ten milliseconds before and after each task."
        "§6: timing may differ."
    RecordsByName "records-by-name" "Reports the records in another topological order: by level, then by id in reverse."
        "§6: semantic order is that of dependencies."
    MoreMembers "more-members" "Adds members of its own to every document."
        "§10: a newer MINOR may add what others ignore."
    OnlyWhatMust "only-what-must" "Leaves out of metadata, health and descriptor whatever the contract does not name."
        "§3, §8: what is not named is not owed."
    NoDigest "no-digest" "Reports neither the graph's digest nor its id."
        "§3.1: the metadata's members beyond the names of the run are the backend's own."
    OnlyOperations "only-operations" "Has no models and no aggregation, and declares so."
        "§3.3: `supported_task_types` is the backend's to declare, and the rest is refused."
    FewOperations "few-operations" "Has the operations `constant` and `echo` and no other, and declares so."
        "§3.3: nothing is inferred beyond the descriptor."
    LongMessages "long-messages" "Says everything in messages of several kilobytes, in two languages."
        "§9: categories are closed, wording is free."
    OwnVersion "own-version" "Calls its version `2026.11-rc.1+build.7`, and has a descriptor of several kilobytes."
        "§3.2: `backend_version` is the backend's own."
    WholeSeconds "whole-seconds" "Measures in whole seconds, rounded down, so that most of it takes no time."
        "§8 does not say how precisely time is measured."
    LongWaits "long-waits" "Waits forty milliseconds before a retry, within the task's time."
        "Backoff is the backend's policy within the budget."
    TellsNoCap "tells-no-cap" "Does not tell the model its cap, and hangs up when it is reached."
        "§7: caps are enforced by the backend; what it tells the model is its own affair."
    FailsRunIdsTwice "fails-run-ids-twice" "Refuses a run id that it has seen before."
        "§3.1 does not say that run ids may be used twice."
    ValidatesTwice "validates-twice" "Holds every output against its schema twice."
        "§11: an output is validated, however often."
    RefusesInOneWord "refuses-in-one-word" "Refuses with one sentence and without details."
        "Details of a refusal are optional."
    NullForAbsent "null-for-absent" "Writes null for every member that could be left out."
        "JSON readers take null for absent where a member is optional."
    OnlyIr1 "only-ir-1" "Refuses Task IR 0.1 as another version."
        "§10: an incompatible version is refused; a mapping for older ones is needed only by who reads them."
    Degraded "degraded" "Says that its health is degraded."
        "§3.2: degraded backends still run graphs."
}
