//! Output as UTF-8: what is no character is replaced, and no event ends within one.

/// What stands for bytes that are no UTF-8: U+FFFD.
const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();
/// The longest character.
pub(super) const LONGEST: usize = 4;

/// Returns how many bytes at the end are the beginning of a character that may go on.
pub(super) fn unfinished(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(LONGEST - 1)..];
    let begun = tail.iter().rposition(|byte| byte & 0xC0 != 0x80).map_or(0, |at| tail.len() - at);
    match std::str::from_utf8(&bytes[bytes.len() - begun..]) {
        // Only an end that is cut off has no length.
        Err(error) if error.error_len().is_none() => begun,
        _ => 0,
    }
}

/// Returns the last place up to `most` at which a character ends; `most` if there is none nearby.
pub(super) fn boundary(bytes: &[u8], most: usize) -> usize {
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    (most.saturating_sub(LONGEST - 1).max(1)..=most).rev().find(|at| !is_inside(*at)).unwrap_or(most)
}

/// The pieces of a text with replacements.
pub(super) fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let replacement: &[u8] = if chunk.invalid().is_empty() { &[] } else { REPLACEMENT };
        [chunk.valid().as_bytes(), replacement]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_unfinished_character_is_told_from_a_wrong_one() {
        for (bytes, length) in [
            (&b""[..], 0),
            (b"abc", 0),
            ("ä".as_bytes(), 0),
            (b"a\xC3", 1),
            (b"\xE2\x82", 2),
            (b"\xF0\x9F\x92", 3),
            (b"\xF0\x9F\x92\xA9", 0),
            (b"\x80\x80\x80", 0),
            (b"\xC3\xC3", 1),
            (b"\xFF", 0),
            (b"\xE2\x28", 0),
        ] {
            assert_eq!(unfinished(bytes), length, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_in_pieces_is_the_text(text in "\\PC{0,40}", at in 0usize..100) {
            let bytes = text.as_bytes();
            let at = at.min(bytes.len());
            let cut = at - unfinished(&bytes[..at]);
            prop_assert!(text.is_char_boundary(cut) && at - cut < LONGEST);
            if at > LONGEST && at < bytes.len() {
                prop_assert!(text.is_char_boundary(boundary(bytes, at)));
            }
        }

        #[test]
        fn pieces_are_what_the_standard_library_makes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let text = pieces(&bytes).collect::<Vec<_>>().concat();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes).into_owned().into_bytes());
        }
    }
}
