//! The defects that a mutant can have, one each.

/// Declares the defects: what each is called, the clause that it breaks, and what the backend does.
macro_rules! defects {
    ($($defect:ident $name:literal $clause:literal $story:literal)*) => {
        /// What is wrong with a mutant. Everything else about it is the plain backend.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Defect {
            $(#[doc = $story] $defect,)*
        }

        impl Defect {
            /// All of them, by what they are about.
            pub const ALL: &[Self] = &[$(Self::$defect),*];

            /// Its name in data files and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$defect => $name,)* }
            }

            /// The clause that it breaks.
            pub fn clause(self) -> &'static str {
                match self { $(Self::$defect => $clause,)* }
            }

            /// What the backend does.
            pub fn story(self) -> &'static str {
                match self { $(Self::$defect => $story,)* }
            }
        }
    };
}

defects! {
    // Retries.
    RetriesOnceTooOften "retries-once-too-often" "C7.3" "Makes one attempt more than `max_retries` allows."
    GivesUpOneRetryEarly "gives-up-one-retry-early" "C2.3" "Makes one attempt less than `max_retries` allows."
    ZeroRetriesMeanOne "zero-retries-mean-one" "C7.3" "Takes `max_retries` 0 for 1."
    RetriesFinalFaults "retries-final-faults" "C7.3" "Sends a request again that the model's side has rejected."
    NeverRetriesFaults "never-retries-faults" "C2.3" "Gives up at the first fault of the model's side, though it may pass."
    NeverRetriesBadReplies "never-retries-bad-replies" "C2.3" "Gives up at the first reply that breaks its schema."
    RetriesGoodReplies "retries-good-replies" "C7.3" "Asks once more after a good reply, and takes the second."
    SilentAboutUsedUpRetries "silent-about-used-up-retries" "C7.3" "Does not say that a failure used up the retries."

    // A task's tokens.
    RefusesTheExactCap "refuses-the-exact-cap" "C7.2" "Takes a reply of exactly `max_tokens` for a breach."
    LetsOneTokenPass "lets-one-token-pass" "C7.2" "Accepts one token more than the cap."
    IgnoresTokenCaps "ignores-token-caps" "C7.2" "Knows no cap on a task's tokens."
    CountsAfterwards "counts-afterwards" "C7.2" "Listens to the end of a reply before it looks at the cap."
    CutsSilentlyAtTheCap "cuts-silently-at-the-cap" "C7.6" "Hangs up at the cap and takes what came until then for the reply."
    BelievesTheUsage "believes-the-usage" "C7.6" "Counts only the tokens that a final usage tells, so a call that never ends is for free."
    TellsTheWholeCapAgain "tells-the-whole-cap-again" "C2.2" "Tells the model the declared cap on each retry, whatever is left of it."
    TokensForEachAttempt "tokens-for-each-attempt" "C2.2" "Gives each retry the whole token budget again."
    BrokenCallsAreFree "broken-calls-are-free" "C7.2" "Charges nothing to the budget for a reply that broke off."
    PromptsAreGenerated "prompts-are-generated" "C7.2" "Charges prompt tokens to `max_tokens`."

    // Time.
    IgnoresTaskTime "ignores-task-time" "C7.4" "Knows no limit on a task's time."
    TimeForEachAttempt "time-for-each-attempt" "C7.4" "Starts the clock of a task anew on each retry."
    HalfTheTime "half-the-time" "C7.4" "Cuts a call off at half of its time."
    TimeoutIsExecutionFailure "timeout-is-execution-failure" "C9.1" "Reports a time-out as EXECUTION_FAILURE."
    TimeoutIsBreach "timeout-is-breach" "C9.1" "Reports a time-out of a task as BUDGET_BREACH."
    IgnoresLatency "ignores-latency" "C7.5" "Knows no `max_latency_ms`."
    LatencyIsTimeout "latency-is-timeout" "C7.5" "Reports the end of the run's own time as TIMEOUT."
    LatencyHalved "latency-halved" "C7.5" "Ends the run at half of its `max_latency_ms`."

    // The run's budgets.
    IgnoresGraphTokens "ignores-graph-tokens" "C7.5" "Keeps to each task's tokens, and not to the graph's `max_tokens`."
    IgnoresGraphCalls "ignores-graph-calls" "C7.5" "Knows no `max_llm_calls`."
    IgnoresGraphUnits "ignores-graph-units" "C7.5" "Knows no `max_cpu_units`."
    OneCallTooFew "one-call-too-few" "C7.5" "Refuses the last call that `max_llm_calls` allows."
    RetriesAreNoCalls "retries-are-no-calls" "C7.5" "Does not count retries towards `max_llm_calls`."
    CallsAreUnits "calls-are-units" "C7.5" "Counts model calls towards `max_cpu_units`."
    KeepsWhatIsNotUsed "keeps-what-is-not-used" "C7.5" "Charges a task's whole cap to the run, whatever the task used."
    FirstComeFirstServed "first-come-first-served" "C6.1" "Gives the run's budgets to whoever comes first, and not by canonical order."
    BudgetsLastForever "budgets-last-forever" "C2.2" "Charges to a run what runs before it spent."

    // How a breach is told.
    BreachIsExecutionFailure "breach-is-execution-failure" "C7.5" "Reports a breach as EXECUTION_FAILURE."
    BreachWithoutDetail "breach-without-detail" "C7.6" "Does not say which cap was breached."
    BreachOfTheWrongCap "breach-of-the-wrong-cap" "C7.6" "Names the task's cap where the graph's was breached."
    BreachUsedNothing "breach-used-nothing" "C7.6" "Says of every breach that nothing was used."
    BreachIsSuccess "breach-is-success" "C7.6" "Reports a run in which a budget was breached as a success."

    // Budgets as declared.
    RaisesBudgets "raises-budgets" "C2.2" "Doubles every task's tokens."
    LowersBudgets "lowers-budgets" "C7.1" "Halves every task's tokens."
    WrapsLargeCaps "wraps-large-caps" "C7.1" "Reads caps into 8 bits, so that 257 becomes 1."
    DefaultsAreEndless "defaults-are-endless" "C7.1" "Gives a task without a budget of its own ten times the graph's default."
    DefaultsComeFirst "defaults-come-first" "C7.1" "Prefers the graph's default budget to a task's own."
    RaisesForEscalation "raises-for-escalation" "C2.2" "Gives a task that stands in for another twice its budget."
    MissingBudgetIsEndless "missing-budget-is-endless" "C7.1" "Runs a model task that has no budget at all."
    NegativeIsPositive "negative-is-positive" "C7.1" "Reads a negative cap as a positive one."
    SenselessBudgetIsLarge "senseless-budget-is-large" "C7.1" "Reads a cap that is no number as a large one."

    // What a schema lets through.
    ValidatesNothing "validates-nothing" "C2.4" "Takes any JSON for an output, and says that it was validated."
    ExtraMembersPass "extra-members-pass" "C2.4" "Takes `additionalProperties` for true where the schema does not say."
    ExtraMembersPassInside "extra-members-pass-inside" "C2.4" "Closes the outer object of a schema, and none within it."
    LooksAtTheTopOnly "looks-at-the-top-only" "C2.4" "Does not look into the objects and arrays within an output."
    MissingMembersPass "missing-members-pass" "C2.4" "Ignores `required`."
    EnumsPass "enums-pass" "C2.4" "Ignores `enum` and `const`."
    PatternsPass "patterns-pass" "C2.4" "Ignores `pattern`."
    BoundsPass "bounds-pass" "C2.4" "Ignores bounds on numbers and lengths."
    NullPasses "null-passes" "C2.4" "Takes null for a value of any type."
    TypesPass "types-pass" "C2.4" "Ignores `type`."
    OperationsAreTrusted "operations-are-trusted" "C2.4" "Does not validate what operations return."
    AggregationsAreTrusted "aggregations-are-trusted" "C2.4" "Does not validate what aggregations return."
    SkippedOutputIsTrusted "skipped-output-is-trusted" "C2.4" "Does not validate the declared output of a skipped task."
    OptionalIsRequired "optional-is-required" "C2.4" "Wants every property that a schema names."
    ClosesWhatIsOpen "closes-what-is-open" "C2.4" "Takes `additionalProperties` for false even where KORA declares it otherwise."
    WantsObjects "wants-objects" "C2.4" "Takes no output that is not an object."
    WantsEveryAlternative "wants-every-alternative" "C2.4" "Reads `anyOf` as `allOf`."

    // How a reply is read.
    FindsJsonInProse "finds-json-in-prose" "C11.1" "Picks the JSON out of a reply that has prose around it."
    OpensFences "opens-fences" "C11.1" "Takes JSON in a code fence."
    MendsTruncatedJson "mends-truncated-json" "C11.1" "Closes what a reply left open."
    TakesTheFirstValue "takes-the-first-value" "C11.1" "Reads the first value of a reply and ignores the rest."
    LastNameWins "last-name-wins" "C11.1" "Takes the last of two members of one name."
    ReadsOtherSyntax "reads-other-syntax" "C11.1" "Reads single quotes as JSON."
    ReadsNotANumber "reads-not-a-number" "C11.1" "Reads NaN as 0."
    UnwrapsTexts "unwraps-texts" "C11.1" "Reads the JSON inside of a text."
    UnwrapsArrays "unwraps-arrays" "C11.1" "Takes the one member of an array for the value."
    NumbersFromTexts "numbers-from-texts" "C11.1" "Turns texts into the numbers that they spell."
    RoundsFractions "rounds-fractions" "C11.1" "Rounds fractions to whole numbers."
    EmptyIsNothing "empty-is-nothing" "C11.1" "Takes an empty reply for null, and null for an output."
    WantsNoWhiteSpace "wants-no-white-space" "C4.4" "Refuses a reply with white space around it."
    WantsMembersInOrder "wants-members-in-order" "C4.4" "Refuses an object whose members are not in alphabetical order."
    DropsExtraMembers "drops-extra-members" "C11.1" "Removes the members that a schema does not name, and takes the rest."

    // What becomes of a reply that was refused.
    QuotesTheReply "quotes-the-reply" "C11.1" "Puts a refused reply into the failure's message."
    HandsOnWhatIsRefused "hands-on-what-is-refused" "C11.1" "Gives dependents what a task's schema refused."
    ReturnsWhatIsRefused "returns-what-is-refused" "C11.1" "Returns the root's refused reply as the final output."
    KeepsBrokenReplies "keeps-broken-replies" "C7.3" "Puts what came before a connection broke in front of the next reply."
    AlwaysPass "always-pass" "C8.1" "Says of every output that it passed."

    // Who is asked.
    ModelsForOperations "models-for-operations" "C11.2" "Asks a model before it runs an operation, and tells nobody."
    WarmsUp "warms-up" "C11.2" "Calls the model once before each run, and tells nobody."
    AsksTwice "asks-twice" "C8.2" "Asks the model twice for each attempt and reports one."
    TakesTheLargeModel "takes-the-large-model" "C11.3" "Asks the largest model, whatever is declared."
    LargerAfterFailures "larger-after-failures" "C11.3" "Asks a larger model on retries."
    ReplacesUnknownModels "replaces-unknown-models" "C11.3" "Asks the small model where a task names one that does not exist."
    IgnoresTheWindow "ignores-the-window" "C3.7" "Takes tasks that may generate more than the context window holds."
    FillsPlaceholdersTwice "fills-placeholders-twice" "C11.1" "Reads what fills a placeholder as a template again."
    ReadsReferencesInOutputs "reads-references-in-outputs" "C11.1" "Resolves references that stand in an output."
    DropsFirstMessages "drops-first-messages" "C1.4" "Sends only the last message of a conversation."
    TellsTheModelEverything "tells-the-model-everything" "C11.1" "Puts the outputs of all tasks into every prompt."
    OperationsMayAsk "operations-may-ask" "C11.2" "Runs a deterministic or aggregation task that asks a model as a model task."

    // `skip_when`.
    NeverSkips "never-skips" "C11.2" "Ignores `skip_when`."
    AlwaysSkips "always-skips" "C11.2" "Skips every task that has a `skip_when`."
    SkipsIfAllHold "skips-if-all-hold" "C11.2" "Wants all skip conditions to hold."
    NothingEqualsAnything "nothing-equals-anything" "C11.2" "Takes a pointer to nothing as equal to whatever is asked."
    NumbersAreSpelt "numbers-are-spelt" "C11.2" "Compares numbers in skip conditions by how they are written."
    AsksBeforeSkipping "asks-before-skipping" "C11.2" "Calls the model of a task that it skips."
    SkipsWithNull "skips-with-null" "C11.2" "Puts null in the place of a skipped task's declared output."
    SkipsAfterFailures "skips-after-failures" "C11.2" "Skips a task whose rule failed."

    // Escalation.
    NeverEscalates "never-escalates" "C1.4" "Takes no escalation edge."
    InventsEscalation "invents-escalation" "C1.4" "Asks the large model when a task without edges has failed."
    TargetsAlwaysRun "targets-always-run" "C1.4" "Runs escalation targets that no edge woke."
    TakesEveryEdge "takes-every-edge" "C1.4" "Takes the first edge, whether its condition holds or not."
    TakesTheLastEdge "takes-the-last-edge" "C1.4" "Takes the last edge that holds."
    FailureIsMismatch "failure-is-mismatch" "C1.4" "Takes an edge on `schema_mismatch` for any failure."
    ThresholdIsLow "threshold-is-low" "C1.4" "Takes a confidence of exactly the threshold for too low."
    UnstatedIsLow "unstated-is-low" "C1.4" "Takes a confidence that was not stated for 0."
    WantsMoreThanTheMinimum "wants-more-than-the-minimum" "C1.4" "Takes no edge on `budget_remaining` where exactly that much is left."
    IgnoresWhatIsLeft "ignores-what-is-left" "C1.4" "Takes an edge on `budget_remaining` whatever is left."
    EscalatesBeforeRetrying "escalates-before-retrying" "C1.4" "Takes an edge on the first failure instead of a retry."
    SkippedTasksEscalate "skipped-tasks-escalate" "C1.4" "Takes the first edge of a task that was skipped."
    DependentsSeeTheSource "dependents-see-the-source" "C1.4" "Shows dependents the task that was stood in for, and not who did."
    FailedAlthoughResolved "failed-although-resolved" "C1.4" "Reports a failure although another task stood in for it."
    OnlyModelsStandIn "only-models-stand-in" "C1.4" "Takes no edge to an operation."
    ChainsEndEarly "chains-end-early" "C1.4" "Takes no edge of a task that stands in for another."
    TargetsFailureIsTheRuns "targets-failure-is-the-runs" "C9.1" "Names the target's failure where the source's was the cause."

    // Order and failure.
    RunsDependentsOfFailures "runs-dependents-of-failures" "C9.1" "Runs what depends on a failed task, with null for its output."
    OneOutputSuffices "one-output-suffices" "C9.1" "Runs a task if one of its dependencies has an output."
    StopsAtTheFirstFailure "stops-at-the-first-failure" "C9.1" "Treats every graph as `fail_fast`."
    IgnoresFailFast "ignores-fail-fast" "C9.1" "Goes on after a failure under `fail_fast`."
    SixthCategory "sixth-category" "C9.2" "Reports a fault of the model's side as MODEL_ERROR."
    DependencyFailureIsExecutionFailure "dependency-failure-is-execution-failure" "C9.1" "Reports DEPENDENCY_FAILURE as EXECUTION_FAILURE."
    DependentsAreSkipped "dependents-are-skipped" "C9.1" "Reports the dependents of a failure as skipped."
    InputFailureIsExecutionFailure "input-failure-is-execution-failure" "C9.1" "Reports an input that cannot be built as EXECUTION_FAILURE."
    MissingInputIsNull "missing-input-is-null" "C9.1" "Puts null where a reference finds nothing."
    OperationsFailValidation "operations-fail-validation" "C9.1" "Reports a failed operation as VALIDATION_ERROR."
    BadRepliesFailExecution "bad-replies-fail-execution" "C9.1" "Reports a reply that broke its schema as EXECUTION_FAILURE."
    LastFailureIsTheRuns "last-failure-is-the-runs" "C9.1" "Names the last failure as the run's."
    FailureOfTheRoot "failure-of-the-root" "C9.1" "Names the root's failure as the run's, whatever caused it."
    RootDecides "root-decides" "C9.1" "Reports a run as a success if its root has an output."
    OutputDespiteFailure "output-despite-failure" "C9.1" "Returns the last output there was where the root has none."
    NoOutputAfterFailure "no-output-after-failure" "C9.1" "Returns no final output if any task failed."
    FailuresUntold "failures-untold" "C3.4" "Says that a run failed and not why."
    FailuresAreRefusals "failures-are-refusals" "C9.2" "Answers a run that failed with a refusal."
    RefusalsAreFailures "refusals-are-failures" "C9.2" "Answers a graph that it refuses with the result of a failed run."
    AggregatesInReverse "aggregates-in-reverse" "C6.1" "Turns around the arrays that an aggregation makes."
    OutputsAsText "outputs-as-text" "C2.4" "Hands outputs to dependents as JSON in a text."
    RoundsOutputs "rounds-outputs" "C2.4" "Rounds every number of an output to a whole one."
    DifferentEachTime "different-each-time" "C2.1" "Turns around arrays in outputs, every second run."
    TakesTheSourceForTheRoot "takes-the-source-for-the-root" "C3.4" "Returns the output of the first task for that of the root."

    // Stages and records.
    NoStages "no-stages" "C6.1" "Reports no stages."
    NoValidationStage "no-validation-stage" "C6.1" "Leaves SCHEMA_VALIDATION out of the stages."
    AttemptsCollapsed "attempts-collapsed" "C6.1" "Reports the stages of one attempt, however many there were."
    AggregationIsDeterministic "aggregation-is-deterministic" "C8.1" "Reports aggregation tasks and their stages as deterministic."
    TypesOfTheSubstrate "types-of-the-substrate" "C8.1" "Reports task types as `cpu` and `llm_pod`."
    StagesOfWhatNeverRan "stages-of-what-never-ran" "C6.1" "Reports the stages of execution for tasks that never ran."
    StagesSorted "stages-sorted" "C6.1" "Reports the stages in alphabetical order."
    RecordsReversed "records-reversed" "C6.1" "Reports dependents before what they depend on."
    NoRecordsOfTheSkipped "no-records-of-the-skipped" "C8.1" "Reports no record of a task that was not run."
    NoRecordsOfTheFailed "no-records-of-the-failed" "C8.1" "Reports records of what succeeded only."
    NoTelemetryOfFailures "no-telemetry-of-failures" "C2.5" "Reports no telemetry of a run that failed."
    RecordForEachAttempt "record-for-each-attempt" "C8.1" "Reports a record for each attempt of a task."
    RecordOfItsOwn "record-of-its-own" "C1.4" "Reports a task that the graph does not have."
    RewritesIds "rewrites-ids" "C3.2" "Reports task ids in lower case, with dashes for points and underscores."
    FailedWithoutWhy "failed-without-why" "C9.1" "Leaves failures out of the records."
    SkippedIsSuccess "skipped-is-success" "C8.1" "Reports skipped tasks as successful."
    FailedIsSkipped "failed-is-skipped" "C8.1" "Reports failed tasks as skipped."

    // Numbers.
    TokensOutHalved "tokens-out-halved" "C8.1" "Reports half of the generated tokens."
    TokensOutPadded "tokens-out-padded" "C8.1" "Reports one generated token more for each task that called a model."
    TokensOfTheLastAttempt "tokens-of-the-last-attempt" "C8.1" "Reports the tokens of the last attempt only."
    NoTokensIn "no-tokens-in" "C8.1" "Reports no prompt tokens."
    RetryCountFromOne "retry-count-from-one" "C8.1" "Reports attempts as retries."
    RetryCountHidden "retry-count-hidden" "C8.1" "Reports that nothing was retried."
    InvocationsByTask "invocations-by-task" "C8.2" "Counts the model tasks that ran, and not their calls."
    DeterministicAsDeclared "deterministic-as-declared" "C8.2" "Counts the deterministic tasks of the graph, run or not."
    DeterministicWithoutAggregation "deterministic-without-aggregation" "C8.2" "Does not count aggregations as deterministic work."
    TotalsOfTheSuccessful "totals-of-the-successful" "C8.2" "Leaves what failed out of the total tokens."
    NoZeros "no-zeros" "C8.2" "Leaves totals out that are zero."
    NoLatency "no-latency" "C8.2" "Reports that every run took no time."
    NoDuration "no-duration" "C8.1" "Leaves durations out of the records."
    NegativeDuration "negative-duration" "C8.1" "Reports negative durations."
    DurationInSeconds "duration-in-seconds" "C8.1" "Reports durations in seconds."
    NumbersInTexts "numbers-in-texts" "C8.1" "Reports counts as texts."

    // The result around them.
    OwnRunIds "own-run-ids" "C3.3" "Makes a run id of its own."
    LosesTraceIds "loses-trace-ids" "C3.3" "Does not report the trace id."
    WrongMode "wrong-mode" "C3.3" "Reports that Krako ran the graph."
    NoInterfaceVersion "no-interface-version" "C10.1" "Does not say which version of the interface it keeps to."
    WrongDigest "wrong-digest" "C3.2" "Reports the digest of another document."
    RewritesGraphIds "rewrites-graph-ids" "C3.2" "Reports the graph's id in upper case."
    NoFinalOutputMember "no-final-output-member" "C3.4" "Leaves `final_output` out where there is none."
    NoMetadata "no-metadata" "C3.4" "Reports no execution metadata."

    // Descriptor and health.
    DescriptorChanges "descriptor-changes" "C3.6" "Declares one more of `max_concurrency` each time it is asked."
    DescriptorIncomplete "descriptor-incomplete" "C3.6" "Does not declare whether it is distributed."
    DescriptorInTexts "descriptor-in-texts" "C3.6" "Declares `max_concurrency` as a text."
    MoreAtOnceThanDeclared "more-at-once-than-declared" "C3.6" "Declares a `max_concurrency` of 1 and calls its model four times at once."
    HalfRunsWhatIsBeyond "half-runs-what-is-beyond" "C3.7" "Finds out that it lacks an operation or a model when the task's turn comes."
    RunsWhatIsNotDeclared "runs-what-is-not-declared" "C3.7" "Runs aggregations without declaring them."
    RunsModelsUndeclared "runs-models-undeclared" "C3.7" "Runs model tasks without declaring them."
    RefusesWhatIsDeclared "refuses-what-is-declared" "C3.7" "Declares aggregations and refuses them."
    HealthInOwnWords "health-in-own-words" "C3.5" "Says `ok` where the contract has `healthy`."
    HealthIncomplete "health-incomplete" "C3.5" "Says nothing of its version in its health."
    AlwaysUnavailable "always-unavailable" "C3.5" "Says that it is unavailable, whatever it can do."

    // Versions and the context.
    AnyGraphVersion "any-graph-version" "C10.3" "Runs graphs of any version."
    AnyTaskVersion "any-task-version" "C10.3" "Runs tasks of any version."
    AnyInterfaceVersion "any-interface-version" "C10.3" "Serves callers of any version of the interface."
    NewerMinorsRefused "newer-minors-refused" "C10.3" "Refuses a newer MINOR."
    UnknownFieldsRefused "unknown-fields-refused" "C10.3" "Refuses fields that it does not know."
    MismatchIsValidation "mismatch-is-validation" "C10.3" "Refuses another version as a VALIDATION_ERROR."
    CallsBeforeRefusing "calls-before-refusing" "C10.3" "Calls the model of the first task before it looks at versions."
    AnyMode "any-mode" "C3.3" "Runs what was meant for Krako."
    UnknownModeIsLocal "unknown-mode-is-local" "C3.3" "Takes an unknown `backend_mode` for `local`."
    NoRunId "no-run-id" "C3.3" "Runs without a run id, and reports none."
    NoUserIds "no-user-ids" "C3.3" "Refuses a context with a user."
    NeedsUserIds "needs-user-ids" "C3.3" "Refuses a context without a user."
    GuessesHandlers "guesses-handlers" "C10.2" "Runs a handler of IR 0.1 that it does not know as `echo`."
    RetriesInIr01 "retries-in-ir-0-1" "C10.2" "Retries tasks of IR 0.1 whose `on_fail` is `fail`."
    SkipIfIgnored "skip-if-ignored" "C10.2" "Ignores `skip_if` of IR 0.1."

    // Graphs that should have been refused.
    UnknownDependenciesDropped "unknown-dependencies-dropped" "C3.2" "Ignores dependencies on tasks that do not exist."
    CyclesBroken "cycles-broken" "C3.2" "Ignores a dependency that closes a cycle."
    FirstOfTwoIds "first-of-two-ids" "C3.2" "Keeps the first of two tasks of one id."
    EmptyGraphSucceeds "empty-graph-succeeds" "C3.2" "Answers a graph without tasks with a success."
    LastTaskIsRoot "last-task-is-root" "C3.2" "Takes the last task for the root where the root does not exist."
    UnknownTypeIsDeterministic "unknown-type-is-deterministic" "C3.2" "Runs a task of an unknown type as a deterministic one."
    DeclaresForgottenDependencies "declares-forgotten-dependencies" "C3.2" "Adds the dependency that an undeclared reference needs."
    NumbersTasks "numbers-tasks" "C3.2" "Takes a task without an id for the root."
    NothingIsInput "nothing-is-input" "C3.2" "Gives a task without an input an empty one."
    NothingIsEcho "nothing-is-echo" "C3.2" "Runs a task that does not say what it does as `echo`."
    UnknownTargetsDropped "unknown-targets-dropped" "C3.2" "Ignores escalation edges to tasks that do not exist."
    MissingSchemaAdmitsAll "missing-schema-admits-all" "C2.4" "Runs a task without a schema."
    BrokenSchemaAdmitsAll "broken-schema-admits-all" "C2.4" "Takes a schema that it cannot read for one that admits everything."
    UnknownOperationsEcho "unknown-operations-echo" "C3.7" "Runs `echo` for an operation that it does not have."

    // Between runs.
    OutputsCachedByTask "outputs-cached-by-task" "C2.6" "Answers a model task with what an earlier run had for a task of this id."
    AttemptsCountedForever "attempts-counted-forever" "C2.3" "Counts the attempts of a task across runs."
    ResultsCachedByRunId "results-cached-by-run-id" "C2.6" "Answers a run id that it knows with the earlier result."
    NamesMixed "names-mixed" "C2.6" "Reports every run under the names of the one that began last."
    OutputsMixed "outputs-mixed" "C2.6" "Keeps the outputs of all runs in one table, by the task's place."
    FailsAfterAFailure "fails-after-a-failure" "C2.6" "Refuses everything once a run has failed."
    RefusesAfterARefusal "refuses-after-a-refusal" "C2.6" "Refuses everything once it has refused a graph."
    OneRunAtATime "one-run-at-a-time" "C2.6" "Refuses a run while another one is under way."

    // Cancellation.
    GoesOnAfterCancellation "goes-on-after-cancellation" "C7.1" "Runs a graph to its end although nobody waits for it."
    BusyAfterCancellation "busy-after-cancellation" "C7.1" "Refuses everything after a run was cancelled."

    // As a process, and as a cheat.
    CrashesOnFailure "crashes-on-failure" "C9.1" "Ends with a panic when a task fails."
    HangsOnRetry "hangs-on-retry" "C7.3" "Never comes back from a retry."
    HangsOnRefusal "hangs-on-refusal" "C10.3" "Never answers a graph that it should refuse."
    Dead "dead" "C1.1" "Refuses everything."
    SaysYes "says-yes" "C1.1" "Answers everything with a success of nothing."
    MemorisesCases "memorises-cases" "C1.1" "Answers graphs whose ids it knows from the suite, and all others with a success of nothing."
}
