//! The marker by which a call is known to belong to a task of a run: `[ref:ENDING/TASK]`.
//!
//! A model's side sees prompts and nothing else, so whose attempt a call is must stand in the prompt.

/// What a marker begins with.
const OPENING: &str = "[ref:";

/// The marker of `task` in the run with this `ending`, to be put at the end of the task's prompt.
pub fn marker(ending: &str, task: &str) -> String {
    format!("{OPENING}{ending}/{task}]")
}

/// The last marker in `prompt`: the ending, and everything behind the stroke.
///
/// The last, because what comes before it may be another task's output, and an output may hold anything. Where the
/// task's name ends is for whoever knows the names to say: a name may hold a bracket.
pub(super) fn last_marker(prompt: &str) -> Option<(&str, &str)> {
    let (_, behind) = prompt.rsplit_once(OPENING)?;
    behind.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_marker_counts() {
        let prompt = format!(
            "you said {}; now answer {} in JSON",
            marker("a1b2c", "first"),
            marker("a1b2c", "second")
        );
        assert_eq!(last_marker(&prompt), Some(("a1b2c", "second] in JSON")));
    }

    #[test]
    fn a_prompt_without_marker_has_none() {
        for prompt in ["", "[ref:", "[ref:abc]", "ref:abc/task]"] {
            assert_eq!(last_marker(prompt), None, "{prompt}");
        }
    }
}
