//! A disk that can be filled and made read-only.

use super::{c_path, check};
use std::fs::File;
use std::path::Path;

/// A small disk of its own.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = c_path(dir.path());
        let options = c"size=256k,nr_inodes=200,mode=0755";
        // SAFETY: valid strings.
        let result =
            unsafe { libc::mount(c"none".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, options.as_ptr().cast()) };
        if let Err(error) = check(result) {
            println!("skipped: no disk of its own can be mounted: {error}");
            return None;
        }
        Some(SmallDisk(dir))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn fill(&self) {
        use std::io::Write;
        let mut file = File::create(self.path().join("filler")).expect("filler");
        while file.write(&[1; 4096]).is_ok() {}
    }

    /// Empties the disk. The file is cut first: a child that another test has just forked may still have it open.
    pub fn empty(&self) {
        File::create(self.path().join("filler")).expect("filler");
        std::fs::remove_file(self.path().join("filler")).expect("filler");
    }

    pub fn make_read_only(&self) {
        let target = c_path(self.path());
        let flags = libc::MS_REMOUNT | libc::MS_RDONLY;
        // A child that another test has just forked may still have a file there open.
        crate::eventually("nobody writes there", || {
            // SAFETY: a valid string.
            let result =
                unsafe { libc::mount(std::ptr::null(), target.as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
            match check(result) {
                Ok(_) => true,
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => false,
                Err(error) => panic!("remount: {error}"),
            }
        });
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let target = c_path(self.path());
        // SAFETY: a valid string.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}
