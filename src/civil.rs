//! Plain facts about a date and time, shared by all modules.

/// A moment as people write it in some time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    /// The year, as 1999. One beyond what fits wraps, as in 0.76.
    pub year: i32,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day of the month, 1 to 31.
    pub day: u8,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute, 0 to 59.
    pub minute: u8,
    /// The second, 0 to 59; 60 in a zone that counts leap seconds.
    pub second: u8,
}
