//! Signals by name or number.

use super::field::Field;
use crate::error::Result;
use crate::sys::signal;

/// Reads a signal: a number, or a name with or without its SIG.
pub(super) fn signal_number(field: &Field<'_>) -> Result<i32> {
    if !field.is_text() {
        let number = field.whole(1, signal::MAX as u64)?;
        return i32::try_from(number).map_err(|_| field.expected("a signal"));
    }
    let text = field.text()?;
    match signal::number(text).or_else(|| signal::number(&format!("SIG{text}"))) {
        Some(number) => Ok(number),
        None => {
            // The suggestion is written like the word: with its SIG, or without.
            let skipped = if text.starts_with("SIG") { 0 } else { "SIG".len() };
            Err(field.unknown(text, "signal", signal::names().map(|name| &name[skipped..])))
        }
    }
}
