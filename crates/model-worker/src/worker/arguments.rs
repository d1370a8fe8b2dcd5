//! What the process is started with.

use std::ffi::OsString;
use std::path::PathBuf;

/// Threads that one worker may use.
const MAX_THREADS: usize = 256;

pub(super) struct Arguments {
    pub(super) weights: PathBuf,
    pub(super) sha256: Option<String>,
    pub(super) context_tokens: Option<usize>,
    pub(super) threads: usize,
    pub(super) runtime: RuntimeName,
}

/// Who computes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RuntimeName {
    /// Our own forward pass.
    Own,
    /// llama.cpp, where it is built in.
    #[cfg(feature = "llamacpp")]
    LlamaCpp,
}

impl RuntimeName {
    /// Who computes unless something else is asked for: whoever builds llama.cpp in wants it.
    #[cfg(feature = "llamacpp")]
    const DEFAULT: Self = Self::LlamaCpp;
    #[cfg(not(feature = "llamacpp"))]
    const DEFAULT: Self = Self::Own;

    fn read(name: &str) -> Result<Self, String> {
        match name {
            "own" => Ok(Self::Own),
            #[cfg(feature = "llamacpp")]
            "llamacpp" => Ok(Self::LlamaCpp),
            #[cfg(not(feature = "llamacpp"))]
            "llamacpp" => Err(String::from(
                "this program was built without llama.cpp: build it with `--features llamacpp`, or ask for the runtime `own`",
            )),
            _ => Err(String::from("`--runtime` must be `own` or `llamacpp`")),
        }
    }
}

impl Arguments {
    /// Reads them, or says how they should be.
    pub(super) fn read(mut args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let (mut weights, mut sha256, mut context_tokens) = (None, None, None);
        let mut runtime = RuntimeName::DEFAULT;
        while let Some(name) = args.next() {
            let name = name.to_string_lossy().into_owned();
            let value = args.next().ok_or_else(|| format!("`{name}` needs a value"))?;
            let text = || value.to_str().map(str::to_owned).ok_or_else(|| format!("`{name}` is not text"));
            match name.as_str() {
                "--weights" => weights = Some(PathBuf::from(value)),
                "--sha256" => {
                    let digest = text()?;
                    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        return Err(String::from("`--sha256` must be 64 hexadecimal digits"));
                    }
                    sha256 = Some(digest);
                }
                "--context-tokens" => {
                    let tokens = text()?.parse().ok().filter(|tokens| *tokens > 0);
                    context_tokens = Some(
                        tokens.ok_or_else(|| String::from("`--context-tokens` must be a number above 0"))?,
                    );
                }
                "--runtime" => runtime = RuntimeName::read(&text()?)?,
                _ => return Err(format!("`{name}` is no argument of a worker")),
            }
        }
        let weights = weights.ok_or_else(|| String::from("`--weights` must name a GGUF file"))?;
        Ok(Self { weights, sha256, context_tokens, threads: threads(), runtime })
    }
}

/// Fixed before the process started, as the pool that they make up is.
fn threads() -> usize {
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|threads| threads.parse().ok());
    asked.unwrap_or(1).clamp(1, MAX_THREADS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(args: &[&str]) -> String {
        Arguments::read(args.iter().map(OsString::from)).err().unwrap_or_default()
    }

    #[test]
    fn arguments_that_cannot_be_used_say_how_they_should_be() {
        assert_eq!(fault(&[]), "`--weights` must name a GGUF file");
        assert_eq!(fault(&["--weights"]), "`--weights` needs a value");
        assert_eq!(fault(&["--wights", "x"]), "`--wights` is no argument of a worker");
        assert_eq!(fault(&["--weights", "x", "--sha256", "zz"]), "`--sha256` must be 64 hexadecimal digits");
        let context = "`--context-tokens` must be a number above 0";
        assert_eq!(fault(&["--weights", "x", "--context-tokens", "0"]), context);
        assert_eq!(fault(&["--weights", "x", "--context-tokens", "99999999999999999999"]), context);
        assert_eq!(fault(&["--weights", "x", "--runtime", "gpu"]), "`--runtime` must be `own` or `llamacpp`");
        assert_eq!(fault(&["--weights", "x", "--runtime", "own"]), "");
        let is_built_in = fault(&["--weights", "x", "--runtime", "llamacpp"]).is_empty();
        assert_eq!(is_built_in, cfg!(feature = "llamacpp"));
        assert_eq!(fault(&["--weights", "x"]), "");
    }
}
