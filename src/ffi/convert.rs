//! Arguments of C as values of the core: handles, outputs, bytes, text, times. A wrong value becomes an error that
//! names the argument.

use std::ffi::{CString, OsStr, c_char};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// The operation of a call, such as "spawn", which its errors name.
#[derive(Clone, Copy)]
pub(super) struct Operation(pub(super) &'static str);

impl Operation {
    /// Makes an INVALID_ARGUMENT with this message.
    pub(super) fn invalid(self, message: impl Into<String>) -> Error {
        Error::invalid(self.0, message)
    }

    /// Makes the error of an option value that this library does not know.
    pub(super) fn unknown(self, name: &str, value: impl std::fmt::Display) -> Error {
        self.invalid(format!("{name}: unknown value {value}"))
    }

    /// Takes a handle, which must not be NULL.
    pub(super) fn handle<'a, T>(self, name: &str, handle: Option<&'a T>) -> Result<&'a T> {
        handle.ok_or_else(|| self.is_null(name))
    }

    /// Takes a builder, which must not be NULL.
    pub(super) fn builder<'a, T>(self, name: &str, builder: Option<&'a mut T>) -> Result<&'a mut T> {
        builder.ok_or_else(|| self.is_null(name))
    }

    /// Takes an output, which must not be NULL. It is checked before anything is done that cannot be undone.
    pub(super) fn out<T>(self, out: Option<&mut MaybeUninit<T>>) -> Result<&mut MaybeUninit<T>> {
        out.ok_or_else(|| self.is_null("out"))
    }

    pub(super) fn is_null(self, name: &str) -> Error {
        self.invalid(format!("{name}: is NULL"))
    }

    /// Takes bytes as a pointer and a length; NULL with 0 is empty.
    ///
    /// # Safety
    /// `pointer` is NULL or valid for reads of `len` bytes.
    pub(super) unsafe fn bytes<'a>(self, name: &str, pointer: *const u8, len: usize) -> Result<&'a [u8]> {
        if !self.spans(name, "length", pointer, len)? {
            return Ok(&[]);
        }
        // SAFETY: not NULL; the caller's promise, and the length is in range.
        Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
    }

    /// Takes the caller's buffer to write to; NULL with 0 is empty.
    ///
    /// # Safety
    /// `pointer` is NULL or valid for writes of `size` bytes, which nothing else uses meanwhile.
    pub(super) unsafe fn buffer<'a>(
        self,
        name: &str,
        pointer: *mut u8,
        size: usize,
    ) -> Result<&'a mut [MaybeUninit<u8>]> {
        if !self.spans(name, "size", pointer, size)? {
            return Ok(&mut []);
        }
        // SAFETY: not NULL; the caller's promise, and the size is in range.
        Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), size) })
    }

    /// Takes an array as a pointer and a number of elements; NULL with 0 is empty.
    ///
    /// # Safety
    /// `pointer` is NULL or valid for reads of `count` elements.
    pub(super) unsafe fn array<'a, T>(self, name: &str, pointer: *const T, count: usize) -> Result<&'a [T]> {
        if !self.spans(name, "length", pointer.cast(), count.saturating_mul(size_of::<T>()))? {
            return Ok(&[]);
        }
        if !pointer.is_aligned() {
            return Err(self.invalid(format!("{name}: is not aligned")));
        }
        // SAFETY: not NULL and aligned; the caller's promise, and the length is in range.
        Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
    }

    /// Returns whether there is something at `pointer`.
    fn spans(self, name: &str, what: &str, pointer: *const u8, len: usize) -> Result<bool> {
        if len > isize::MAX as usize {
            return Err(self.invalid(format!("{name}: {what} {len} is out of range")));
        }
        if pointer.is_null() && len > 0 {
            return Err(self.invalid(format!("{name}: is NULL with {what} {len}")));
        }
        Ok(!pointer.is_null())
    }

    /// Takes a name or a path, which are bytes.
    ///
    /// # Safety
    /// As for [`Operation::bytes`].
    pub(super) unsafe fn text<'a>(self, name: &str, pointer: *const c_char, len: usize) -> Result<&'a OsStr> {
        // SAFETY: the caller's promise.
        Ok(OsStr::from_bytes(unsafe { self.bytes(name, pointer.cast(), len)? }))
    }

    /// Takes a path, which may have any byte but NUL.
    ///
    /// # Safety
    /// As for [`Operation::bytes`].
    pub(super) unsafe fn path(self, name: &str, pointer: *const c_char, len: usize) -> Result<CString> {
        // SAFETY: the caller's promise.
        let bytes = unsafe { self.bytes(name, pointer.cast(), len)? };
        CString::new(bytes).map_err(|_| self.invalid(format!("{name}: has a NUL byte")))
    }

    /// Takes text that has to be UTF-8.
    ///
    /// # Safety
    /// As for [`Operation::bytes`].
    pub(super) unsafe fn utf8<'a>(self, name: &str, pointer: *const c_char, len: usize) -> Result<&'a str> {
        // SAFETY: the caller's promise.
        let bytes = unsafe { self.bytes(name, pointer.cast(), len)? };
        std::str::from_utf8(bytes).map_err(|_| self.invalid(format!("{name}: is not UTF-8")))
    }

    /// Takes a JSON document, which is MALFORMED if it is not UTF-8.
    ///
    /// # Safety
    /// As for [`Operation::bytes`].
    pub(super) unsafe fn json<'a>(self, pointer: *const c_char, len: usize) -> Result<&'a str> {
        // SAFETY: the caller's promise.
        let bytes = unsafe { self.bytes("json", pointer.cast(), len)? };
        let wrong = |error: std::str::Utf8Error| format!("byte {}: is not UTF-8", error.valid_up_to());
        std::str::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::Malformed, self.0, wrong(error)))
    }

    /// Takes milliseconds, of which -1 waits for ever and 0 only looks.
    pub(super) fn timeout(self, ms: i64) -> Result<Option<Duration>> {
        match ms {
            -1 => Ok(None),
            0.. => Ok(Some(Duration::from_millis(ms.unsigned_abs()))),
            _ => Err(self.invalid(format!("timeout_ms: {ms} is neither -1 nor a time"))),
        }
    }

    /// Takes whether a program is ready for work: 1 or 0.
    pub(super) fn ready(self, ready: u32) -> Result<bool> {
        if ready > 1 { Err(self.unknown("ready", ready)) } else { Ok(ready == 1) }
    }

    /// Checks a reserved field, which must be zero so that a later version can give it a meaning.
    pub(super) fn reserved(self, value: u32) -> Result<()> {
        if value == 0 { Ok(()) } else { Err(self.invalid(format!("reserved: is {value}, must be 0"))) }
    }
}

/// Makes text for C, in which a NUL would be the end: one in the text is written as "\0".
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}
