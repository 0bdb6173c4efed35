//! Calendar arithmetic: moving, truncating and formatting an instant.

use jiff::ToSpan as _;
use jiff::civil;

use super::date::{Date, DateTime};

impl DateTime {
    fn civil(self) -> Option<civil::DateTime> {
        let (year, month, day) = self.date().parts();
        let (hour, minute, second, micro) = self.time();
        let part = |number: u32| i8::try_from(number).ok();
        let date = civil::Date::new(i16::try_from(year).ok()?, part(month)?, part(day)?).ok()?;
        let nanos = i32::try_from(micro * 1000).ok()?;
        let time = civil::Time::new(part(hour)?, part(minute)?, part(second)?, nanos).ok()?;
        Some(date.to_datetime(time))
    }

    fn from_civil(at: civil::DateTime) -> Option<Self> {
        let part = |number: i8| u32::try_from(number).ok();
        let date = Date::new(u32::try_from(at.year()).ok()?, part(at.month())?, part(at.day())?)?;
        let micros = u32::try_from(at.subsec_nanosecond() / 1000).ok()?;
        DateTime::new(date, part(at.hour())?, part(at.minute())?, part(at.second())?, micros)
    }

    /// The instant moved by a count of `year`, `quarter`, `month`, `week`, `day`, `hour`, `minute` or
    /// `second`; `None` for another unit or beyond the years of a DATETIME. Months are moved to their last
    /// day where the day does not exist.
    pub fn shift(self, count: i64, unit: &str) -> Option<Self> {
        let span = jiff::Span::new();
        let span = match unit {
            "year" => span.try_years(count),
            "quarter" => span.try_months(count.checked_mul(3)?),
            "month" => span.try_months(count),
            "week" => span.try_weeks(count),
            "day" => span.try_days(count),
            "hour" => span.try_hours(count),
            "minute" => span.try_minutes(count),
            "second" => span.try_seconds(count),
            _ => return None,
        };
        Self::from_civil(self.civil()?.checked_add(span.ok()?).ok()?)
    }

    /// `date_trunc`: the start of the unit that the instant lies in.
    pub fn truncate_to(self, unit: &str) -> Option<Self> {
        let (year, month, day) = self.date().parts();
        let (hour, minute, second, _) = self.time();
        let start = |month: u32, day: u32| Date::new(year, month, day).map(Self::at_midnight);
        match unit {
            "year" => start(1, 1),
            "quarter" => start((month - 1) / 3 * 3 + 1, 1),
            "month" => start(month, 1),
            "week" => {
                let day = Self::at_midnight(self.date()).civil()?;
                let back = i64::from(day.weekday().to_monday_zero_offset()).days();
                Self::from_civil(day.checked_sub(back).ok()?)
            }
            "day" => start(month, day),
            "hour" => Self::new(self.date(), hour, 0, 0, 0),
            "minute" => Self::new(self.date(), hour, minute, 0, 0),
            "second" => Self::new(self.date(), hour, minute, second, 0),
            _ => None,
        }
    }

    /// `date_format` with MySQL's `%` letters; unknown letters stand for themselves.
    pub fn format(self, format: &str) -> String {
        let (year, month, day) = self.date().parts();
        let (hour, minute, second, micro) = self.time();
        let mut out = String::new();
        let mut letters = usual_format(format).chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            match letters.next() {
                Some('Y') => out.push_str(&format!("{year:04}")),
                Some('y') => out.push_str(&format!("{:02}", year % 100)),
                Some('m') => out.push_str(&format!("{month:02}")),
                Some('c') => out.push_str(&month.to_string()),
                Some('d') => out.push_str(&format!("{day:02}")),
                Some('e') => out.push_str(&day.to_string()),
                Some('H') => out.push_str(&format!("{hour:02}")),
                Some('k') => out.push_str(&hour.to_string()),
                Some('i') => out.push_str(&format!("{minute:02}")),
                Some('s' | 'S') => out.push_str(&format!("{second:02}")),
                Some('f') => out.push_str(&format!("{micro:06}")),
                Some('T') => out.push_str(&format!("{hour:02}:{minute:02}:{second:02}")),
                Some('F') => out.push_str(&self.date().to_string()),
                Some('M') => out.push_str(MONTHS[(month as usize + 11) % 12]),
                Some('b') => out.push_str(&MONTHS[(month as usize + 11) % 12][..3]),
                Some('W') => out.push_str(WEEKDAYS[weekday(self.date())]),
                Some('a') => out.push_str(&WEEKDAYS[weekday(self.date())][..3]),
                Some('w') => out.push_str(&weekday(self.date()).to_string()),
                Some('h' | 'I') => out.push_str(&format!("{:02}", (hour + 11) % 12 + 1)),
                Some('l') => out.push_str(&((hour + 11) % 12 + 1).to_string()),
                Some('p') => out.push_str(if hour < 12 { "AM" } else { "PM" }),
                Some('r') => out.push_str(&self.format("%I:%i:%s %p")),
                Some(other) => out.push(other),
                None => out.push('%'),
            }
        }
        out
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The formats that Doris takes from other databases, in its own letters.
pub fn usual_format(format: &str) -> &str {
    match format {
        "yyyyMMdd" => "%Y%m%d",
        "yyyy-MM-dd" => "%Y-%m-%d",
        "yyyy-MM-dd HH:mm:ss" => "%Y-%m-%d %H:%i:%s",
        other => other,
    }
}

/// 0 is Sunday.
fn weekday(date: Date) -> usize {
    let (year, month, day) = date.parts();
    // Sakamoto's method; in January and February the year before counts.
    const SHIFTS: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let year = if month < 3 { year.saturating_sub(1) } else { year };
    let shift = SHIFTS.get(month.saturating_sub(1) as usize).copied().unwrap_or(0);
    ((year + year / 4 - year / 100 + year / 400 + shift + day) % 7) as usize
}

/// Reads a text by a format, as `str_to_date` does; `None` when it does not fit. Parts that the format does not
/// have are those of `0000-01-01 00:00:00`.
pub fn parse_by(text: &str, format: &str) -> Option<DateTime> {
    let mut rest = text.trim_start();
    let (mut year, mut month, mut day) = (0, 1, 1);
    let (mut hour, mut minute, mut second, mut micro) = (0, 0, 0, 0);
    let mut is_afternoon = None;
    let expanded =
        usual_format(format).replace("%T", "%H:%i:%s").replace("%F", "%Y-%m-%d").replace("%r", "%I:%i:%s %p");
    let mut letters = expanded.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            if letter.is_whitespace() {
                rest = rest.trim_start();
            } else {
                rest = rest.strip_prefix(letter)?;
            }
            continue;
        }
        match letters.next()? {
            'Y' => year = number(&mut rest, 4)?,
            'y' => {
                let short = number(&mut rest, 2)?;
                year = if short < 70 { 2000 + short } else { 1900 + short };
            }
            'm' | 'c' => month = number(&mut rest, 2)?,
            'd' | 'e' => day = number(&mut rest, 2)?,
            'H' | 'k' | 'h' | 'I' | 'l' => hour = number(&mut rest, 2)?,
            'i' => minute = number(&mut rest, 2)?,
            's' | 'S' => second = number(&mut rest, 2)?,
            'f' => {
                let before = rest.len();
                let digits = number(&mut rest, 6)?;
                let length = u32::try_from(before - rest.len()).ok()?;
                micro = digits * 10u32.pow(6u32.saturating_sub(length));
            }
            'p' => {
                let (half, after) = rest.split_at_checked(2)?;
                is_afternoon = Some(match half.to_ascii_uppercase().as_str() {
                    "AM" => false,
                    "PM" => true,
                    _ => return None,
                });
                rest = after;
            }
            'M' | 'b' => {
                let starts =
                    |name: &&str| rest.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(&name[..3]));
                let at = MONTHS.iter().position(starts)?;
                month = u32::try_from(at).ok()? + 1;
                let is_whole =
                    rest.get(..MONTHS[at].len()).is_some_and(|head| head.eq_ignore_ascii_case(MONTHS[at]));
                rest = &rest[if is_whole { MONTHS[at].len() } else { 3 }..];
            }
            _ => return None,
        }
    }
    hour = match is_afternoon {
        None => hour,
        Some(is_afternoon) => hour % 12 + if is_afternoon { 12 } else { 0 },
    };
    DateTime::new(Date::new(year, month, day)?, hour, minute, second, micro)
}

/// The number at the front, of at most so many digits.
fn number(rest: &mut &str, digits: usize) -> Option<u32> {
    let end = rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
    let (number, after) = rest.split_at(end);
    *rest = after;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime {
        DateTime::parse(text).unwrap()
    }

    #[test]
    fn shifts_stay_within_months() {
        assert_eq!(at("2024-01-31").shift(1, "month"), Some(at("2024-02-29")));
        assert_eq!(at("1998-12-01").shift(-90, "day"), Some(at("1998-09-02")));
        assert_eq!(at("2024-02-29").shift(1, "year"), Some(at("2025-02-28")));
        assert_eq!(at("2024-01-01").shift(-1, "second"), Some(at("2023-12-31 23:59:59")));
        assert_eq!(at("9999-12-31").shift(1, "day"), None);
        assert_eq!(at("2024-01-01").shift(1, "moon"), None);
        assert_eq!(at("2024-01-01").shift(i64::MAX, "quarter"), None);
    }

    #[test]
    fn formats_like_mysql() {
        assert_eq!(at("2024-01-02 03:04:05").format("%Y/%m/%d %H:%i:%s %%"), "2024/01/02 03:04:05 %");
    }
}
