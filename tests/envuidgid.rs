//! envuidgid
