//! Times as RFC 3339 writes them: `2026-03-01T10:20:30.123456789+02:00`. Within the program they are nanoseconds
//! since the epoch (CLOCK_REALTIME).

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400;

/// Writes the time in UTC, with as many digits of the second as it needs. None outside the years 0 to 9999.
pub(crate) fn format(ns: i128) -> Option<String> {
    let mut text = date_and_time(ns.div_euclid(SECOND))?;
    let fraction = ns.rem_euclid(SECOND);
    if fraction != 0 {
        text.push_str(format!(".{fraction:09}").trim_end_matches('0'));
    }
    text.push('Z');
    Some(text)
}

/// Writes the time in UTC, always with nine digits of the second. A `u64` ends within the year 2554, so every one can
/// be written.
pub(crate) fn format_with_nanoseconds(ns: u64) -> String {
    let (seconds, fraction) = (ns / 1_000_000_000, ns % 1_000_000_000);
    format!("{}.{fraction:09}Z", date_and_time(seconds.into()).unwrap_or_default())
}

/// Writes a number of seconds since the epoch as `2026-03-01T10:20:30`.
fn date_and_time(seconds: i128) -> Option<String> {
    let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = date_of(i64::try_from(days).ok()?);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
}

/// Reads a time; digits of the second beyond the ninth are cut. An error says that the text is no time.
pub(crate) fn parse(text: &str) -> Result<i128, String> {
    read(text.as_bytes()).ok_or_else(|| format!("{text:?} is no RFC 3339 time"))
}

fn read(text: &[u8]) -> Option<i128> {
    let mut rest = Rest(text);
    let (year, month) = (rest.number(4)?, rest.after(b"-")?.number(2)?);
    let day = rest.after(b"-")?.number(2)?;
    let hour = rest.after(b"Tt ")?.number(2)?;
    let minute = rest.after(b":")?.number(2)?;
    let second = rest.after(b":")?.number(2)?;
    let fraction = if rest.after(b".").is_some() { rest.fraction()? } else { 0 };
    let offset = match rest.byte()? {
        b'Z' | b'z' => 0,
        sign @ (b'+' | b'-') => {
            let (hours, minutes) = (rest.number(2)?, rest.after(b":")?.number(2)?);
            let east = hours * 3600 + minutes * 60;
            let plausible = hours < 24 && minutes < 60;
            if !plausible {
                return None;
            }
            if sign == b'+' { east } else { -east }
        }
        _ => return None,
    };
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    let is_time = hour < 24 && minute < 60 && second < 60;
    if !rest.0.is_empty() || !is_date || !is_time {
        return None;
    }
    let seconds = days_to(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(i128::from(seconds) * SECOND + i128::from(fraction))
}

/// The text that is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Goes past the next byte if it is one of these.
    fn after(&mut self, any_of: &[u8]) -> Option<&mut Self> {
        let first = self.0.first()?;
        if !any_of.contains(first) {
            return None;
        }
        self.0 = &self.0[1..];
        Some(self)
    }

    fn digit(&mut self) -> Option<i64> {
        let first = *self.0.first()?;
        first.is_ascii_digit().then(|| {
            self.0 = &self.0[1..];
            i64::from(first - b'0')
        })
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        (0..digits).try_fold(0, |number, _| Some(number * 10 + self.digit()?))
    }

    fn fraction(&mut self) -> Option<i64> {
        let mut value = self.digit()? * (SECOND as i64) / 10;
        let mut unit = SECOND as i64 / 10;
        while let Some(digit) = self.digit() {
            unit /= 10;
            value += digit * unit;
        }
        Some(value)
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts the days from the epoch to a date. Years are counted from March, so that the leap day is the last of a year,
/// in eras of 400 years (146,097 days).
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Does the inverse of [`days_to`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        for (text, ns) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600 * SECOND),
            ("2026-03-01T10:20:30.123456789+02:00", 1_772_353_230 * SECOND + 123_456_789),
            ("2026-03-01T10:20:30.5-11:30", 1_772_401_830 * SECOND + 500_000_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800 * SECOND),
            ("9999-12-31t23:59:59z", 253_402_300_799 * SECOND),
            ("2026-03-01 10:20:30.1234567891234Z", 1_772_360_430 * SECOND + 123_456_789),
        ] {
            assert_eq!(parse(text), Ok(ns), "{text}");
        }
        assert_eq!(format(951_825_600 * SECOND + 120_000_000).as_deref(), Some("2000-02-29T12:00:00.12Z"));
        assert_eq!(format(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(format(253_402_300_800 * SECOND), None);
        assert_eq!(format(i128::MIN / 2), None);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(format_with_nanoseconds(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(format_with_nanoseconds(951_782_400_000_000_001), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(format_with_nanoseconds(1_709_251_199_000_000_000), "2024-02-29T23:59:59.000000000Z");
        assert_eq!(format_with_nanoseconds(4_107_542_400_000_000_000), "2100-03-01T00:00:00.000000000Z");
        assert_eq!(format_with_nanoseconds(u64::MAX), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026",
            "2026-03-01",
            "2026-03-01T10:20:30",
            "2026-13-01T10:20:30Z",
            "2026-00-01T10:20:30Z",
            "2025-02-29T10:20:30Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T10:60:30Z",
            "2026-03-01T10:20:60Z",
            "2026-03-01T10:20:30.Z",
            "2026-03-01T10:20:30+2:00",
            "2026-03-01T10:20:30+24:00",
            "2026-03-01T10:20:30Zjunk",
            "+026-03-01T10:20:30Z",
            "2026-03-01T10:20:30+0200",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in -62_167_219_200_i64..=253_402_300_799, fraction in 0..1_000_000_000_i64) {
            let ns = i128::from(seconds) * SECOND + i128::from(fraction);
            let text = format(ns).expect("in range");
            prop_assert_eq!(parse(&text), Ok(ns));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn nearly_times_do_not_panic(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,30})?([Zz]|[+-][0-9]{2}:[0-9]{2})") {
            if let Some((ns, again)) = parse(&text).ok().and_then(|ns| Some((ns, format(ns)?))) {
                prop_assert_eq!(parse(&again), Ok(ns));
            }
        }
    }
}
