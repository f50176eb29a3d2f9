//! The one error type: daemontools' sentences and exit codes.

mod reason;

pub use reason::reason;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Exit code: called wrongly, or it will never work.
pub const USAGE: u8 = 100;
/// Exit code: the system failed us; trying again may help.
pub const TEMPORARY: u8 = 111;

/// Why a program cannot do what it was asked.
///
/// [`Error::line`] gives the exact bytes to print: names in them are as they
/// were given, whatever bytes they hold. `Display` is for programmers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong; the text is what to print behind `PROGRAM: `.
    #[error("{0}")]
    Usage(&'static str),
    /// The system refused: `unable to DOING OBJECT: REASON`.
    #[error("{}", String::from_utf8_lossy(&self.sentence()))]
    Unable {
        /// What was tried, as `chdir to`.
        doing: &'static str,
        /// On what, as it was given; None where the sentence names nothing.
        object: Option<Vec<u8>>,
        /// The system's answer.
        source: io::Error,
    },
    /// A system call failed: `WHAT failed: REASON`.
    #[error("{what} failed: {}", reason(source))]
    Failed {
        /// The call.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no account of this name: `unknown account NAME`.
    #[error("unknown account {}", String::from_utf8_lossy(.0))]
    UnknownAccount(Vec<u8>),
    /// A signal killed the child of fghack: `child crashed`.
    #[error("child crashed")]
    ChildCrashed,
    /// As [`Error::Unable`], printed without the program's name (a slip of
    /// Debian's package that scripts may know).
    #[error("unable to {doing}: {}", reason(source))]
    Unnamed {
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// An [`Error::Unable`] about `dir` followed by `rest` (as `/supervise/lock`, or nothing).
    pub fn unable(doing: &'static str, dir: &OsStr, rest: &str, source: io::Error) -> Error {
        let mut object = dir.as_bytes().to_vec();
        object.extend_from_slice(rest.as_bytes());
        Error::Unable {
            doing,
            object: Some(object),
            source,
        }
    }

    /// An [`Error::Unable`] that names nothing.
    pub fn unable_to(doing: &'static str, source: io::Error) -> Error {
        Error::Unable {
            doing,
            object: None,
            source,
        }
    }

    /// The sentence without the program's name: `unable to DOING OBJECT: REASON`.
    pub fn sentence(&self) -> Vec<u8> {
        match self {
            Error::Usage(text) => text.as_bytes().to_vec(),
            Error::Unable {
                doing,
                object,
                source,
            } => {
                let mut sentence = format!("unable to {doing}").into_bytes();
                if let Some(object) = object {
                    sentence.push(b' ');
                    sentence.extend_from_slice(object);
                }
                sentence.extend_from_slice(b": ");
                sentence.extend_from_slice(reason(source).as_bytes());
                sentence
            }
            Error::UnknownAccount(name) => [b"unknown account ", name.as_slice()].concat(),
            Error::Unnamed { .. } | Error::Failed { .. } | Error::ChildCrashed => {
                self.to_string().into_bytes()
            }
        }
    }

    /// The line to print, newline included, when `program` ends for this reason.
    pub fn line(&self, program: &str) -> Vec<u8> {
        let before = match self {
            Error::Usage(_) => format!("{program}: "),
            Error::Unnamed { .. } => String::new(),
            _ => format!("{program}: fatal: "),
        };
        [before.as_bytes(), &self.sentence(), b"\n"].concat()
    }

    /// The line to print, newline included, when `program` goes on all the same.
    pub fn warning(&self, program: &str) -> Vec<u8> {
        [program.as_bytes(), b": warning: ", &self.sentence(), b"\n"].concat()
    }

    /// The exit code of a program that ends for this reason.
    pub fn code(&self) -> u8 {
        match self {
            Error::Usage(_) => USAGE,
            _ => TEMPORARY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_bytes_is_printed_as_it_is() {
        let name = OsStr::from_bytes(b"a\xff\n");
        let error = Error::unable("chdir to", name, "", io::Error::from_raw_os_error(2));
        assert_eq!(
            error.line("supervise"),
            b"supervise: fatal: unable to chdir to a\xff\n: file does not exist\n"
        );
    }

    #[test]
    fn an_empty_name_leaves_its_blank() {
        let error = Error::unable(
            "chdir to",
            OsStr::new(""),
            "",
            io::Error::from_raw_os_error(2),
        );
        assert_eq!(
            error.sentence(),
            b"unable to chdir to : file does not exist"
        );
        let error = Error::unable_to("read directory", io::Error::from_raw_os_error(2));
        assert_eq!(
            error.sentence(),
            b"unable to read directory: file does not exist"
        );
    }
}
