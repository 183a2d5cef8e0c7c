//! [`Spool`]: an unlinked file that a detached child appends to and that we follow. It stays writable without a reader,
//! so the child outlives us; inotify tells when there is more.
//!
//! System calls: open(2) with O_TMPFILE, or mkostemp(3) and unlink(2); pread(2), pwrite(2), lseek(2) with SEEK_DATA,
//! fallocate(2) with FALLOC_FL_PUNCH_HOLE, fstat(2), getrlimit(2), inotify(7).

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::descriptor::{self, Result, above_stdio};
use super::space::{Bytes, Space};
use super::{retried, retried_raw};

/// Both sides of a new spool.
pub(crate) struct Spool {
    /// For reading and punching holes.
    pub(crate) ours: OwnedFd,
    /// For the child: append only.
    pub(crate) theirs: OwnedFd,
}

/// A directory in which spools are made.
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    /// Whether TMPDIR names it.
    pub(crate) is_told: bool,
}

impl Place {
    /// Returns `TMPDIR`, else /tmp.
    pub(crate) fn now() -> Place {
        match std::env::var_os("TMPDIR").filter(|told| !told.is_empty()) {
            Some(told) => Place { directory: told.into(), is_told: true },
            None => Place { directory: "/tmp".into(), is_told: false },
        }
    }
}

impl Spool {
    /// Makes one: by `O_TMPFILE` if the file system has it, else as a file that is unlinked at once.
    pub(crate) fn create(place: &Place) -> Result<Spool> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let unnamed = retried(|| nix::fcntl::open(&place.directory, flags | OFlag::O_TMPFILE, PRIVATE));
        let ours = match unnamed {
            Ok(fd) => fd,
            // File systems and kernels without it return these; if the directory does not exist, the next call fails as
            // well.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT) => named(&place.directory).map_err(|e| e as i32)?,
            Err(errno) => return Err(errno as i32),
        };
        let ours = above_stdio(ours)?;
        let theirs = descriptor::open(&own_path(&ours), OFlag::O_WRONLY | OFlag::O_APPEND)?;
        Ok(Spool { ours, theirs })
    }
}

const PRIVATE: Mode = Mode::from_bits_truncate(0o600);

/// Makes a file with a name of its own, which is removed at once.
fn named(directory: &Path) -> nix::Result<OwnedFd> {
    let template = directory.join("coreproc-spool-XXXXXX").into_os_string().into_encoded_bytes();
    let template = CString::new(template).map_err(|_| Errno::EINVAL)?;
    let (fd, path) = retried(|| {
        let mut path = template.clone().into_bytes_with_nul();
        // SAFETY: ends with a NUL; the last letters before it are written over. The descriptor is new.
        unsafe {
            let fd = Errno::result(libc::mkostemp(path.as_mut_ptr().cast(), libc::O_CLOEXEC))?;
            path.pop();
            Ok::<_, Errno>((OwnedFd::from_raw_fd(fd), path))
        }
    })?;
    retried(|| nix::unistd::unlink(path.as_slice())).map(|()| fd)
}

fn own_path(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// The bytes that replace the first ones of a spool once those were read, which shows whether the child has emptied the
/// file or written over them. No text begins like this.
pub(crate) const MARK: [u8; 16] = *b"\xff\0\xfe\x01coreproc\xfd\x02\xfc\x03";
/// Disk space is given back in whole blocks; the first one is the mark's.
pub(crate) const BLOCK: u64 = 4096;

/// Writes the bytes `[from, to)` of [`MARK`]; false if that fails.
pub(crate) fn mark(fd: &OwnedFd, from: usize, to: usize) -> bool {
    // Beyond this limit, the kernel would send the host a SIGXFSZ.
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE);
    if limit.is_ok_and(|(soft, _)| soft < to as u64) {
        return false;
    }
    let bytes = &MARK[from..to];
    // SAFETY: the slice is valid for reads of its length.
    let n = unsafe { libc::pwrite64(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), from as i64) };
    n == bytes.len() as isize
}

/// Returns whether it still begins with this many bytes of [`MARK`]. The second half of them tells: a child that writes
/// a little over the part that was read has not emptied the file.
pub(crate) fn is_marked(fd: &OwnedFd, marked: usize) -> bool {
    if marked == 0 {
        return true;
    }
    let mut bytes = [0u8; MARK.len()];
    // SAFETY: the buffer is longer than said.
    let n = unsafe { libc::pread64(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), marked, 0) };
    n < 0 || (n as usize == marked && bytes[marked / 2..marked] == MARK[marked / 2..marked])
}

/// Returns the first byte from `offset` on that is in no hole of the file; the greatest number if there is none.
pub(crate) fn next_data(fd: &OwnedFd, offset: u64) -> u64 {
    // SAFETY: takes no pointers. The offset of the descriptor does not matter.
    let found = unsafe { libc::lseek64(fd.as_raw_fd(), offset as i64, libc::SEEK_DATA) };
    match found {
        0.. => found as u64,
        _ if super::errno() == libc::ENXIO => u64::MAX,
        _ => offset,
    }
}

/// Returns the file's length: all that was ever written, unless the child has emptied it.
pub(crate) fn length(fd: &OwnedFd) -> u64 {
    nix::sys::stat::fstat(fd).map_or(0, |stat| stat.st_size as u64)
}

/// Reads at `offset`; empty at the end.
pub(crate) fn read_at<'a>(fd: &OwnedFd, offset: u64, mut space: Space<'a, '_>) -> Bytes<'a> {
    let (raw, at) = (fd.as_raw_fd(), offset as i64);
    let (place, len) = (space.as_mut_ptr(), space.len());
    // SAFETY: the space is `len` bytes long.
    let result = retried_raw(|| unsafe { libc::pread64(raw, place.cast(), len, at) } as libc::c_long);
    // SAFETY: the read filled so many bytes.
    unsafe { space.filled(result.unwrap_or(0)) }
}

/// Gives the disk space of `[from, to)` back. A file system that cannot keeps it until the file ends.
pub(crate) fn punch(fd: &OwnedFd, from: u64, to: u64) {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let (raw, at, length) = (fd.as_raw_fd(), from as i64, (to - from) as i64);
    // SAFETY: takes no pointers.
    let _ = retried_raw(|| unsafe { libc::fallocate64(raw, mode, at, length) }.into());
}

/// Tells which watched files were written: one inotify descriptor for all spools of a service.
pub(crate) struct Watcher(OwnedFd);

impl Watcher {
    pub(crate) fn new() -> Result<Watcher> {
        // SAFETY: no pointers; a new descriptor.
        let fd = unsafe {
            let fd = libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC);
            if fd < 0 {
                return Err(super::errno());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Watcher(above_stdio(fd)?))
    }

    /// Watches a spool; returns its watch number.
    pub(crate) fn add(&self, spool: &OwnedFd) -> Result<i32> {
        let path = CString::new(own_path(spool).into_os_string().into_encoded_bytes()).map_err(|_| libc::EINVAL)?;
        let (fd, path) = (self.0.as_raw_fd(), path.as_ptr());
        // SAFETY: a C string that lives through the call.
        let watch = retried_raw(|| unsafe { libc::inotify_add_watch(fd, path, libc::IN_MODIFY) }.into())?;
        i32::try_from(watch).map_err(|_| libc::EOVERFLOW)
    }

    pub(crate) fn remove(&self, watch: i32) {
        // SAFETY: takes no pointers; an unknown watch is EINVAL.
        unsafe { libc::inotify_rm_watch(self.0.as_raw_fd(), watch) };
    }

    /// Takes all waiting events; calls `changed` with the watch number of each, or with None if events were lost, so
    /// that every spool has to be looked at.
    pub(crate) fn drain(&self, mut changed: impl FnMut(Option<i32>)) {
        #[repr(align(8))]
        struct Records([u8; 4096]);
        let mut records = Records([0; 4096]);
        loop {
            let (fd, length) = (self.0.as_raw_fd(), records.0.len());
            // SAFETY: the buffer is as long as said.
            let result = retried_raw(|| unsafe { libc::syscall(libc::SYS_read, fd, records.0.as_mut_ptr(), length) });
            let Ok(n @ 1..) = result else { return };
            let mut rest = &records.0[..n];
            while rest.len() >= size_of::<libc::inotify_event>() {
                // SAFETY: the kernel writes whole records; the read is unaligned to be sure.
                let event = unsafe { rest.as_ptr().cast::<libc::inotify_event>().read_unaligned() };
                if event.mask & libc::IN_Q_OVERFLOW != 0 {
                    changed(None);
                } else if event.mask & libc::IN_MODIFY != 0 {
                    changed(Some(event.wd));
                }
                rest = rest.get(size_of::<libc::inotify_event>() + event.len as usize..).unwrap_or(&[]);
            }
        }
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
