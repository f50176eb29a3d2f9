//! pgrphack
