//! Makes foreign text fit to be shown: names, command lines, the names that other processes give themselves.
//!
//! Output of children that is passed on as bytes (events, captures, reports) is not changed.

use std::fmt::Write;

/// Puts text on one line: characters that would move the cursor, ring, colour, hide or reorder it become escapes.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            let _ = write!(cleaned, "{}", character.escape_default());
        } else {
            cleaned.push(character);
        }
    }
    cleaned
}

/// Returns whether it is a character without a shape. Such characters break lines, change the direction of the text
/// after them, or only make two texts different that look alike. The two joiners are not among them: scripts and
/// pictures need them.
pub(crate) fn is_invisible(character: char) -> bool {
    is_steering(character)
        || matches!(character, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
        || matches!(character, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns whether it breaks lines or changes the direction of the text after it.
pub(crate) fn is_steering(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes a line for a log without the marks that build services take for commands to them: `::error` at its start
/// (GitHub), `##[…]`, `##vso[…]` and `##teamcity[…]` anywhere. A space makes a mark text.
pub(crate) fn without_commands(line: &str) -> String {
    let text = line.trim_start();
    let indent = &line[..line.len() - text.len()];
    let mut shown = indent.to_owned();
    let mut rest = text;
    if let Some(after) = text.strip_prefix("::") {
        shown.push_str(": :");
        rest = after;
    }
    while let Some(at) = rest.find("##") {
        let (before, marks) = rest.split_at(at + 1);
        shown.push_str(before);
        let word = marks[1..].trim_start_matches(|c: char| c.is_ascii_alphabetic());
        if word.starts_with('[') {
            shown.push(' ');
        }
        rest = marks;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_steers_is_written_as_an_escape() {
        assert_eq!(
            clean("a\nb\x1b[8mc\u{202e}d\u{2067}\u{200f}\u{61c}"),
            "a\\nb\\u{1b}[8mc\\u{202e}d\\u{2067}\\u{200f}\\u{61c}"
        );
        assert_eq!(
            clean("\u{200b}\u{ad}\u{feff}\u{e0041}\u{85}\u{2028}"),
            "\\u{200b}\\u{ad}\\u{feff}\\u{e0041}\\u{85}\\u{2028}"
        );
        let kept = "naïve 建造 👩\u{200d}🔧 نمی\u{200c}خواهم";
        assert_eq!(clean(kept), kept);
    }

    #[test]
    fn what_a_log_would_take_for_a_command_is_text() {
        for (line, shown) in [
            ("::error file=a::b", ": :error file=a::b"),
            ("    ::set-output name=a::b", "    : :set-output name=a::b"),
            ("a | ##[error]b", "a | # #[error]b"),
            ("a | ##vso[task.x]b ##teamcity[c]", "a | # #vso[task.x]b # #teamcity[c]"),
            ("###[a", "## #[a"),
            ("std::fmt ## [a] ##b", "std::fmt ## [a] ##b"),
            ("a::b", "a::b"),
        ] {
            assert_eq!(without_commands(line), shown);
        }
    }
}
