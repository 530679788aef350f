//! Identifiers and times in the forms of Jupyter.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::ApiError;

/// Returns a random UUID (version 4).
pub(crate) fn uuid() -> Result<String, ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(ApiError::internal)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&i) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Returns a random value of 256 bits as hexadecimal digits.
pub(crate) fn secret() -> Result<String, ApiError> {
    Ok(format!("{}{}", uuid()?, uuid()?).replace('-', ""))
}

/// Returns a time of RFC 3339 in UTC, with microseconds.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (year, month, day) = civil(seconds / 86_400);
    let second = seconds % 86_400;
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{micros:06}Z")
}

/// Returns the time `ago` before now.
pub(crate) fn ago(ago: Duration) -> SystemTime {
    SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH)
}

/// Returns year, month and day of the Gregorian calendar, `days` after the start of 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years start in March, so that the leap day is the last one.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_date_of_the_gregorian_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_796_083_199, "2026-11-30T23:59:59.000000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(timestamp(time), expected);
        }
    }

    #[test]
    fn identifiers_are_random_uuids_of_version_4() {
        let (one, other) = (
            uuid().expect("an identifier"),
            uuid().expect("an identifier"),
        );
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes().get(14), Some(&b'4'));
        assert_eq!(secret().expect("a secret").len(), 64);
    }
}
