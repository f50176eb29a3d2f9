//! The text of an error number, in daemontools' words (never the C library's).

use crate::sys::errno::numbers;
use std::io;

/// The text that daemontools 0.76 prints for the errno of `error`; `unknown error` if it has
/// none, and `partial write` for an [`io::ErrorKind::WriteZero`], which has no errno. EPERM is
/// `permission denied`, EACCES `access denied`.
pub fn reason(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::WriteZero {
        return "partial write";
    }
    match error.raw_os_error().unwrap_or(0) {
        0 => "unknown error",
        numbers::EPERM => "permission denied",
        numbers::ENOENT => "file does not exist",
        numbers::EINTR => "interrupted system call",
        numbers::EIO => "input/output error",
        numbers::ENOMEM => "out of memory",
        numbers::ENXIO => "device not configured",
        numbers::EAGAIN => "temporary failure",
        numbers::EEXIST => "file already exists",
        numbers::ENOTDIR => "not a directory",
        numbers::EISDIR => "is a directory",
        numbers::ETXTBSY => "text busy",
        numbers::EPIPE => "broken pipe",
        numbers::ETIMEDOUT => "timed out",
        numbers::EINPROGRESS => "operation in progress",
        numbers::EPROTO => "protocol error",
        numbers::ECONNREFUSED => "connection refused",
        numbers::EACCES => "access denied",
        numbers::ESRCH => "no such process",
        numbers::E2BIG => "argument list too long",
        numbers::ENOEXEC => "exec format error",
        numbers::EBADF => "file descriptor not open",
        numbers::ECHILD => "no child processes",
        numbers::EDEADLK => "operation would cause deadlock",
        numbers::EFAULT => "bad address",
        numbers::ENOTBLK => "not a block device",
        numbers::EBUSY => "device busy",
        numbers::EXDEV => "cross-device link",
        numbers::ENODEV => "device does not support operation",
        numbers::EINVAL => "invalid argument",
        numbers::ENFILE => "system cannot open more files",
        numbers::EMFILE => "process cannot open more files",
        numbers::ENOTTY => "not a tty",
        numbers::EFBIG => "file too big",
        numbers::ENOSPC => "out of disk space",
        numbers::ESPIPE => "unseekable descriptor",
        numbers::EROFS => "read-only file system",
        numbers::EMLINK => "too many links",
        numbers::EDOM => "input out of range",
        numbers::ERANGE => "output out of range",
        numbers::ENAMETOOLONG => "file name too long",
        numbers::ELOOP => "symbolic link loop",
        numbers::ENOTEMPTY => "directory not empty",
        numbers::ENOLCK => "no locks available",
        numbers::ENOSYS => "system call not available",
        numbers::EDQUOT => "disk quota exceeded",
        numbers::ESTALE => "stale NFS file handle",
        numbers::EREMOTE => "too many levels of remote in path",
        numbers::EUSERS => "too many users",
        numbers::ENOMSG => "no message of desired type",
        numbers::EIDRM => "identifier removed",
        numbers::EBADMSG => "bad message type",
        numbers::ENOSTR => "not a stream device",
        numbers::ETIME => "timer expired",
        numbers::ENOSR => "out of stream resources",
        numbers::ENONET => "machine not on network",
        numbers::ENOLINK => "link severed",
        numbers::EADV => "advertise error",
        numbers::ESRMNT => "srmount error",
        numbers::ECOMM => "communication error",
        numbers::EMULTIHOP => "multihop attempted",
        numbers::EREMCHG => "remote address changed",
        numbers::EALREADY => "operation already in progress",
        numbers::ENOTSOCK => "not a socket",
        numbers::EDESTADDRREQ => "destination address required",
        numbers::EMSGSIZE => "message too long",
        numbers::EPROTOTYPE => "incorrect protocol type",
        numbers::ENOPROTOOPT => "protocol not available",
        numbers::EPROTONOSUPPORT => "protocol not supported",
        numbers::ESOCKTNOSUPPORT => "socket type not supported",
        numbers::EOPNOTSUPP => "operation not supported",
        numbers::EPFNOSUPPORT => "protocol family not supported",
        numbers::EAFNOSUPPORT => "address family not supported",
        numbers::EADDRINUSE => "address already used",
        numbers::EADDRNOTAVAIL => "address not available",
        numbers::ENETDOWN => "network down",
        numbers::ENETUNREACH => "network unreachable",
        numbers::ENETRESET => "network reset",
        numbers::ECONNABORTED => "connection aborted",
        numbers::ECONNRESET => "connection reset",
        numbers::ENOBUFS => "out of buffer space",
        numbers::EISCONN => "already connected",
        numbers::ENOTCONN => "not connected",
        numbers::ESHUTDOWN => "socket shut down",
        numbers::ETOOMANYREFS => "too many references",
        numbers::EHOSTDOWN => "host down",
        numbers::EHOSTUNREACH => "host unreachable",
        _ => "unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_denials_are_told_apart() {
        let of = |number| reason(&io::Error::from_raw_os_error(number));
        assert_eq!(of(numbers::EPERM), "permission denied");
        assert_eq!(of(numbers::EACCES), "access denied");
        assert_eq!(of(numbers::EAGAIN), "temporary failure");
        assert_eq!(of(i32::MAX), "unknown error");
    }
}
