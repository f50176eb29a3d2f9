//! `setuidgid [-s] account child`: run a program as another user.

use super::chain::Next;
use super::who;
use crate::account::Account;
use crate::error::Error;
use crate::sys::ids;
use std::ffi::OsString;

/// The program.
pub fn main() -> u8 {
    super::main("setuidgid", |arguments| Err(run(arguments)))
}

fn run(arguments: &[OsString]) -> Error {
    let (all_groups, operands) = match arguments {
        [_, option, operands @ ..] if option == "-s" => (true, operands),
        [_, operands @ ..] => (false, operands),
        [] => (false, arguments),
    };
    let [account, child @ ..] = operands else {
        return Error::Usage("usage: setuidgid account child");
    };
    if child.is_empty() {
        return Error::Usage("usage: setuidgid account child");
    }
    let next = Next::new(child);
    match who::find("setuidgid", arguments, account, all_groups)
        .and_then(|who| change_user(&who, all_groups))
    {
        Ok(()) => next.run(),
        Err(error) => error,
    }
}

fn change_user(who: &Account, all_groups: bool) -> Result<(), Error> {
    let groups = who.groups(all_groups)?;
    ids::set_group(who.ids.gid, &groups).map_err(|error| Error::unable_to("setgid", error))?;
    ids::set_user(who.ids.uid).map_err(|error| Error::unable_to("setuid", error))
}
