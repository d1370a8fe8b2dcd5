//! The grammar engine, within bounds: its limits, its own stack, its failures as errors.

use std::sync::{Arc, OnceLock};

use llguidance::api::{GrammarInit, ParserLimits, TopLevelGrammar};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;
use toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

use crate::GrammarError;

/// Bytes of stack for work that recurses as deep as a schema: frames of a debug build, a hundred levels, several each.
const STACK_BYTES: usize = 256 << 20;

/// A grammar as far as it can be built without a vocabulary.
pub(crate) type Built = GrammarInit;

/// What one compilation and one mask may cost. Fuel is counted and not timed: the same schema has the same fate
/// everywhere.
pub(crate) fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 2000,
        // About 20 ms.
        initial_lexer_fuel: 1_000_000,
        // About 35 ms, and 10 ms.
        step_lexer_fuel: 500_000,
        step_max_items: 200_000,
        // At most 200 MB.
        max_lexer_states: 100_000,
        max_grammar_size: 200_000,
        precompute_large_lexemes: true,
        // The text so far is content, and no error may repeat it (I9).
        verbose_errors: false,
    }
}

/// Runs what recurses where it cannot exhaust the caller's stack, and turns a panic into words.
pub(crate) fn on_a_stack_of_its_own<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(String::from("schema-grammar"))
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| format!("no thread could be started: {error}"))?;
        thread.join().map_err(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
        })
    })
}

/// Builds the grammar of a schema, and proves with a vocabulary of single bytes that a generation could start.
///
/// It recurses as deep as the schema: see [`on_a_stack_of_its_own`].
pub(crate) fn build(schema: Value) -> Result<Built, GrammarError> {
    build_within(schema, limits())
}

fn build_within(schema: Value, limits: ParserLimits) -> Result<Built, GrammarError> {
    let serialized = GrammarInit::Serialized(TopLevelGrammar::from_json_schema(schema));
    let (grammar, lexer) =
        serialized.to_internal(None, limits).map_err(|error| in_our_words(&error.to_string()))?;
    let built = GrammarInit::Internal(grammar, lexer);
    let factory = bytes().as_ref().map_err(|error| GrammarError::Engine(error.clone()))?;
    // The first token is as hard as most.
    begin(factory, &built)?.compute_mask_or_eos().map_err(|error| in_our_words(&error.to_string()))?;
    Ok(built)
}

/// As [`build`], for a part of a schema, and within less.
pub(crate) fn build_alone(schema: &Value) -> Result<Built, GrammarError> {
    let mut copy = schema.clone();
    if let Value::Object(keywords) = &mut copy {
        keywords.insert(String::from("x-guidance"), serde_json::json!({"whitespace_flexible": false}));
    }
    build_within(copy, ParserLimits { initial_lexer_fuel: 200_000, ..limits() })
}

/// Starts a generation.
pub(crate) fn start(factory: &ParserFactory, built: &Built) -> Result<Matcher, GrammarError> {
    on_a_stack_of_its_own(|| begin(factory, built)).map_err(GrammarError::Engine)?
}

fn begin(factory: &ParserFactory, built: &Built) -> Result<Matcher, GrammarError> {
    let mut matcher = Matcher::new(factory.create_parser_from_init_default(built.clone()));
    match matcher.is_accepting() {
        Ok(_) => Ok(matcher),
        Err(error) => Err(in_our_words(&error.to_string())),
    }
}

/// What the engine says, as one of our errors. Its own words are kept to one line.
pub(crate) fn in_our_words(error: &str) -> GrammarError {
    let line: String = error.lines().next().unwrap_or_default().chars().take(200).collect();
    let lower = error.to_lowercase();
    let beyond = [
        "unable to determine",
        "too complex",
        "too large",
        "too many",
        "too big",
        "limit",
        "fuel",
        "exceed",
        "max is",
    ];
    if beyond.iter().any(|words| lower.contains(words)) {
        GrammarError::TooComplex(line)
    } else if lower.contains("unsatisfiable") {
        GrammarError::Unsatisfiable(line)
    } else if lower.contains("noextensionbias") || lower.contains("no_extension") {
        GrammarError::DeadEnd
    } else {
        GrammarError::Engine(line)
    }
}

/// A vocabulary of the 256 bytes and an end.
struct Bytes(TokTrie);

impl TokenizerEnv for Bytes {
    fn tok_trie(&self) -> &TokTrie {
        &self.0
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        bytes.iter().copied().map(TokenId::from).collect()
    }
}

fn bytes() -> &'static Result<ParserFactory, String> {
    static FACTORY: OnceLock<Result<ParserFactory, String>> = OnceLock::new();
    FACTORY.get_or_init(|| {
        let mut words: Vec<Vec<u8>> = (0..=254_u8).map(|byte| vec![byte]).collect();
        words.push(Vec::new());
        words.push(b"\xff<end>".to_vec());
        let env: TokEnv = Arc::new(Bytes(TokTrie::from(&TokRxInfo::new(257, 256), &words)));
        let mut factory = ParserFactory::new_simple(&env).map_err(|error| error.to_string())?;
        factory.quiet();
        *factory.limits_mut() = limits();
        Ok(factory)
    })
}
