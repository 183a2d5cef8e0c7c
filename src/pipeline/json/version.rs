//! The version of a document.

use super::field::Field;
use crate::error::Result;

/// The only version so far.
const VERSION: u64 = 1;

/// Refuses other versions. This comes first, because fields that a later version adds are no mistakes.
pub(super) fn check_version(document: &Field<'_>) -> Result<()> {
    let version = document.map("an object")?.required("version")?;
    let number = version.whole(0, u64::MAX)?;
    if number == VERSION {
        return Ok(());
    }
    Err(version.wrong(format_args!("{number} is not known, known is {VERSION}")))
}
