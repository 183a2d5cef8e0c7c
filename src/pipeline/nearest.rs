//! [`nearest`]: the known word that was probably meant.

/// The longest word that is compared, in characters: the work grows with the product of both lengths.
const LONGEST: usize = 64;

/// How many characters a word needs so that a longer one that starts with it is near (`timeout`, `timeout_ms`).
const SHORTEST_PREFIX: usize = 3;

/// Finds the nearest of the words in `known`, the first of several, if the difference is small enough for a typing
/// mistake: at most a third of its characters are wrong, missing, added or swapped with their neighbour, or one word is
/// the beginning of the other.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = letters(word)?;
    let mut rows = Rows::default();
    // Two variables instead of an Option of both: optimised code reads the distance of a None, which valgrind reports.
    let (mut best, mut least) = (None, usize::MAX);
    for candidate in known {
        let Some(letters) = letters(candidate) else { continue };
        let near = (word.len().max(letters.len()) / 3).max(1);
        let most = near.min(least - 1);
        let slip = rows.distance(&word, &letters, most);
        let beginning = || (near <= most && is_beginning(&word, &letters)).then_some(near);
        let Some(distance) = slip.or_else(beginning) else { continue };
        // Words that have nothing in common are not near, however short they are.
        if distance < word.len().max(letters.len()) {
            (best, least) = (Some(candidate), distance);
        }
        if distance == 0 {
            break;
        }
    }
    best
}

fn letters(word: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = word.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
    (!letters.is_empty() && letters.len() <= LONGEST).then_some(letters)
}

fn is_beginning(a: &[char], b: &[char]) -> bool {
    a.len().min(b.len()) >= SHORTEST_PREFIX && (a.starts_with(b) || b.starts_with(a))
}

/// Three rows of the table of [`Rows::distance`], kept from one pair of words to the next, because there may be very
/// many pairs.
#[derive(Default)]
struct Rows {
    before: Vec<usize>,
    last: Vec<usize>,
    row: Vec<usize>,
}

impl Rows {
    /// Counts the changes that lead from one word to the other (optimal string alignment: insert, delete, replace, swap
    /// neighbours). None if there are more than `most`.
    fn distance(&mut self, a: &[char], b: &[char], most: usize) -> Option<usize> {
        // Most names of a pipeline begin like others, and many end like others.
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[same..], &b[same..]);
        let same = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
        if a.len().abs_diff(b.len()) > most || differing(a, b) > most {
            return None;
        }
        let Rows { before, last, row } = self;
        last.clear();
        last.extend(0..=b.len());
        before.clone_from(last);
        for i in 0..a.len() {
            row.clear();
            row.push(i + 1);
            for j in 0..b.len() {
                let replaced = last[j] + usize::from(a[i] != b[j]);
                let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
                if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                    least = least.min(before[j - 1] + 1);
                }
                row.push(least);
            }
            std::mem::swap(before, last);
            std::mem::swap(last, row);
        }
        Some(last[b.len()]).filter(|distance| *distance <= most)
    }
}

/// Counts how many letters of one word are not in the other, in any order. The distance is never less.
fn differing(a: &[char], b: &[char]) -> usize {
    // Letters that share a counter can hide a difference, but never make one.
    let mut counts = [0i16; 64];
    a.iter().for_each(|letter| counts[*letter as usize % 64] += 1);
    b.iter().for_each(|letter| counts[*letter as usize % 64] -= 1);
    let (more, less) = counts.iter().fold((0, 0), |(more, less), count| (more + count.max(&0), less - count.min(&0)));
    usize::from(more.max(less).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    /// Returns the distance as the definition says, without anything that saves work.
    fn plain(a: &[char], b: &[char]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = if i == 0 || j == 0 {
                    i + j
                } else {
                    let replaced = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    let swap = if swapped { table[i - 2][j - 2] + 1 } else { usize::MAX };
                    replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1).min(swap)
                };
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn a_distance_is_that_of_the_definition_up_to_its_bound(a in "[abcä]{0,9}", b in "[abcä]{0,9}", most in 0usize..9) {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let exact = plain(&a, &b);
            let mut rows = Rows::default();
            // Once more, because nothing may be left of the words before.
            rows.distance(&b, &a, 9);
            prop_assert_eq!(rows.distance(&a, &b, most), (exact <= most).then_some(exact));
        }
    }

    #[test]
    fn the_first_of_equally_near_words_is_named() {
        assert_eq!(nearest("cat", ["bat", "rat", "cats"].into_iter()), Some("bat"));
    }
}
