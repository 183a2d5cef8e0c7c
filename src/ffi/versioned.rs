//! Structs that can grow: their first field, `struct_size`, is the size that the caller knows. The caller's struct may
//! end before ours does, so a reference to ours would claim memory that may not be there: these stay raw pointers.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::convert::Operation;
use crate::error::Result;

/// A struct of the header that begins with its size; see [`versioned`].
///
/// # Safety
/// Plain data for which zeros are valid; the first field is `struct_size: u32`.
pub(super) unsafe trait Versioned: Copy {
    /// The size of its first version.
    const SMALLEST: usize;

    /// Returns the struct with all fields zero, which is the default everywhere.
    fn zero() -> Self {
        // SAFETY: the trait's promise.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

/// Says that a struct begins with its size, and what the size of its first version is.
macro_rules! versioned {
    ($type:ident, $smallest:literal) => {
        // SAFETY: the structs of the header are integers and pointers, for which zeros are valid; the rest is checked.
        unsafe impl $crate::ffi::versioned::Versioned for $type {
            const SMALLEST: usize = $smallest;
        }
        const _: () = {
            let first = |value: &$type| -> u32 { value.struct_size };
            _ = first;
            assert!(std::mem::offset_of!($type, struct_size) == 0);
        };
    };
}
pub(super) use versioned;

impl Operation {
    /// Reads options. NULL is the default; a struct shorter than ours is filled with zeros, and a longer one is fine as
    /// long as the fields that this library does not know are zero.
    ///
    /// # Safety
    /// `pointer` is NULL or valid for reads of the size that the struct states.
    pub(super) unsafe fn options<T: Versioned>(self, pointer: *const T) -> Result<T> {
        const LARGEST: usize = 4096;
        if pointer.is_null() {
            return Ok(T::zero());
        }
        // SAFETY: every such struct begins with its size.
        let size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
        if size < T::SMALLEST || size > LARGEST {
            let smallest = T::SMALLEST;
            return Err(self.invalid(format!("options: struct_size {size} is not between {smallest} and {LARGEST}")));
        }
        self.whole_fields::<T>("options", size)?;
        // SAFETY: the caller's promise.
        let given = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
        let (known, unknown) = given.split_at(size.min(size_of::<T>()));
        if unknown.iter().any(|byte| *byte != 0) {
            return Err(self.invalid("options: a field that this library does not know is set"));
        }
        let mut value = T::zero();
        // SAFETY: at most as many bytes as the value has; any bytes are valid for plain data.
        unsafe { std::ptr::copy_nonoverlapping(known.as_ptr(), (&raw mut value).cast(), known.len()) };
        Ok(value)
    }

    /// Takes the caller's struct to write to. A longer one than this library knows is fine.
    ///
    /// # Safety
    /// `out` is NULL or valid for a read of its size, and for writes of that size for as long as the answer is used.
    pub(super) unsafe fn room<'a, T: Versioned>(self, out: *mut T) -> Result<Room<'a, T>> {
        if out.is_null() {
            return Err(self.is_null("out"));
        }
        if !out.is_aligned() {
            return Err(self.invalid("out: is not aligned"));
        }
        // SAFETY: the caller's promise.
        let size = unsafe { out.cast::<u32>().read() };
        if (size as usize) < T::SMALLEST {
            return Err(self.invalid(format!("out: struct_size {size} is below {}", T::SMALLEST)));
        }
        self.whole_fields::<T>("out", size as usize)?;
        Ok(Room { out, size, caller: PhantomData })
    }

    /// Refuses a size that ends inside a field, which could be half a pointer. No version of a struct does: each has
    /// the size that C gives it, a multiple of its alignment, and no field is larger than that.
    fn whole_fields<T>(self, name: &str, size: usize) -> Result<()> {
        if size < size_of::<T>() && !size.is_multiple_of(align_of::<T>()) {
            return Err(self.invalid(format!("{name}: struct_size {size} ends inside a field")));
        }
        Ok(())
    }
}

/// The caller's struct to write to; made by [`Operation::room`].
pub(super) struct Room<'a, T> {
    out: *mut T,
    size: u32,
    caller: PhantomData<&'a mut T>,
}

impl<T: Versioned> Room<'_, T> {
    /// Returns the size that the caller gave, for the `struct_size` of the answer.
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// Writes as much as both sides know.
    pub(super) fn write(self, value: T) {
        let known = (self.size as usize).min(size_of::<T>());
        // SAFETY: valid for writes of `size` bytes, as the caller of `room` promises; plain data.
        unsafe { std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), self.out.cast::<u8>(), known) };
    }
}
