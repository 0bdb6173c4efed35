//! Dates and times as packed numbers whose order is the order in time.

use std::fmt;

/// `yyyymmdd` as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(u32);

/// Year 14 bits, month 4, day 5, hour 5, minute 6, second 6, microsecond 20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime(u64);

impl Date {
    pub fn new(year: u32, month: u32, day: u32) -> Option<Self> {
        if year > 9999 || month == 0 || month > 12 || day == 0 || day > days_in_month(year, month) {
            return None;
        }
        Some(Self(year * 10_000 + month * 100 + day))
    }

    pub fn packed(self) -> u32 {
        self.0
    }

    /// Checks a packed number from outside.
    pub fn from_packed(packed: u32) -> Option<Self> {
        Self::new(packed / 10_000, packed / 100 % 100, packed % 100)
    }

    pub fn parts(self) -> (u32, u32, u32) {
        (self.0 / 10_000, self.0 / 100 % 100, self.0 % 100)
    }

    /// Reads a date, or the date part of a date and time.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        // The usual form first; loads of millions of rows come through here.
        if bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-' {
            return Self::new(number(&bytes[..4])?, number(&bytes[5..7])?, number(&bytes[8..])?);
        }
        DateTime::parse(text).map(DateTime::date)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(out, "{year:04}-{month:02}-{day:02}")
    }
}

impl DateTime {
    pub fn new(date: Date, hour: u32, minute: u32, second: u32, micro: u32) -> Option<Self> {
        if hour > 23 || minute > 59 || second > 59 || micro > 999_999 {
            return None;
        }
        let (year, month, day) = date.parts();
        let time =
            u64::from(hour) << 32 | u64::from(minute) << 26 | u64::from(second) << 20 | u64::from(micro);
        Some(Self(u64::from(year) << 46 | u64::from(month) << 42 | u64::from(day) << 37 | time))
    }

    pub fn at_midnight(date: Date) -> Self {
        let (year, month, day) = date.parts();
        Self(u64::from(year) << 46 | u64::from(month) << 42 | u64::from(day) << 37)
    }

    pub fn packed(self) -> u64 {
        self.0
    }

    /// Checks a packed number from outside.
    pub fn from_packed(packed: u64) -> Option<Self> {
        let field = |shift: u32, bits: u32| ((packed >> shift) & ((1 << bits) - 1)) as u32;
        let date = Date::new(u32::try_from(packed >> 46).ok()?, field(42, 4), field(37, 5))?;
        Self::new(date, field(32, 5), field(26, 6), field(20, 6), field(0, 20))
    }

    pub fn date(self) -> Date {
        let field = |shift: u32, bits: u32| ((self.0 >> shift) & ((1 << bits) - 1)) as u32;
        Date(((self.0 >> 46) as u32) * 10_000 + field(42, 4) * 100 + field(37, 5))
    }

    /// Hour, minute, second, microsecond.
    pub fn time(self) -> (u32, u32, u32, u32) {
        let field = |shift: u32, bits: u32| ((self.0 >> shift) & ((1 << bits) - 1)) as u32;
        (field(32, 5), field(26, 6), field(20, 6), field(0, 20))
    }

    /// The instant with at most `scale` fraction digits; later digits are rounded, and a carry beyond the
    /// second is cut off rather than carried into the next second.
    pub fn with_scale(self, scale: u8) -> Self {
        let unit = 10u32.pow(u32::from(6 - scale.min(6)));
        let (hour, minute, second, micro) = self.time();
        let rounded = ((micro + unit / 2) / unit * unit).min(1_000_000 - unit);
        Self::new(self.date(), hour, minute, second, rounded).unwrap_or(self)
    }

    /// `yyyy-MM-dd HH:mm:ss` and `scale` fraction digits.
    pub fn write(self, out: &mut String, scale: u8) -> fmt::Result {
        use fmt::Write as _;
        let (hour, minute, second, micro) = self.time();
        write!(out, "{} {hour:02}:{minute:02}:{second:02}", self.date())?;
        if scale > 0 {
            let scale = usize::from(scale.min(6));
            let digits = format!("{micro:06}");
            write!(out, ".{}", &digits[..scale])?;
        }
        Ok(())
    }

    /// Reads `yyyy-M-d`, `yyyyMMdd`, `yyyyMMddHHmmss` and the first two with a time after a blank or `T`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::parse_digits(text.as_bytes());
        }
        let (day, time) = match text.split_once([' ', 'T']) {
            Some((day, time)) => (day, Some(time)),
            None => (text, None),
        };
        let date = if day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::parse_digits(day.as_bytes())?.date()
        } else {
            let mut parts = day.split(['-', '/']);
            let date = Date::new(field(parts.next()?)?, field(parts.next()?)?, field(parts.next()?)?)?;
            if parts.next().is_some() {
                return None;
            }
            date
        };
        let Some(time) = time else { return Some(Self::at_midnight(date)) };
        let (clock, fraction) = match time.split_once('.') {
            Some((clock, fraction)) => (clock, fraction),
            None => (time, ""),
        };
        let mut parts = clock.trim_end_matches('Z').split(':');
        let hour = field(parts.next()?)?;
        let minute = parts.next().map_or(Some(0), field)?;
        let second = parts.next().map_or(Some(0), field)?;
        if parts.next().is_some() {
            return None;
        }
        Self::new(date, hour, minute, second, micros(fraction.trim_end_matches('Z'))?)
    }

    fn parse_digits(digits: &[u8]) -> Option<Self> {
        match digits.len() {
            8 => {
                let packed = number(digits)?;
                Date::from_packed(packed).map(Self::at_midnight)
            }
            14 => {
                let date = Date::from_packed(number(&digits[..8])?)?;
                Self::new(date, number(&digits[8..10])?, number(&digits[10..12])?, number(&digits[12..])?, 0)
            }
            _ => None,
        }
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |sum, byte| {
        byte.is_ascii_digit().then(|| sum.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')))
    })
}

fn field(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 4 { None } else { number(text.as_bytes()) }
}

fn micros(fraction: &str) -> Option<u32> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = &fraction[..fraction.len().min(6)];
    Some(number(digits.as_bytes())? * 10u32.pow(6 - digits.len() as u32))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, scale: u8) -> Option<String> {
        let at = DateTime::parse(text)?.with_scale(scale);
        let mut out = String::new();
        at.write(&mut out, scale).unwrap();
        Some(out)
    }

    #[test]
    fn reads_the_usual_forms() {
        assert_eq!(shown("2024-02-29", 0).as_deref(), Some("2024-02-29 00:00:00"));
        assert_eq!(shown("20240229", 0).as_deref(), Some("2024-02-29 00:00:00"));
        assert_eq!(shown("2024-1-2 3:4", 0).as_deref(), Some("2024-01-02 03:04:00"));
        assert_eq!(shown("2024-01-02T03:04:05.1239", 3).as_deref(), Some("2024-01-02 03:04:05.124"));
        assert_eq!(shown("20240102030405", 0).as_deref(), Some("2024-01-02 03:04:05"));
        for text in
            ["2023-02-29", "2024-13-01", "2024-01-02 24:00:00", "x", "", "2024-01", "2024-01-02 1:2:3:4"]
        {
            assert_eq!(shown(text, 0), None, "{text}");
        }
    }

    #[test]
    fn packing_keeps_order_and_value() {
        let early = DateTime::parse("1999-12-31 23:59:59.999999").unwrap();
        let late = DateTime::parse("2000-01-01").unwrap();
        assert!(early < late);
        assert_eq!(DateTime::from_packed(early.packed()), Some(early));
        assert_eq!(DateTime::from_packed(u64::MAX), None);
        assert_eq!(Date::from_packed(20240230), None);
    }
}
