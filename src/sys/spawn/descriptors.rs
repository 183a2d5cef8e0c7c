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
