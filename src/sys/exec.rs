//! Become another program: everything is made ready first, so that becoming it
//! allocates nothing and works under the tightest of limits (softlimit).

use crate::sys::{file, signals};
use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

unsafe extern "C" {
    /// The C library's list of this process's environment, ended by a null pointer.
    static environ: *const *const c_char;
}

/// Where a program without a `/` in its name is looked for if PATH is unset.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A program that this process can become.
pub struct Program {
    /// The files to try, in this order.
    candidates: Vec<CString>,
    arguments: List,
    /// None: this process's environment, byte for byte.
    environment: Option<List>,
}

impl Program {
    /// The program `name`, which is given `arguments` (the first is its own name)
    /// and this process's environment. A name with a `/` is used as it is, any
    /// other is looked for in PATH as it is now, `/bin:/usr/bin` if it is unset;
    /// an empty element is the current directory.
    ///
    /// # Errors
    /// EINVAL if there is a NUL byte in what it is given.
    pub fn new(name: &OsStr, arguments: &[impl AsRef<OsStr>]) -> io::Result<Program> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
        Program::in_path(name, arguments, &path)
    }

    /// As [`Program::new`], for a program that is ours to choose: root does not take an
    /// empty element of PATH for the current directory, where anybody may have put it.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn ours(name: &OsStr, arguments: &[impl AsRef<OsStr>]) -> io::Result<Program> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
        Program::of(candidates(name, &path, file::euid() != 0)?, arguments)
    }

    /// The program in the file `path`, which is used as it is.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn at(path: &OsStr, arguments: &[impl AsRef<OsStr>]) -> io::Result<Program> {
        Program::of(vec![c_string(path.as_bytes())?], arguments)
    }

    /// As [`Program::new`], but the PATH it is looked for in is `path`.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn in_path(
        name: &OsStr,
        arguments: &[impl AsRef<OsStr>],
        path: &OsStr,
    ) -> io::Result<Program> {
        Program::of(candidates(name, path, true)?, arguments)
    }

    fn of(candidates: Vec<CString>, arguments: &[impl AsRef<OsStr>]) -> io::Result<Program> {
        let arguments = arguments.iter().map(|word| word.as_ref().as_bytes());
        Ok(Program {
            candidates,
            arguments: List::new(arguments)?,
            environment: None,
        })
    }

    /// The same program, given the environment `entries` (`NAME=VALUE`, or
    /// whatever bytes there are).
    ///
    /// # Errors
    /// EINVAL if there is a NUL byte in one of them.
    pub fn with_environment(self, entries: &[Vec<u8>]) -> io::Result<Program> {
        let environment = Some(List::new(entries.iter().map(Vec::as_slice))?);
        Ok(Program {
            environment,
            ..self
        })
    }

    /// The same program, given this process's environment with these `changes`.
    ///
    /// # Errors
    /// As [`Program::with_environment`].
    pub fn with_changes(self, changes: &[(&OsStr, &OsStr)]) -> io::Result<Program> {
        let mut entries = environment();
        for (name, value) in changes {
            let start = [name.as_bytes(), b"="].concat();
            entries.retain(|entry| !entry.starts_with(&start));
            entries.push([&start, value.as_bytes()].concat());
        }
        self.with_environment(&entries)
    }

    /// The same program, given nothing but PATH in its environment, which is `path`.
    ///
    /// # Errors
    /// As [`Program::with_environment`].
    pub fn with_path_alone(self, path: &OsStr) -> io::Result<Program> {
        self.with_environment(&[[b"PATH=", path.as_bytes()].concat()])
    }

    /// Becomes the program; comes back only if that fails. SIGPIPE is as this
    /// process was given it.
    ///
    /// As in 0.76 a file that may not be used (EACCES, EPERM, EISDIR) is passed
    /// over but remembered, one that is not there is passed over, and any other
    /// error ends the search.
    ///
    /// # Errors
    /// What execve(2) says of the file that ended the search, else of the last
    /// one remembered, else ENOENT.
    pub fn exec(&self) -> io::Error {
        signals::restore_sigpipe();
        let environment = match &self.environment {
            Some(list) => list.as_ptr(),
            // SAFETY: nothing in this crate changes the environment, and it has no threads.
            None => unsafe { environ },
        };
        let mut remembered = libc::ENOENT;
        for candidate in &self.candidates {
            // SAFETY: a C string and two lists of such, each ended by a null pointer.
            unsafe { libc::execve(candidate.as_ptr(), self.arguments.as_ptr(), environment) };
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::ENOENT) => {}
                Some(number @ (libc::EACCES | libc::EPERM | libc::EISDIR)) => remembered = number,
                _ => return error,
            }
        }
        io::Error::from_raw_os_error(remembered)
    }
}

/// This process's environment, each entry as it is, whatever bytes it holds.
pub fn environment() -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    // SAFETY: `environ` is null or a list of C strings that a null pointer ends;
    // nothing in this crate changes it.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            entries.push(CStr::from_ptr(*next).to_bytes().to_vec());
            next = next.add(1);
        }
    }
    entries
}

/// The files that `name` may stand for, empty elements of `path` left out or not.
fn candidates(name: &OsStr, path: &OsStr, empty: bool) -> io::Result<Vec<CString>> {
    let name = name.as_bytes();
    if name.contains(&b'/') {
        return Ok(vec![c_string(name)?]);
    }
    path.as_bytes()
        .split(|byte| *byte == b':')
        .filter(|element| empty || !element.is_empty())
        .map(|element| {
            let element = if element.is_empty() { b"." } else { element };
            c_string(&[element, b"/", name].concat())
        })
        .collect()
}

fn c_string(text: &[u8]) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// C strings, and the list of pointers to them that execve(2) takes.
struct List {
    _texts: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl List {
    fn new<'a>(texts: impl Iterator<Item = &'a [u8]>) -> io::Result<List> {
        let texts = texts.map(c_string).collect::<io::Result<Vec<_>>>()?;
        // A CString's bytes stay where they are when it is moved.
        let pointers = texts.iter().map(|text| text.as_ptr());
        let pointers = pointers.chain([std::ptr::null()]).collect();
        Ok(List {
            _texts: texts,
            pointers,
        })
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::sys::child;

    fn end_of(program: &Program) -> End {
        child::wait(
            child::spawn(|| u8::try_from(program.exec().raw_os_error().unwrap()).unwrap()).unwrap(),
        )
        .unwrap()
    }

    fn program(words: &[&str]) -> Program {
        Program::new(OsStr::new(words[0]), words).unwrap()
    }

    #[test]
    fn a_program_gets_the_environment_it_is_given() {
        let script = "test \"$A\" = 'b c' && test -z \"$HOME\"";
        let entries = [b"A=b c".to_vec(), b"no equals sign".to_vec()];
        let program = program(&["/bin/sh", "-c", script]);
        let program = program.with_environment(&entries).unwrap();
        assert_eq!(end_of(&program), End::Exited(0));
    }

    #[test]
    fn an_error_comes_back_as_its_number() {
        assert_eq!(end_of(&program(&["/nosuch"])), End::Exited(2));
        assert_eq!(end_of(&program(&["nosuch-program"])), End::Exited(2));
        assert_eq!(end_of(&program(&["/etc"])), End::Exited(13));
        assert!(Program::new(OsStr::new("a\0b"), &["x"]).is_err());
    }

    #[test]
    fn an_empty_element_is_the_current_directory_or_nothing() {
        let of = |name: &str, path: &str, empty| {
            let found = candidates(OsStr::new(name), OsStr::new(path), empty).unwrap();
            let found = found.iter().map(|path| path.to_str().unwrap());
            found.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("a", ":/bin::.", true), "./a /bin/a ./a ./a");
        assert_eq!(of("a", ":/bin::.", false), "/bin/a ./a");
        assert_eq!(of("a", "", false), "");
        assert_eq!(of("./a", "", false), "./a");
    }

    #[test]
    fn the_environment_is_that_of_this_process() {
        let entries = environment();
        for (name, value) in std::env::vars_os() {
            let entry = [name.as_bytes(), b"=", value.as_bytes()].concat();
            assert!(entries.contains(&entry), "{name:?}");
        }
    }
}
