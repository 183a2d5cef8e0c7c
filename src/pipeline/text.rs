//! Times and names for people, in reports and in the progress view.

pub(super) use crate::printable::clean;
pub(super) use crate::util::duration::shown as duration;

/// How many characters of a name messages and the progress view show: a name may be as long as memory holds.
const SHOWN: usize = 200;

/// Writes a name for a message: in quotation marks, escaped, and cut if it is long.
pub(super) fn quoted(name: &str) -> String {
    quoted_start(name, SHOWN)
}

/// Like [`quoted`], with at most this many characters.
pub(super) fn quoted_start(text: &str, most: usize) -> String {
    match start(text, most) {
        (whole, "") => format!("{whole:?}"),
        (start, _) => format!("{start:?}…"),
    }
}

/// Like [`clean`], and cuts the name if it is long.
pub(super) fn short(name: &str) -> String {
    match start(name, SHOWN) {
        (whole, "") => clean(whole),
        (start, _) => clean(start) + "…",
    }
}

/// Splits a text into its first characters and the rest.
fn start(text: &str, most: usize) -> (&str, &str) {
    text.split_at(text.char_indices().nth(most).map_or(text.len(), |(at, _)| at))
}

/// Counts the columns of a terminal that a text takes at most. Wide characters are those of Unicode's East Asian Width
/// (W and F). Combining characters in common use take none; others count as one. The selector that asks for the picture
/// of a character, which makes it wide on some terminals, counts as one too.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

fn width(character: char) -> usize {
    match character {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200d}' | '\u{20d0}'..='\u{20f0}' | '\u{fe00}'..='\u{fe0e}' => 0,
        _ if is_wide(character) => 2,
        _ => 1,
    }
}

fn is_wide(character: char) -> bool {
    match character {
        ..'\u{1100}' => false,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{303e}' | '\u{3041}'..='\u{a4cf}' | '\u{a960}'..='\u{a97c}' => true,
        '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe10}'..='\u{fe19}' | '\u{fe30}'..='\u{fe6f}' => true,
        '\u{ff01}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{16fe0}'..='\u{1b2ff}' | '\u{20000}'..='\u{3fffd}' => {
            true
        }
        // Pictures. Those of the basic plane stand among narrow signs.
        '\u{231a}' | '\u{231b}' | '\u{2329}' | '\u{232a}' | '\u{23e9}'..='\u{23ec}' | '\u{23f0}' | '\u{23f3}' => true,
        '\u{25fd}' | '\u{25fe}' | '\u{2614}' | '\u{2615}' | '\u{2648}'..='\u{2653}' | '\u{267f}' | '\u{2693}' => true,
        '\u{26a1}' | '\u{26aa}' | '\u{26ab}' | '\u{26bd}' | '\u{26be}' | '\u{26c4}' | '\u{26c5}' | '\u{26ce}' => true,
        '\u{26d4}' | '\u{26ea}' | '\u{26f2}' | '\u{26f3}' | '\u{26f5}' | '\u{26fa}' | '\u{26fd}' | '\u{2705}' => true,
        '\u{270a}' | '\u{270b}' | '\u{2728}' | '\u{274c}' | '\u{274e}' | '\u{2753}'..='\u{2755}' | '\u{2757}' => true,
        '\u{2795}'..='\u{2797}' | '\u{27b0}' | '\u{27bf}' | '\u{2b1b}' | '\u{2b1c}' | '\u{2b50}' | '\u{2b55}' => true,
        '\u{1f004}' | '\u{1f0cf}' | '\u{1f18e}' | '\u{1f191}'..='\u{1f19a}' | '\u{1f200}'..='\u{1f64f}' => true,
        '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f7e0}'..='\u{1f7ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{1fa70}'..='\u{1faff}' => true,
        _ => false,
    }
}

/// Cuts the text to at most this many columns. If it has more, `…` replaces its end.
pub(super) fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut room = most;
    let mut kept = String::new();
    for character in text.chars() {
        // One column is for the ellipsis.
        if width(character) + 1 > room {
            break;
        }
        room -= width(character);
        kept.push(character);
    }
    if room > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[31m\r\n\u{202e}b"), "a\\u{1b}[31m\\r\\n\\u{202e}b");
        assert_eq!(clean("Größe 建 ✓"), "Größe 建 ✓");
    }

    #[test]
    fn pictures_and_wide_letters_take_two_columns() {
        for wide in "漢あ가Ａ✅❌⏳⚡⭐🚀🧪🟢🪝🀄🈵".chars() {
            assert_eq!(width(wide), 2, "{wide}");
        }
        for narrow in "aß…✓✗│⚠→Ж".chars() {
            assert_eq!(width(narrow), 1, "{narrow}");
        }
        assert_eq!(columns("e\u{301}"), 1);
        // It is as wide as on the terminals that show the picture.
        assert_eq!(columns("⚠\u{fe0f}"), 2);
    }

    #[test]
    fn long_names_are_cut() {
        let long = "ä".repeat(1_000_000);
        assert_eq!(quoted(&long), format!("\"{}\"…", "ä".repeat(SHOWN)));
        assert_eq!(short(&long), format!("{}…", "ä".repeat(SHOWN)));
        let fits = "\n".repeat(SHOWN);
        assert_eq!(quoted(&fits), format!("{fits:?}"));
        assert_eq!(short(&fits), "\\n".repeat(SHOWN));
    }

    proptest! {
        #[test]
        fn a_cut_text_fits_and_begins_as_it_did(text in "\\PC{0,40}", most in 0usize..50) {
            let shown = cut(&text, most);
            prop_assert!(columns(&shown) <= most);
            prop_assert!(shown == text || text.starts_with(shown.trim_end_matches('…')));
        }

        #[test]
        fn a_clean_text_is_one_line_without_controls(text in any::<String>()) {
            prop_assert!(!clean(&text).chars().any(|c| c.is_control()));
        }
    }
}
