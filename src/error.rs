//! The error type of all programs: daemontools' messages and exit statuses.

mod reason;

pub use reason::reason;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Exit status 100: a usage error, or a permanent failure.
pub const USAGE: u8 = 100;
/// Exit status 111: a temporary failure of the system; a retry may succeed.
pub const TEMPORARY: u8 = 111;

/// Why a program failed.
///
/// [`Error::line`] returns the exact bytes to print, with names unchanged, whatever bytes they
/// contain. `Display` is for programmers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A usage error; the text is printed after `PROGRAM: `.
    #[error("{0}")]
    Usage(&'static str),
    /// A system call failed: `unable to DOING OBJECT: REASON`.
    #[error("{}", String::from_utf8_lossy(&self.sentence()))]
    Unable {
        /// What was tried, such as `chdir to`.
        doing: &'static str,
        /// The object, as on the command line; None if the message names none.
        object: Option<Vec<u8>>,
        /// The error of the system call.
        source: io::Error,
    },
    /// A system call failed: `WHAT failed: REASON`.
    #[error("{what} failed: {}", reason(source))]
    Failed {
        /// The call.
        what: &'static str,
        /// The error of the system call.
        source: io::Error,
    },
    /// There is no account of this name: `unknown account NAME`.
    #[error("unknown account {}", String::from_utf8_lossy(.0))]
    UnknownAccount(Vec<u8>),
    /// A signal killed the child of fghack: `child crashed`.
    #[error("child crashed")]
    ChildCrashed,
    /// As [`Error::Unable`], printed without the program's name (an oversight in Debian's
    /// package that scripts may rely on).
    #[error("unable to {doing}: {}", reason(source))]
    Unnamed {
        /// What was tried.
        doing: &'static str,
        /// The error of the system call.
        source: io::Error,
    },
}

impl Error {
    /// An [`Error::Unable`] about `dir` followed by `rest` (such as `/supervise/lock`, or
    /// nothing).
    pub fn unable(doing: &'static str, dir: &OsStr, rest: &str, source: io::Error) -> Error {
        let mut object = dir.as_bytes().to_vec();
        object.extend_from_slice(rest.as_bytes());
        Error::Unable {
            doing,
            object: Some(object),
            source,
        }
    }

    /// An [`Error::Unable`] without an object.
    pub fn unable_to(doing: &'static str, source: io::Error) -> Error {
        Error::Unable {
            doing,
            object: None,
            source,
        }
    }

    /// The message without the program's name: `unable to DOING OBJECT: REASON`.
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

    /// The line to print, including the newline, when `program` exits because of this error.
    pub fn line(&self, program: &str) -> Vec<u8> {
        let before = match self {
            Error::Usage(_) => format!("{program}: "),
            Error::Unnamed { .. } => String::new(),
            _ => format!("{program}: fatal: "),
        };
        [before.as_bytes(), &self.sentence(), b"\n"].concat()
    }

    /// The line to print, including the newline, when `program` continues.
    pub fn warning(&self, program: &str) -> Vec<u8> {
        [program.as_bytes(), b": warning: ", &self.sentence(), b"\n"].concat()
    }

    /// The exit status of a program that exits because of this error.
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
