//! setlock
