//! `softlimit [options] child`: run a program with soft resource limits.

use super::chain::Next;
use super::getopt::OptionLetters;
use crate::error::Error;
use crate::softlimit::{Resource, Wanted};
use crate::sys::{limits as system, output};
use std::ffi::OsString;

const USAGE: &str = "usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] \
[-f filebytes] [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] \
[-r residentbytes] [-s stackbytes] [-t cpusecs] child";

/// The letters of the options: each has an argument.
const LETTERS: &[u8] = b"acdflmoprst";

/// The resources that the option `letter` limits, in the order of the calls.
fn resources(letter: u8) -> &'static [Resource] {
    match letter {
        b'a' => &[Resource::AddressSpace],
        b'c' => &[Resource::Core],
        b'd' => &[Resource::Data],
        b'f' => &[Resource::FileSize],
        b'l' => &[Resource::LockedMemory],
        b'm' => &[
            Resource::Data,
            Resource::Stack,
            Resource::LockedMemory,
            Resource::AddressSpace,
        ],
        b'o' => &[Resource::OpenFiles],
        b'p' => &[Resource::Processes],
        b'r' => &[Resource::Resident],
        b's' => &[Resource::Stack],
        b't' => &[Resource::ProcessorTime],
        _ => &[],
    }
}

/// The program.
pub fn main() -> u8 {
    super::main("softlimit", |arguments| Err(run(arguments)))
}

fn run(arguments: &[OsString]) -> Error {
    let (called, words) = super::split(arguments, "softlimit");
    let mut options = OptionLetters::new(words, b"", LETTERS);
    let mut wanted = Vec::new();
    for option in options.by_ref() {
        let (letter, argument) = match option {
            Ok(option) => option,
            Err(bad) => {
                output::err(&bad.line(called));
                return Error::Usage(USAGE);
            }
        };
        let Some(value) = argument.and_then(Wanted::read) else {
            return Error::Usage(USAGE);
        };
        wanted.extend(resources(letter).iter().map(|one| (*one, value)));
    }
    let child = options.operands();
    if child.is_empty() {
        return Error::Usage(USAGE);
    }
    // After the first limit an allocation may fail.
    let next = Next::new(child);
    for (resource, value) in wanted {
        if let Err(error) = limit(resource, value) {
            return error;
        }
    }
    next.run()
}

fn limit(resource: Resource, value: Wanted) -> Result<(), Error> {
    let failed = |what| move |source| Error::Failed { what, source };
    let hard = system::hard(resource).map_err(failed("getrlimit"))?;
    system::set_soft(resource, value.under(hard), hard).map_err(failed("setrlimit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_limits_something_and_no_other_does() {
        for letter in 0..=u8::MAX {
            assert_eq!(resources(letter).is_empty(), !LETTERS.contains(&letter));
        }
    }
}
