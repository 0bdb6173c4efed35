//! The periods of dynamic partitions: where the one that is `offset` units from now begins, how its bounds are
//! written in the partition column, and what its partition is called.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use crate::model::DataType;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    Hour,
    Day,
    /// With the day that starts it, 1 for Monday.
    Week {
        starts_on: i8,
    },
    /// With the day that starts it, 1 to 28.
    Month {
        starts_on: i8,
    },
    Year,
}

impl TimeUnit {
    /// The day on which weeks or months start, as SHOW DYNAMIC PARTITION TABLES prints it.
    pub fn start_text(self) -> Option<String> {
        const DAYS: [&str; 7] =
            ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
        match self {
            TimeUnit::Week { starts_on } => {
                let at = usize::try_from(starts_on - 1).ok()?;
                DAYS.get(at).map(|day| (*day).to_owned())
            }
            TimeUnit::Month { starts_on } => {
                let ending = match starts_on {
                    1 | 21 => "st",
                    2 | 22 => "nd",
                    3 | 23 => "rd",
                    _ => "th",
                };
                Some(format!("{starts_on}{ending}"))
            }
            TimeUnit::Hour | TimeUnit::Day | TimeUnit::Year => None,
        }
    }
}

/// The start of a period. `None` outside the years of a date.
pub fn border(unit: TimeUnit, now: DateTime, offset: i64) -> Option<DateTime> {
    let midnight = |date: Date| date.at(0, 0, 0, 0);
    let moved = |span: jiff::Span| now.checked_add(span).ok();
    match unit {
        TimeUnit::Hour => moved(offset.hours())?.with().minute(0).second(0).subsec_nanosecond(0).build().ok(),
        TimeUnit::Day => Some(midnight(moved(offset.days())?.date())),
        TimeUnit::Week { starts_on } => {
            let there = moved(offset.weeks())?.date();
            let back = i64::from(there.weekday().to_monday_one_offset() - starts_on);
            Some(midnight(there.checked_sub(back.days()).ok()?))
        }
        TimeUnit::Month { starts_on } => {
            // Before its first day the month still belongs to the one before.
            let offset = if now.day() < starts_on { offset - 1 } else { offset };
            let first = now.date().first_of_month().checked_add(offset.months()).ok()?;
            first.with().day(starts_on).build().ok().map(midnight)
        }
        TimeUnit::Year => {
            let there = moved(offset.years())?.date();
            there.with().month(1).day(1).build().ok().map(midnight)
        }
    }
}

/// A border as a value of the partition column; integers hold the digits down to the unit.
pub fn bound_text(unit: TimeUnit, border: DateTime, column: &DataType) -> String {
    let format = match (column, unit) {
        (DataType::Date, _) => "%Y-%m-%d",
        (DataType::DateTime { .. }, _) => "%Y-%m-%d %H:%M:%S",
        (_, TimeUnit::Hour) => "%Y%m%d%H",
        (_, TimeUnit::Day | TimeUnit::Week { .. }) => "%Y%m%d",
        (_, TimeUnit::Month { .. }) => "%Y%m",
        (_, TimeUnit::Year) => "%Y",
    };
    border.strftime(format).to_string()
}

/// What follows the prefix in the name of the partition that begins there.
pub fn name(unit: TimeUnit, border: DateTime) -> String {
    match unit {
        TimeUnit::Hour => border.strftime("%Y%m%d%H").to_string(),
        TimeUnit::Day => border.strftime("%Y%m%d").to_string(),
        TimeUnit::Week { .. } => format!("{}_{:02}", border.year(), week_of_year(border.date())),
        TimeUnit::Month { .. } => border.strftime("%Y%m").to_string(),
        TimeUnit::Year => border.strftime("%Y").to_string(),
    }
}

/// The week as a calendar counts that starts weeks on Sunday and whose first week holds the 1st of January.
/// The last days of a December that are in the first week of the next year count on from 52.
fn week_of_year(date: Date) -> i64 {
    let new_year = date.first_of_year();
    let before = i64::from(new_year.weekday().to_sunday_zero_offset());
    let week = (i64::from(date.day_of_year()) - 1 + before) / 7 + 1;
    let last_day = date.last_of_year();
    let days_of_last_week = i64::from(last_day.weekday().to_sunday_one_offset());
    let is_in_next_year = days_of_last_week < 7
        && date.year() == last_day.year()
        && i64::from(last_day.day_of_year() - date.day_of_year()) < days_of_last_week;
    if is_in_next_year { 53 } else { week }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn periods_begin_where_their_unit_does() {
        for (unit, now, offset, begins, called) in [
            (TimeUnit::Hour, "2020-05-29T22:30:00", 2, "2020-05-30T00:00:00", "2020053000"),
            (TimeUnit::Day, "2020-05-29T01:00:00", 3, "2020-06-01T00:00:00", "20200601"),
            (TimeUnit::Day, "2020-03-01T01:00:00", -1, "2020-02-29T00:00:00", "20200229"),
            (TimeUnit::Week { starts_on: 1 }, "2020-05-29T01:00:00", 0, "2020-05-25T00:00:00", "2020_22"),
            (TimeUnit::Week { starts_on: 3 }, "2020-05-29T01:00:00", 1, "2020-06-03T00:00:00", "2020_23"),
            (TimeUnit::Month { starts_on: 3 }, "2020-05-29T01:00:00", 0, "2020-05-03T00:00:00", "202005"),
            (TimeUnit::Month { starts_on: 28 }, "2020-05-20T01:00:00", 0, "2020-04-28T00:00:00", "202004"),
            (TimeUnit::Month { starts_on: 1 }, "2020-01-31T01:00:00", 1, "2020-02-01T00:00:00", "202002"),
            (TimeUnit::Year, "2020-02-29T01:00:00", 1, "2021-01-01T00:00:00", "2021"),
        ] {
            let border = border(unit, at(now), offset).unwrap();
            assert_eq!(
                (border, name(unit, border).as_str()),
                (at(begins), called),
                "{unit:?} {now} {offset}"
            );
        }
    }

    #[test]
    fn weeks_around_new_year() {
        for (date, week) in [
            ("2019-12-28", 52),
            // The first week of 2020 for such a calendar.
            ("2019-12-30", 53),
            ("2020-01-01", 1),
            ("2020-01-05", 2),
            ("2022-12-31", 53),
            ("2023-01-01", 1),
        ] {
            assert_eq!(week_of_year(date.parse().unwrap()), week, "{date}");
        }
    }

    #[test]
    fn bounds_fit_their_columns() {
        let border = at("2024-03-05T07:00:00");
        for (unit, column, text) in [
            (TimeUnit::Day, DataType::Date, "2024-03-05"),
            (TimeUnit::Hour, DataType::DateTime { scale: 0 }, "2024-03-05 07:00:00"),
            (TimeUnit::Day, DataType::Int, "20240305"),
            (TimeUnit::Month { starts_on: 1 }, DataType::Int, "202403"),
            (TimeUnit::Hour, DataType::BigInt, "2024030507"),
            (TimeUnit::Year, DataType::SmallInt, "2024"),
        ] {
            assert_eq!(bound_text(unit, border, &column), text);
        }
    }
}
