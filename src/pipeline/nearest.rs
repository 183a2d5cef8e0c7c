//! The known word that was probably meant.

/// Words longer than this are not compared: the work grows with the product of both lengths.
const LONGEST: usize = 64;

/// A word and a longer one that starts with it (`timeout`, `timeout_ms`) are near from so many characters on.
const SHORTEST_PREFIX: usize = 3;

/// The first of the nearest of `known`, if one is near enough to be a slip of the fingers: a third of its
/// characters wrong, missing, too many or swapped with their neighbour, or one the beginning of the other.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = letters(word)?;
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let Some(letters) = letters(candidate) else { continue };
        let most = (word.len().max(letters.len()) / 3).max(1);
        let mut distance = distance(&word, &letters);
        if distance > most && is_beginning(&word, &letters) {
            distance = most;
        }
        // With nothing in common it is no slip, however short.
        let related = distance < word.len().max(letters.len());
        if related && distance <= most && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn letters(word: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = word.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
    (!letters.is_empty() && letters.len() <= LONGEST).then_some(letters)
}

fn is_beginning(a: &[char], b: &[char]) -> bool {
    a.len().min(b.len()) >= SHORTEST_PREFIX && (a.starts_with(b) || b.starts_with(a))
}

/// Changes that lead from one to the other (optimal string alignment): insert, delete, replace, swap neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_what_was_meant_and_other_words_nothing() {
        let known = ["build", "test", "timeout_ms", "lint", "Öl", "a"];
        let meant = |word| nearest(word, known.into_iter());
        assert_eq!(meant("biuld"), Some("build"));
        assert_eq!(meant("Build"), Some("build"));
        assert_eq!(meant("tests"), Some("test"));
        assert_eq!(meant("timeout_s"), Some("timeout_ms"));
        assert_eq!(meant("timeout"), Some("timeout_ms"));
        assert_eq!(meant("öl"), Some("Öl"));
        assert_eq!(meant("deploy"), None);
        assert_eq!(meant("b"), None);
        assert_eq!(meant(""), None);
        assert_eq!(meant(&"build".repeat(100_000)), None);
    }

    #[test]
    fn the_first_of_equally_near_words_is_named() {
        assert_eq!(nearest("cat", ["bat", "rat", "cats"].into_iter()), Some("bat"));
    }
}
