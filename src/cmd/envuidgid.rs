//! `envuidgid account child`: run a program with the ids of an account in its environment.

use super::chain::Next;
use super::who;
use crate::envdir::Environment;
use crate::error::Error;
use crate::sys::exec;
use std::ffi::OsString;

/// The program.
pub fn main() -> u8 {
    super::main("envuidgid", |arguments| Err(run(arguments)))
}

fn run(arguments: &[OsString]) -> Error {
    let [_, account, child @ ..] = arguments else {
        return Error::Usage("usage: envuidgid account child");
    };
    if child.is_empty() {
        return Error::Usage("usage: envuidgid account child");
    }
    let ids = match who::find("envuidgid", arguments, account, false) {
        Ok(who) => who.ids,
        Err(error) => return error,
    };
    let mut environment = Environment::new(exec::environment());
    for (name, id) in [("GID", ids.gid), ("UID", ids.uid)] {
        environment.change(name.as_bytes(), Some(id.to_string().as_bytes()));
    }
    let next = Next::new(child).with_environment(environment.entries());
    next.run()
}
