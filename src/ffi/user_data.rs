//! The pointer that C gives together with a callback.

use std::ffi::c_void;

/// The destructor of user data. It runs exactly once, after the last callback, even if the call
/// that it was given to fails.
pub type coreproc_destroy = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// The user's pointer; its destructor runs when the callback is dropped, on whichever thread that is.
pub(super) struct UserData {
    pub(super) pointer: *mut c_void,
    pub(super) destroy: coreproc_destroy,
}

// SAFETY: the header says that `user_data` is used from the library's threads.
unsafe impl Send for UserData {}
// SAFETY: the pointer is only read; what it points to is the contract of the callback.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the header's contract; once, because a drop is.
            unsafe { destroy(self.pointer) };
        }
    }
}
