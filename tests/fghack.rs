//! fghack
