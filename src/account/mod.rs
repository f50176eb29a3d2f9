//! Looks up the account in the command line of setuidgid and envuidgid.

mod files;
pub mod nsswitch;
pub(crate) mod passwd;

use crate::error::Error;
use crate::sys::ids::{self, Ids};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

/// The user and groups to change to.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// The user and the group.
    pub ids: Ids,
    /// The account's name, unless the user was given as a number.
    pub name: Option<OsString>,
}

impl Account {
    /// Looks up `text` in the system's databases.
    ///
    /// daemontools accepts the name of an account. Only if there is no such account, these are
    /// accepted as well: `ACCOUNT:GROUP`, each a name or, if there is no such name, a number
    /// (chown(1) interprets them this way, s6-setuidgid accepts the numbers); and `:UID:GID`,
    /// numbers (runit's chpst). No account name begins with `:`, so none is looked up then.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`]; [`Error::Unable`] if a database cannot be queried.
    pub fn find(text: &OsStr) -> Result<Account, Error> {
        match find(text, ids::account, ids::group) {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => Err(Error::UnknownAccount(text.as_bytes().to_vec())),
            Err(error) => Err(Error::unable("look up account", text, "", error)),
        }
    }

    /// As [`Account::find`], but without the system's databases; None if they must be queried.
    /// The result is the same as theirs.
    ///
    /// # Errors
    /// As [`Account::find`].
    pub fn find_without_databases(text: &OsStr) -> Option<Result<Account, Error>> {
        if text.as_bytes().starts_with(b":") {
            return Some(Account::find(text));
        }
        let ids = files::look_up(text)?;
        let name = Some(text.to_owned());
        Some(Ok(Account { ids, name }))
    }

    /// The groups of the account: its primary group and, if `all`, those it is a member of.
    ///
    /// # Errors
    /// [`Error::Unable`] if the group database cannot be queried.
    pub fn groups(&self, all: bool) -> Result<Vec<u32>, Error> {
        match &self.name {
            Some(name) if all => ids::groups_of(name, self.ids.gid)
                .map_err(|error| Error::unable("look up groups of", name, "", error)),
            _ => Ok(vec![self.ids.gid]),
        }
    }
}

fn find(
    text: &OsStr,
    account: impl Fn(&OsStr) -> io::Result<Option<Ids>>,
    group: impl Fn(&OsStr) -> io::Result<Option<u32>>,
) -> io::Result<Option<Account>> {
    let bytes = text.as_bytes();
    let (bytes, names) = match bytes.strip_prefix(b":") {
        Some(numbers) => (numbers, false),
        None => (bytes, true),
    };
    if names && let Some(ids) = account(text)? {
        let name = Some(text.to_owned());
        return Ok(Some(Account { ids, name }));
    }
    let Some(colon) = bytes.iter().position(|byte| *byte == b':') else {
        return Ok(None);
    };
    let (left, right) = bytes.split_at(colon);
    let left = OsStr::from_bytes(left);
    let right = OsStr::from_bytes(right.strip_prefix(b":").unwrap_or(right));
    let known = if names { account(left)? } else { None };
    let (uid, name) = match known {
        Some(ids) => (Some(ids.uid), Some(left.to_owned())),
        None => (number(left), None),
    };
    let known = if names { group(right)? } else { None };
    let gid = known.or_else(|| number(right));
    let ids = uid.zip(gid).map(|(uid, gid)| Ids { uid, gid });
    Ok(ids.map(|ids| Account { ids, name }))
}

/// Parses digits only. 2^32-1 is not an id: setresuid(2) takes it for "unchanged".
fn number(text: &OsStr) -> Option<u32> {
    let text = text.to_str()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number)?;
    (number != u32::MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with the accounts `u` (7, 70), `8` (80, 81), `a:b`, and `:8:9` and `:c:d`,
    /// which are never looked up, and the groups `g` (90) and `9` (91).
    fn who(text: &str) -> Option<(u32, u32, Option<String>)> {
        let account = |name: &OsStr| {
            Ok(match name.to_str().unwrap() {
                "u" => Some(Ids { uid: 7, gid: 70 }),
                "8" => Some(Ids { uid: 80, gid: 81 }),
                "a:b" | ":8:9" | ":c:d" => Some(Ids { uid: 5, gid: 5 }),
                _ => None,
            })
        };
        let group = |name: &OsStr| {
            Ok(match name.to_str().unwrap() {
                "g" => Some(90),
                "9" => Some(91),
                _ => None,
            })
        };
        let identity = find(OsStr::new(text), account, group).unwrap()?;
        let name = identity.name.map(|name| name.into_string().unwrap());
        Some((identity.ids.uid, identity.ids.gid, name))
    }

    #[test]
    fn a_name_comes_before_all_else() {
        assert_eq!(who("u"), Some((7, 70, Some("u".into()))));
        assert_eq!(who("8"), Some((80, 81, Some("8".into()))));
        assert_eq!(who("a:b"), Some((5, 5, Some("a:b".into()))));
    }

    #[test]
    fn a_group_can_be_given_by_name_or_number() {
        assert_eq!(who("u:g"), Some((7, 90, Some("u".into()))));
        assert_eq!(who("u:1000"), Some((7, 1000, Some("u".into()))));
        assert_eq!(who("u:9"), Some((7, 91, Some("u".into()))));
        assert_eq!(who("1:2"), Some((1, 2, None)));
        assert_eq!(who("8:2"), Some((80, 2, Some("8".into()))));
    }

    #[test]
    fn behind_a_colon_there_are_only_numbers() {
        assert_eq!(who(":8:9"), Some((8, 9, None)));
        assert_eq!(who(":c:d"), None);
        assert_eq!(who(":u:9"), None);
        assert_eq!(who(":8:g"), None);
    }

    #[test]
    fn what_is_not_whole_is_unknown() {
        for text in [
            "",
            "x",
            "1",
            "u:",
            "u:x",
            ":",
            "::",
            ":1",
            ":1:",
            "::1",
            ":1:2:3",
            "u:g:g",
            "u: 1",
            "+1:1",
            "-1:1",
            "4294967295:1",
            "1:4294967295",
            "4294967296:1",
            "u:-1",
        ] {
            assert_eq!(who(text), None, "{text:?}");
        }
    }
}
