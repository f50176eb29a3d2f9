//! A calendar date and time, used by all modules.

/// A date and time in some time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    /// The year, such as 1999. It wraps if it does not fit, as in 0.76.
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
