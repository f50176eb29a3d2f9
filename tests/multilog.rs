//! multilog with real pipes, disks and signals.
