//! Times as E2B's API has them: RFC 3339, in UTC, with milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY_MS: i64 = 86_400_000;

/// Returns the time in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Returns the time in nanoseconds since 1970.
pub(crate) fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

/// Formats a time in milliseconds since 1970, at most the end of the year 9999.
pub(crate) fn format(ms: u64) -> String {
    const END: u64 = 253_402_300_799_999;
    let ms = i64::try_from(ms.min(END)).unwrap_or(0);
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let time = ms.rem_euclid(DAY_MS);
    let (seconds, millis) = (time / 1000, time % 1000);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
    )
}

/// Parses an RFC 3339 time, in any offset, into milliseconds since 1970. Returns `None` if it is none, or before 1970.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let (year, month, day) = (
        number(parts.next()?, 4)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let mut parts = clock.split(':');
    let (hour, minute, second) = (
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24;
    if !in_range || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        None => ("", rest),
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
    };
    let millis = fraction
        .chars()
        .chain("000".chars())
        .take(3)
        .collect::<String>();
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let sign = match zone.chars().next()? {
                '+' => 1,
                '-' => -1,
                _ => return None,
            };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            sign * (number(hours, 2)? * 60 + number(minutes, 2)?)
        }
    };
    let seconds = hour * 3600 + minute * 60 + second - offset * 60;
    let ms = days(year, month, day) * DAY_MS + seconds * 1000 + millis.parse::<i64>().ok()?;
    u64::try_from(ms).ok()
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let good = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

/// Returns the date of a number of days since 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March, so that the leap day is their last one.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Returns the number of days from 1970-01-01 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = (month + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, civil, days, format, parse};

    #[test]
    fn times_are_formatted_and_parsed() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_796_101_578_123, "2026-12-01T05:06:18.123Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format(ms), text);
            assert_eq!(parse(text), Some(ms));
        }
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(parse("2000-02-29T01:30:00+01:30"), Some(951_782_400_000));
        assert_eq!(parse("2000-02-28T22:00:00.5-02:00"), Some(951_782_400_500));
    }

    #[test]
    fn dates_round_trip() {
        for day in (0..200_000).step_by(37) {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), day);
            assert_eq!(
                parse(&format(u64::try_from(day * DAY_MS).unwrap_or(0))),
                u64::try_from(day * DAY_MS).ok()
            );
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2000-02-29",
            "2000-13-01T00:00:00Z",
            "2000-02-29T24:00:00Z",
            "2000-02-29T00:00:00",
            "2000-02-29T00:00:00.",
            "2000-02-29T00:00:00+ab:cd",
            "1960-01-01T00:00:00Z",
            "２000-02-29T00:00:00Z",
            "2000-02-29T00:00:00é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
