//! exec: everything is prepared first, so that [`Program::exec`] itself allocates no memory and
//! works under the tightest limits (softlimit).

use crate::sys::{file, signals};
use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

unsafe extern "C" {
    /// The C library's list of this process's environment, terminated by a null pointer.
    static environ: *const *const c_char;
}

/// The PATH that is searched if PATH is unset.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A program that this process can exec.
pub struct Program {
    /// The files to try, in order.
    candidates: Vec<CString>,
    arguments: List,
    /// None: the environment of this process, unchanged.
    environment: Option<List>,
}

impl Program {
    /// The program `name` with these `arguments` (the first is `argv[0]`) and this process's
    /// environment. A name that contains `/` is used as a path; any other is searched for in
    /// PATH (`/bin:/usr/bin` if that is unset). An empty element of PATH is the current
    /// directory.
    ///
    /// # Errors
    /// EINVAL if the name or an argument contains a NUL byte.
    pub fn new(name: &OsStr, arguments: &[impl AsRef<OsStr>]) -> io::Result<Program> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
        Program::in_path(name, arguments, &path)
    }

    /// As [`Program::new`], for a program that the user did not name: for root, an empty
    /// element of PATH is skipped, because other users may be able to write to the current
    /// directory.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn ours(name: &OsStr, arguments: &[impl AsRef<OsStr>]) -> io::Result<Program> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
        Program::of(candidates(name, &path, file::euid() != 0)?, arguments)
    }

    /// The program in the file `path`; PATH is not searched.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn at(path: &OsStr, arguments: &[impl AsRef<OsStr>]) -> io::Result<Program> {
        Program::of(vec![c_string(path.as_bytes())?], arguments)
    }

    /// As [`Program::new`], but `path` is searched instead of PATH.
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

    /// The same program with the environment `entries` (`NAME=VALUE`, or any other bytes).
    ///
    /// # Errors
    /// EINVAL if an entry contains a NUL byte.
    pub fn with_environment(self, entries: &[Vec<u8>]) -> io::Result<Program> {
        let environment = Some(List::new(entries.iter().map(Vec::as_slice))?);
        Ok(Program {
            environment,
            ..self
        })
    }

    /// The same program with this process's environment and these `changes`.
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

    /// The same program with only PATH in its environment, set to `path`.
    ///
    /// # Errors
    /// As [`Program::with_environment`].
    pub fn with_path_alone(self, path: &OsStr) -> io::Result<Program> {
        self.with_environment(&[[b"PATH=", path.as_bytes()].concat()])
    }

    /// Executes the program (execve(2)); returns only if that fails. SIGPIPE has the
    /// disposition that this process inherited.
    ///
    /// As in 0.76, a candidate that fails with EACCES, EPERM or EISDIR is remembered and the
    /// search continues, a missing one is skipped, and any other error ends the search.
    ///
    /// # Errors
    /// The error of execve(2) that ended the search, else the last one that was remembered,
    /// else ENOENT.
    pub fn exec(&self) -> io::Error {
        signals::restore_sigpipe();
        let environment = match &self.environment {
            Some(list) => list.as_ptr(),
            // SAFETY: this crate never changes the environment, and has no threads.
            None => unsafe { environ },
        };
        let mut remembered = libc::ENOENT;
        for candidate in &self.candidates {
            // SAFETY: a C string and two lists of C strings, each terminated by a null pointer.
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

/// The environment of this process, as raw bytes.
pub fn environment() -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    // SAFETY: `environ` is null or a list of C strings that a null pointer terminates; this
    // crate never changes it.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            entries.push(CStr::from_ptr(*next).to_bytes().to_vec());
            next = next.add(1);
        }
    }
    entries
}

/// The candidate files for `name`; `empty`: whether empty elements of `path` count.
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
        // The bytes of a CString do not move with it.
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
