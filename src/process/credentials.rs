//! [`Account`]: a user or a group, by name or number; and [`Credentials`].

/// A user or a group of the system, by name or by number. Text that is a decimal number is one; every other text is a
/// name, which is looked up at each spawn, before the process exists.
///
/// ```
/// use coreproc::{Account, Command, ErrorKind, Service, ServiceOptions};
///
/// assert_eq!(Account::from("1000"), Account::Id(1000));
/// let service = Service::new(ServiceOptions::default())?;
/// let error = Command::new("id").user("no such user").spawn(&service).err().unwrap();
/// assert_eq!((error.kind(), error.stage()), (ErrorKind::NotFound, "user"));
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// The name in the user or group database (nsswitch.conf(5)).
    Name(String),
    /// The number, below 2³² - 1.
    Id(u32),
}

impl From<&str> for Account {
    fn from(text: &str) -> Account {
        text.to_owned().into()
    }
}

impl From<String> for Account {
    fn from(text: String) -> Account {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_number => Account::Id(number),
            _ => Account::Name(text),
        }
    }
}

impl From<u32> for Account {
    fn from(number: u32) -> Account {
        Account::Id(number)
    }
}

/// What a command says about the credentials of its process.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    pub(super) user: Option<Account>,
    pub(super) primary_group: Option<Account>,
    pub(super) supplementary_groups: Option<Vec<Account>>,
    pub(super) umask: Option<u32>,
    pub(super) no_new_privileges: bool,
    /// A mask of the capabilities to drop.
    pub(super) dropped: u64,
    /// Bit n-1 is signal n.
    pub(super) keep_ignored: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_number_and_all_else_is_a_name() {
        assert_eq!(Account::from("0"), Account::Id(0));
        assert_eq!(Account::from("4294967295"), Account::Id(u32::MAX));
        for name in ["", "root", "+1", "-1", "4294967296", "1 ", "0x10"] {
            assert_eq!(Account::from(name), Account::Name(name.to_owned()));
        }
    }
}
