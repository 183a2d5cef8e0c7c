//! The descriptors of a child before exec: none above 2.
//!
//! System calls: close_range(2), or, before Linux 5.11, getdents64(2) of /proc/self/fd and fcntl(2).

use crate::sys::raw;

/// Has exec close every descriptor above 2. close_range is of Linux 5.9 (its flag of 5.11).
pub(super) unsafe fn hide_descriptors() -> isize {
    // SAFETY: no pointers.
    let result =
        unsafe { raw::syscall3(libc::SYS_close_range, 3, u32::MAX as usize, libc::CLOSE_RANGE_CLOEXEC as usize) };
    if result == 0 {
        return 0;
    }
    // SAFETY: as the caller's.
    unsafe { hide_listed_descriptors() }
}

/// Does the same on kernels without close_range, for each descriptor that /proc/self/fd lists.
unsafe fn hide_listed_descriptors() -> isize {
    const NAME: usize = 19; // offset of d_name in linux_dirent64
    // SAFETY: a literal path, a buffer of the size said, records as getdents64 lays them out.
    unsafe {
        let directory = raw::syscall3(
            libc::SYS_open,
            c"/proc/self/fd".as_ptr() as usize,
            (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) as usize,
            0,
        );
        if directory < 0 {
            return directory;
        }
        #[repr(align(8))]
        struct Records([u8; 2048]);
        let mut records = Records([0; 2048]);
        let base = (&raw mut records.0).cast::<u8>();
        loop {
            let length = raw::syscall3(libc::SYS_getdents64, directory as usize, base as usize, 2048);
            if length <= 0 {
                return length;
            }
            let mut at = 0usize;
            while at < length as usize {
                let record = base.add(at);
                let size = record.add(16).cast::<u16>().read() as usize;
                let mut number = 0i32;
                let mut name = record.add(NAME);
                let mut is_number = false;
                while (*name).wrapping_sub(b'0') < 10 {
                    number = number.wrapping_mul(10).wrapping_add((*name - b'0') as i32);
                    is_number = true;
                    name = name.add(1);
                }
                if is_number && number > 2 {
                    raw::syscall3(libc::SYS_fcntl, number as usize, libc::F_SETFD as usize, libc::FD_CLOEXEC as usize);
                }
                at = at.wrapping_add(size);
            }
        }
    }
}

/// A descriptor that the child gets at a number above 2.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) source: i32,
    /// No source, and none of the descriptors that the child still needs, has this number.
    pub(super) target: i32,
}

/// Places descriptors at their numbers, where exec leaves them open. Returns the one that could not be placed, and the
/// errno.
///
/// # Safety
/// In the child alone, once every other descriptor is hidden; `placed` has `count` elements.
pub(super) unsafe fn place_descriptors(placed: *const Placed, count: usize) -> Result<(), (i32, i32)> {
    let mut at = 0;
    while at < count {
        // SAFETY: within the array; no other pointers. A duplicate has no close-on-exec flag.
        let (target, result) = unsafe {
            let Placed { source, target } = *placed.add(at);
            (target, raw::syscall3(libc::SYS_dup2, source as usize, target as usize, 0))
        };
        if result < 0 {
            return Err((target, -result as i32));
        }
        at = at.wrapping_add(1);
    }
    Ok(())
}

/// Writes a process id as decimal text with a NUL after it, as `LISTEN_PID` has it, to a place of 11 bytes.
///
/// # Safety
/// `place` is valid for writes of 11 bytes.
pub(super) unsafe fn write_pid(place: *mut u8, pid: u32) {
    let mut digits = 1usize;
    let mut rest = pid;
    while rest > 9 {
        rest = rest.wrapping_div(10);
        digits = digits.wrapping_add(1);
    }
    rest = pid;
    let mut at = digits;
    // SAFETY: a u32 has at most 10 digits. Volatile, so that no call is made of the loop.
    unsafe {
        place.add(digits).write_volatile(0);
        while at > 0 {
            at = at.wrapping_sub(1);
            place.add(at).write_volatile(b'0'.wrapping_add((rest % 10) as u8));
            rest = rest.wrapping_div(10);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_written_as_text() {
        for pid in [0, 9, 10, 4711, 32_768, 4_194_304, u32::MAX] {
            let mut place = [b'x'; 11];
            // SAFETY: 11 bytes.
            unsafe { write_pid(place.as_mut_ptr(), pid) };
            let text = std::ffi::CStr::from_bytes_until_nul(&place).expect("a NUL");
            assert_eq!(text.to_str(), Ok(pid.to_string().as_str()));
        }
    }
}
