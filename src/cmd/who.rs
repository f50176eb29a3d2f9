//! Looks up the account of setuidgid and envuidgid. If this program cannot ask the
//! system's databases, it executes the dynamic program in its directory instead.

use super::chain::Next;
use crate::account::Account;
use crate::error::Error;
use crate::sys::{errno, ids};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The dynamic program; `argv[0]` selects setuidgid or envuidgid.
pub(super) const DYNAMIC: &str = "daemontools-rs-nss";

/// Looks up `account`, a word of the `arguments` of `program`; `with_groups` if its
/// supplementary groups will be queried, too.
pub(super) fn find(
    program: &str,
    arguments: &[OsString],
    account: &OsStr,
    with_groups: bool,
) -> Result<Account, Error> {
    if ids::HAS_DATABASES {
        return Account::find(account);
    }
    if !with_groups && let Some(found) = Account::find_without_databases(account) {
        return found;
    }
    Err(exec_dynamic(program, arguments))
}

/// Executes the dynamic program with the same arguments, except that `argv[0]` is
/// `daemontools-rs-nss/PROGRAM`. It is in the directory of this file: PATH is not searched,
/// because root runs it.
fn exec_dynamic(program: &str, arguments: &[OsString]) -> Error {
    const OWN: &str = "/proc/self/exe";
    let own = match std::fs::read_link(OWN) {
        Ok(own) => own,
        Err(error) => return Error::unable("read", OsStr::new(OWN), "", error),
    };
    let dynamic = own.with_file_name(DYNAMIC);
    let called = Path::new(DYNAMIC).join(program);
    let [own_name, words @ ..] = arguments else {
        return Error::unable("run", dynamic.as_os_str(), "", errno::no_program());
    };
    // Prevents an endless loop, if another program is in its place.
    if own_name == called.as_os_str() {
        return Error::unable("run", dynamic.as_os_str(), "", errno::no_program());
    }
    let words = [&[called.into_os_string()], words].concat();
    Next::at(dynamic.as_os_str(), &words).run()
}
