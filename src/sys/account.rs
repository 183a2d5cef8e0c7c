//! Users and groups: those of this thread, and those that the user database knows (nsswitch.conf(5)).
//!
//! System calls: getresuid(2), getresgid(2), getgroups(2); of libc: getpwnam_r(3), getpwuid_r(3), getgrnam_r(3),
//! getgrouplist(3), which may read files and ask servers.

use std::ffi::{CStr, CString};

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::errno;

/// An entry of the user database.
pub(crate) struct Entry {
    pub(crate) name: CString,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Finds a user. None if there is none of that name.
pub(crate) fn user_named(name: &str) -> Result<Option<Entry>, i32> {
    found(User::from_name(name)).map(|user| user.and_then(entry))
}

/// Finds a user. None if there is none with that number.
pub(crate) fn user_numbered(uid: u32) -> Result<Option<Entry>, i32> {
    found(User::from_uid(Uid::from_raw(uid))).map(|user| user.and_then(entry))
}

/// Finds a group's number. None if there is no group of that name.
pub(crate) fn group_named(name: &str) -> Result<Option<u32>, i32> {
    found(Group::from_name(name)).map(|group| group.map(|group| group.gid.as_raw()))
}

/// Returns the groups that initgroups(3) gives a user: those whose member it is, and `gid`.
pub(crate) fn groups_of(user: &CStr, gid: u32) -> Result<Vec<u32>, i32> {
    let groups = getgrouplist(user, Gid::from_raw(gid)).map_err(|errno| errno as i32)?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

fn entry(user: User) -> Option<Entry> {
    Some(Entry { name: CString::new(user.name).ok()?, uid: user.uid.as_raw(), gid: user.gid.as_raw() })
}

/// A database that does not exist knows nobody; see getpwnam(3).
fn found<T>(outcome: nix::Result<Option<T>>) -> Result<Option<T>, i32> {
    match outcome {
        Ok(found) => Ok(found),
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        Err(errno) => Err(errno as i32),
    }
}

/// The real, effective and saved ids of this thread, which its children inherit, and its supplementary groups.
pub(crate) struct Own {
    pub(crate) uids: [u32; 3],
    pub(crate) gids: [u32; 3],
    pub(crate) groups: Vec<u32>,
}

impl Own {
    pub(crate) fn get() -> Result<Own, i32> {
        let (mut uids, mut gids) = ([0; 3], [0; 3]);
        let ([u, v, w], [g, h, i]) = (&mut uids, &mut gids);
        // SAFETY: room for each number.
        if unsafe { libc::getresuid(u, v, w) | libc::getresgid(g, h, i) } < 0 {
            return Err(errno());
        }
        loop {
            // SAFETY: asks for the number of groups alone.
            let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
            let mut groups = vec![0; usize::try_from(count).map_err(|_| errno())?];
            // SAFETY: room for as many groups.
            let got = unsafe { libc::getgroups(count, groups.as_mut_ptr()) };
            match usize::try_from(got) {
                // With no room at all, the number is returned again.
                Ok(got) if got <= groups.len() => {
                    groups.truncate(got);
                    return Ok(Own { uids, gids, groups });
                }
                Err(_) if errno() != libc::EINVAL => return Err(errno()),
                // Another thread changed them between the calls.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_name_and_number_and_others_are_not() {
        let root = user_named("root").expect("lookup").expect("root");
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user_numbered(0).expect("lookup").expect("root").name, root.name);
        assert_eq!(group_named("root").expect("lookup"), Some(0));
        assert!(groups_of(&root.name, 4711).expect("lookup").contains(&4711));
        assert!(user_named("no such user").expect("lookup").is_none());
        assert!(user_numbered(0xffff_fff0).expect("lookup").is_none());
        assert!(group_named("no such group").expect("lookup").is_none());
    }

    #[test]
    fn the_own_ids_are_those_of_this_thread() {
        let own = Own::get().expect("ids");
        // SAFETY: no arguments.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        assert_eq!((own.uids[1], own.gids[1]), (uid, gid));
    }
}
