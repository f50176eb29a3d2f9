//! softlimit
