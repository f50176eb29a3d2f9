//! The text of an error number, in daemontools' words (never the C library's).

use std::io;

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

/// What daemontools 0.76 prints for the number of `error`; `unknown error` for
/// one it has no text for, and
/// `partial write` for an [`io::ErrorKind::WriteZero`], which has no number. Note the pair EPERM `permission denied` and EACCES
/// `access denied`.
pub fn reason(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::WriteZero {
        return "partial write";
    }
    match error.raw_os_error().unwrap_or(0) {
        0 => "unknown error",
        libc::EPERM => "permission denied",
        libc::ENOENT => "file does not exist",
        libc::EINTR => "interrupted system call",
        libc::EIO => "input/output error",
        libc::ENOMEM => "out of memory",
        libc::ENXIO => "device not configured",
        libc::EAGAIN => "temporary failure",
        libc::EEXIST => "file already exists",
        libc::ENOTDIR => "not a directory",
        libc::EISDIR => "is a directory",
        libc::ETXTBSY => "text busy",
        libc::EPIPE => "broken pipe",
        libc::ETIMEDOUT => "timed out",
        libc::EINPROGRESS => "operation in progress",
        libc::EPROTO => "protocol error",
        libc::ECONNREFUSED => "connection refused",
        libc::EACCES => "access denied",
        libc::ESRCH => "no such process",
        libc::E2BIG => "argument list too long",
        libc::ENOEXEC => "exec format error",
        libc::EBADF => "file descriptor not open",
        libc::ECHILD => "no child processes",
        libc::EDEADLK => "operation would cause deadlock",
        libc::EFAULT => "bad address",
        libc::ENOTBLK => "not a block device",
        libc::EBUSY => "device busy",
        libc::EXDEV => "cross-device link",
        libc::ENODEV => "device does not support operation",
        libc::EINVAL => "invalid argument",
        libc::ENFILE => "system cannot open more files",
        libc::EMFILE => "process cannot open more files",
        libc::ENOTTY => "not a tty",
        libc::EFBIG => "file too big",
        libc::ENOSPC => "out of disk space",
        libc::ESPIPE => "unseekable descriptor",
        libc::EROFS => "read-only file system",
        libc::EMLINK => "too many links",
        libc::EDOM => "input out of range",
        libc::ERANGE => "output out of range",
        libc::ENAMETOOLONG => "file name too long",
        libc::ELOOP => "symbolic link loop",
        libc::ENOTEMPTY => "directory not empty",
        libc::ENOLCK => "no locks available",
        libc::ENOSYS => "system call not available",
        libc::EDQUOT => "disk quota exceeded",
        libc::ESTALE => "stale NFS file handle",
        libc::EREMOTE => "too many levels of remote in path",
        libc::EUSERS => "too many users",
        libc::ENOMSG => "no message of desired type",
        libc::EIDRM => "identifier removed",
        libc::EBADMSG => "bad message type",
        libc::ENOSTR => "not a stream device",
        libc::ETIME => "timer expired",
        libc::ENOSR => "out of stream resources",
        libc::ENONET => "machine not on network",
        libc::ENOLINK => "link severed",
        libc::EADV => "advertise error",
        libc::ESRMNT => "srmount error",
        libc::ECOMM => "communication error",
        libc::EMULTIHOP => "multihop attempted",
        libc::EREMCHG => "remote address changed",
        libc::EALREADY => "operation already in progress",
        libc::ENOTSOCK => "not a socket",
        libc::EDESTADDRREQ => "destination address required",
        libc::EMSGSIZE => "message too long",
        libc::EPROTOTYPE => "incorrect protocol type",
        libc::ENOPROTOOPT => "protocol not available",
        libc::EPROTONOSUPPORT => "protocol not supported",
        libc::ESOCKTNOSUPPORT => "socket type not supported",
        libc::EOPNOTSUPP => "operation not supported",
        libc::EPFNOSUPPORT => "protocol family not supported",
        libc::EAFNOSUPPORT => "address family not supported",
        libc::EADDRINUSE => "address already used",
        libc::EADDRNOTAVAIL => "address not available",
        libc::ENETDOWN => "network down",
        libc::ENETUNREACH => "network unreachable",
        libc::ENETRESET => "network reset",
        libc::ECONNABORTED => "connection aborted",
        libc::ECONNRESET => "connection reset",
        libc::ENOBUFS => "out of buffer space",
        libc::EISCONN => "already connected",
        libc::ENOTCONN => "not connected",
        libc::ESHUTDOWN => "socket shut down",
        libc::ETOOMANYREFS => "too many references",
        libc::EHOSTDOWN => "host down",
        libc::EHOSTUNREACH => "host unreachable",
        _ => "unknown error",
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_denials_are_told_apart() {
        let of = |number| reason(&io::Error::from_raw_os_error(number));
        assert_eq!(of(libc::EPERM), "permission denied");
        assert_eq!(of(libc::EACCES), "access denied");
        assert_eq!(of(libc::EWOULDBLOCK), "temporary failure");
        assert_eq!(of(libc::EOVERFLOW), "unknown error");
    }
}
