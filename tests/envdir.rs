//! envdir
