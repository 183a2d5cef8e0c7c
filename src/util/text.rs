//! Foreign text on one line.

/// Puts the text on one line: line breaks and control characters become spaces. It is cut after `most` bytes.
#[cfg(feature = "health")]
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let text = text.trim();
    let cut = if text.len() > most { text.floor_char_boundary(most) } else { text.len() };
    let mut line = String::with_capacity(cut + 3);
    let mut is_after_break = false;
    for c in text[..cut].chars() {
        let is_break = c.is_control() || c == '\u{2028}' || c == '\u{2029}';
        // "\r\n" is one break.
        if !(is_break && is_after_break) {
            line.push(if is_break { ' ' } else { c });
        }
        is_after_break = is_break;
    }
    if cut < text.len() {
        line.push('…');
    }
    line
}
