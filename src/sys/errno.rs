//! Error numbers, and what they mean where it matters.

use std::io;

/// The numbers, whatever they are on this machine.
pub mod numbers {
    pub use libc::{
        E2BIG, EACCES, EADDRINUSE, EADDRNOTAVAIL, EADV, EAFNOSUPPORT, EAGAIN, EALREADY, EBADF,
        EBADMSG, EBUSY, ECHILD, ECOMM, ECONNABORTED, ECONNREFUSED, ECONNRESET, EDEADLK,
        EDESTADDRREQ, EDOM, EDQUOT, EEXIST, EFAULT, EFBIG, EHOSTDOWN, EHOSTUNREACH, EIDRM,
        EINPROGRESS, EINTR, EINVAL, EIO, EISCONN, EISDIR, ELOOP, EMFILE, EMLINK, EMSGSIZE,
        EMULTIHOP, ENAMETOOLONG, ENETDOWN, ENETRESET, ENETUNREACH, ENFILE, ENOBUFS, ENODEV, ENOENT,
        ENOEXEC, ENOLCK, ENOLINK, ENOMEM, ENOMSG, ENONET, ENOPROTOOPT, ENOSPC, ENOSR, ENOSTR,
        ENOSYS, ENOTBLK, ENOTCONN, ENOTDIR, ENOTEMPTY, ENOTSOCK, ENOTTY, ENXIO, EOPNOTSUPP, EPERM,
        EPFNOSUPPORT, EPIPE, EPROTO, EPROTONOSUPPORT, EPROTOTYPE, ERANGE, EREMCHG, EREMOTE, EROFS,
        ESHUTDOWN, ESOCKTNOSUPPORT, ESPIPE, ESRCH, ESRMNT, ESTALE, ETIME, ETIMEDOUT, ETOOMANYREFS,
        ETXTBSY, EUSERS, EXDEV,
    };
}

/// A file is larger than anything that makes sense (EFBIG).
pub fn too_big() -> io::Error {
    io::Error::from_raw_os_error(libc::EFBIG)
}

/// Something was broken off because a signal came (EINTR).
pub fn interrupted() -> io::Error {
    io::Error::from_raw_os_error(libc::EINTR)
}

/// There is no memory for something that can do without (ENOMEM).
pub fn out_of_memory() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOMEM)
}

/// A process has as many open files as it may have (EMFILE).
pub fn too_many_files() -> io::Error {
    io::Error::from_raw_os_error(libc::EMFILE)
}

/// A name that was to be a file of one's own is a link, of another user or special: what
/// open(2) says of such a name with O_NOFOLLOW and O_NONBLOCK, and what [`not_own`] is.
pub fn is_not_own(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::ELOOP | libc::ENXIO)
    )
}

/// A file is not one's own (EPERM).
pub fn not_own() -> io::Error {
    io::Error::from_raw_os_error(libc::EPERM)
}

/// A FIFO is none of the files that are wanted (ENXIO).
pub fn is_fifo() -> io::Error {
    io::Error::from_raw_os_error(libc::ENXIO)
}

/// Whether `error` is EMFILE or ENFILE: no more files can be opened now.
pub fn is_too_many_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// A file is not a program that can do what is needed (ENOEXEC).
pub fn no_program() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOEXEC)
}

/// Whether `error` is ENXIO: a FIFO that nobody has open for reading.
pub fn is_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO)
}

/// Whether `error` is ELOOP: a symbolic link where none is followed.
pub fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

/// Whether `error` is EINVAL: of readlink(2), that the file is no symbolic link.
pub fn is_invalid(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// Whether `error` is ENOEXEC: of execve(2), a program of no known format.
pub fn is_no_program(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOEXEC)
}

/// Whether `error` is ENOSPC or EDQUOT: there is no room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

/// Whether `error` is ESPIPE: the file has no places to go to.
pub fn is_unseekable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESPIPE)
}

/// Whether `error` is ENOSYS or EPERM: the kernel is too old for a system call, or a filter
/// does not know it (seccomp(2)).
pub fn is_not_available(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

/// Whether `error` is ESRCH: there is no such process.
pub fn is_no_process(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}
