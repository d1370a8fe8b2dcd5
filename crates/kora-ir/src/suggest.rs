//! "did you mean": the known word nearest to an unknown one.

/// The nearest of `known`, if it is near enough to be a slip of the pen.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Words this long are no slips, and distances cost the product of the lengths.
    if word.len() > 128 {
        return None;
    }
    let most = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .take(10_000)
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= most * 4)
        .map(|candidate| {
            let distance = if candidate.eq_ignore_ascii_case(word) {
                0
            } else {
                strsim::osa_distance(&candidate.to_lowercase(), &word.to_lowercase())
            };
            (distance, candidate)
        })
        .filter(|&(distance, _)| distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", or the whole list if nothing is near.
pub(crate) fn help(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("one of {}", list(known)),
    }
}

/// "`a`, `b` or `c`".
pub(crate) fn list(words: &[&str]) -> String {
    match words {
        [] => String::from("nothing"),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_mended_and_other_words_are_not_guessed_at() {
        assert_eq!(nearest("depndencies", ["dependencies", "defaults"]), Some("dependencies"));
        assert_eq!(nearest("Model", ["model"]), Some("model"));
        assert_eq!(nearest("banana", ["model", "aggregation"]), None);
    }
}
