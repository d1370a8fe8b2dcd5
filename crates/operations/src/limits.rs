//! How much an operation may do.

/// How much an operation may do. Every bound is enforced before the work that would exceed it (I8).
///
/// The defaults let an expression visit some millions of values, which takes about half a second, and keep the worst
/// regular expression to a few.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationLimits {
    /// Steps of one run. A step is a visit to one value or node of an expression, or some tens of bytes of text.
    pub max_steps: u64,
    /// Bytes of values that one run may build, its output and everything on the way to it.
    pub max_working_bytes: u64,
    /// Bytes of one output: strings by their UTF-8 length, every other value as 8.
    pub max_output_bytes: u64,
    /// Levels of arrays and objects in one output.
    pub max_output_depth: u64,
    /// Bytes of the source of one expression or template.
    pub max_expression_bytes: u64,
    /// Levels of one expression, parentheses, calls, operators and selections together.
    pub max_expression_depth: u64,
    /// Bytes of the compiled regular expressions of one task, and of its sources a sixteenth of that.
    pub max_regex_bytes: u64,
    /// Entries of one list in the arguments: rules, rows, pointers.
    pub max_entries: u64,
}

impl Default for OperationLimits {
    fn default() -> Self {
        Self {
            max_steps: 10_000_000,
            max_working_bytes: 32 << 20,
            max_output_bytes: 16 << 20,
            max_output_depth: 64,
            max_expression_bytes: 16 << 10,
            max_expression_depth: 128,
            max_regex_bytes: 1 << 20,
            max_entries: 10_000,
        }
    }
}

/// One of the [`OperationLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`OperationLimits::max_steps`].
    Steps,
    /// [`OperationLimits::max_working_bytes`].
    WorkingBytes,
    /// [`OperationLimits::max_output_bytes`].
    OutputBytes,
    /// [`OperationLimits::max_output_depth`].
    OutputDepth,
    /// [`OperationLimits::max_expression_bytes`].
    ExpressionBytes,
    /// [`OperationLimits::max_expression_depth`].
    ExpressionDepth,
    /// [`OperationLimits::max_regex_bytes`].
    RegexBytes,
    /// [`OperationLimits::max_entries`].
    Entries,
}

impl Limit {
    pub(crate) fn exceeded(self, limit: u64) -> String {
        match self {
            Self::Steps => format!("needs more than {limit} steps"),
            Self::WorkingBytes => format!("builds more than {limit} bytes of values"),
            Self::OutputBytes => format!("output exceeds {limit} bytes"),
            Self::OutputDepth => format!("output is nested more than {limit} levels deep"),
            Self::ExpressionBytes => format!("source exceeds {limit} bytes"),
            Self::ExpressionDepth => format!("expression is nested more than {limit} levels deep"),
            Self::RegexBytes => format!("compiled pattern exceeds {limit} bytes"),
            Self::Entries => format!("more than {limit} entries"),
        }
    }

    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Steps => "pass a smaller input, or nest fewer loops over it",
            Self::WorkingBytes => "pass a smaller input, or build less on the way to the result",
            Self::OutputBytes => "return less, or split the task",
            Self::OutputDepth => "flatten the output",
            Self::ExpressionBytes => "split it over several tasks",
            Self::ExpressionDepth => {
                "split it over several tasks, or use fewer parentheses and chained operators"
            }
            Self::RegexBytes => {
                "use smaller repetitions and fewer Unicode classes, such as `[0-9]` for `\\d`"
            }
            Self::Entries => "split it over several tasks",
        }
    }
}
