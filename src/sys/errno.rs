//! Error numbers (errno), and predicates for those that callers handle.

use std::io;

/// The values of the error numbers on this architecture.
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

/// EFBIG: a file is unreasonably large.
pub fn too_big() -> io::Error {
    io::Error::from_raw_os_error(libc::EFBIG)
}

/// EINVAL: an argument makes no sense.
pub fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

/// EINTR: a signal interrupted the operation.
pub fn interrupted() -> io::Error {
    io::Error::from_raw_os_error(libc::EINTR)
}

/// ENOMEM: there is no memory for an optional allocation.
pub fn out_of_memory() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOMEM)
}

/// Whether `error` says that a file is not plainly one's own: a symbolic link (ELOOP), a
/// special file (ENXIO), or another user's ([`not_own`], EPERM). open(2) with O_NOFOLLOW and
/// O_NONBLOCK returns the first two.
pub fn is_not_own(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::ELOOP | libc::ENXIO)
    )
}

/// EPERM: the file belongs to another user, or has another hard link.
pub fn not_own() -> io::Error {
    io::Error::from_raw_os_error(libc::EPERM)
}

/// ENXIO: the file is a FIFO, where a plain file is expected.
pub fn is_fifo() -> io::Error {
    io::Error::from_raw_os_error(libc::ENXIO)
}

/// Whether `error` is EMFILE or ENFILE: no more files can be opened at present.
pub fn is_too_many_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// ENOEXEC: the file is not a suitable program.
pub fn no_program() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOEXEC)
}

/// Whether `error` is ENXIO: the FIFO has no reader.
pub fn is_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO)
}

/// Whether `error` is ELOOP: the file is a symbolic link, which O_NOFOLLOW does not follow.
pub fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

/// Whether `error` is EINVAL: from readlink(2), the file is not a symbolic link.
pub fn is_invalid(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// Whether `error` is ENOEXEC: from execve(2), the file has no known executable format.
pub fn is_no_program(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOEXEC)
}

/// Whether `error` is ENOSPC or EDQUOT: the disk is full, or the quota is exceeded.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

/// Whether `error` is ESPIPE: the file is not seekable.
pub fn is_unseekable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESPIPE)
}

/// Whether `error` is ENOSYS or EPERM: the kernel does not have a system call, or a seccomp(2)
/// filter refuses it.
pub fn is_not_available(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

/// Whether `error` is ESRCH: there is no such process.
pub fn is_no_process(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}
