//! Takes control sequences out of a child's output, so that it can stand between other lines.

use crate::printable::is_steering;

/// The treatment of colours in a line of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// Colours and weights (SGR sequences) are kept, and reset at the end of the line.
    Kept,
    /// Only text is left.
    Cut,
}

/// Makes a line of output as it is shown: bytes that are not UTF-8 are replaced, only the text after the last carriage
/// return counts (as on a terminal, where it overwrites the text before), and control sequences are cut, except for
/// colours if those are kept. Cursor movements, titles, clipboards, queries, hidden text and changes of direction do
/// not get through.
pub(super) fn line(bytes: &[u8], colours: Colours) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    let text = text.rsplit('\r').next().unwrap_or_default();
    let mut shown = String::with_capacity(text.len());
    let mut coloured = false;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\t' => shown.push('\t'),
            '\u{1b}' => {
                let before = rest.clone();
                let kept = sequence(&mut rest).filter(|_| colours == Colours::Kept);
                if let Some(length) = kept {
                    shown.push('\u{1b}');
                    shown.extend(before.take(length));
                    coloured = true;
                }
            }
            // The one-character form of ESC [.
            '\u{9b}' => {
                skip_csi(&mut rest);
            }
            _ if character.is_control() || is_steering(character) => {}
            _ => shown.push(character),
        }
    }
    if coloured {
        shown.push_str("\u{1b}[0m");
    }
    shown
}

/// Skips the sequence after an ESC. Returns the length of a colour (ESC [ digits m); None for others.
fn sequence(rest: &mut std::str::Chars<'_>) -> Option<usize> {
    match rest.next()? {
        '[' => {
            let parameters = rest.as_str();
            skip_csi(rest).filter(|length| !hides(&parameters[..length - 1])).map(|length| length + 1)
        }
        // A string, up to BEL or ESC \: operating system command, device control, privacy, application.
        ']' | 'P' | '^' | '_' | 'X' => {
            let mut before = '\0';
            for character in rest.by_ref() {
                if character == '\u{7}' || (before == '\u{1b}' && character == '\\') {
                    break;
                }
                before = character;
            }
            None
        }
        // With intermediate characters, such as the choice of a character set.
        ' '..='/' => {
            rest.find(|character| !(' '..='/').contains(character));
            None
        }
        _ => None,
    }
}

/// Returns whether concealed text (8) is among the parameters of a colour. An 8 that is part of a colour's number does
/// not count.
fn hides(parameters: &str) -> bool {
    let mut parameters = parameters.split(';');
    while let Some(parameter) = parameters.next() {
        match parameter.split(':').next().unwrap_or_default().trim_start_matches('0') {
            "8" => return true,
            // 38;5;N and 38;2;R;G;B, of the foreground, the background and an underline.
            "38" | "48" | "58" if !parameter.contains(':') => {
                let more = match parameters.next().unwrap_or_default().trim_start_matches('0') {
                    "5" => 1,
                    "2" => 3,
                    _ => 0,
                };
                parameters.by_ref().take(more).for_each(drop);
            }
            _ => {}
        }
    }
    false
}

/// Skips the rest of a control sequence. Returns the length of a colour; None for others.
fn skip_csi(rest: &mut std::str::Chars<'_>) -> Option<usize> {
    let mut plain = true;
    for (length, character) in rest.by_ref().enumerate() {
        match character {
            '0'..='9' | ';' | ':' => {}
            'm' if plain => return Some(length + 1),
            '@'..='~' => return None,
            _ => plain = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_stay_where_they_are_kept_and_everything_else_is_cut() {
        let both = |bytes: &[u8]| (line(bytes, Colours::Kept), line(bytes, Colours::Cut));
        let same = |text: &str| (text.to_owned(), text.to_owned());
        assert_eq!(both(b"\x1b[1;31mred\x1b[0m"), ("\x1b[1;31mred\x1b[0m\x1b[0m".into(), "red".into()));
        assert_eq!(both(b"a\x1b[2J\x1b[10;5Hb\x1b[?25lc\x1b[>0md"), same("abcd"));
        assert_eq!(both(b"a\x1b]0;title\x07b\x1b]52;c;eA==\x1b\\c\x1bPq\x1b\\d"), same("abcd"));
        assert_eq!(both(b"a\x1b(Bb\x1b7c\x1bMd"), same("abcd"));
        assert_eq!(both("a\u{9b}2Jb\u{7}\u{8}c".as_bytes()), same("abc"));
        assert_eq!(both(b"10%\r50%\r100%\r"), same("100%"));
        assert_eq!(both(b"tab\there \xff"), same("tab\there \u{fffd}"));
        assert_eq!(both(b"open \x1b[31"), same("open "));
        assert_eq!(both(b"open \x1b]0;title"), same("open "));
        assert_eq!(both(b"\x1b"), same(""));
        assert_eq!(both(b"\x1b[8ma\x1b[0;08mb\x1b[38;5;1;8mc\x1b[1;8:1md"), same("abcd"));
        for colour in ["38;5;8", "48;2;8;8;8", "38:5:8", "1;38;5;8;4", "28", "88"] {
            assert_eq!(both(format!("\x1b[{colour}ma").as_bytes()).0, format!("\x1b[{colour}ma\x1b[0m"));
        }
        assert_eq!(both("a\u{202e}b\u{2066}c\u{200f}d\u{2028}e\u{200d}".as_bytes()), same("abcde\u{200d}"));
    }

    proptest! {
        #[test]
        fn only_colours_ever_get_through(bytes in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(0x1b), Just(b'['), Just(b']'), Just(b'm'), Just(b';'), Just(b'\r')], 0..60)) {
            prop_assert!(!line(&bytes, Colours::Cut).chars().any(|c| c.is_control() && c != '\t'));
            let kept = line(&bytes, Colours::Kept);
            let mut parts = kept.split('\u{1b}');
            prop_assert!(!parts.next().unwrap_or_default().chars().any(|c| c.is_control() && c != '\t'));
            for part in parts {
                let (colour, text) = part.split_once('m').expect("ends");
                prop_assert!(colour.starts_with('[') && colour[1..].chars().all(|c| "0123456789;:".contains(c)));
                prop_assert!(!text.chars().any(|c| c.is_control() && c != '\t'));
            }
        }
    }
}
