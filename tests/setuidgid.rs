//! setuidgid
