//! "Did you mean": the nearest of the known words.

/// The known word nearest to `word`, if it is near enough to be a slip of the fingers.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    let word = word.to_ascii_lowercase();
    known
        .map(|candidate| (strsim::osa_distance(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `a, b or c`.
pub(crate) fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    match items.pop() {
        None => String::new(),
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} or {last}", items.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slips_are_corrected() {
        let known = ["instances", "env", "script"];
        assert_eq!(nearest("instanses", known.into_iter()), Some("instances"));
        assert_eq!(nearest("evn", known.into_iter()), Some("env"));
        assert_eq!(nearest("replicas", known.into_iter()), None);
        assert_eq!(nearest("x", known.into_iter()), None);
    }
}
