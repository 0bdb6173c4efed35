//! The properties `dynamic_partition.*` of a table: checked when they are set, read when they are followed.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use super::period::TimeUnit;
use crate::error::{SqlError, SqlResult};
use crate::exec::properties;
use crate::model::{DataType, OlapTable, PartitionScheme};
use crate::sql::Properties;

const PREFIX: &str = "dynamic_partition.";
/// The start that keeps all history.
const NO_START: i64 = i32::MIN as i64;
/// `max_dynamic_partition_num`.
const DEFAULT_MAX_PARTITIONS: i64 = 500;

#[derive(Debug, Clone)]
pub struct Settings {
    pub enable: bool,
    pub unit: TimeUnit,
    pub zone: TimeZone,
    /// `None` keeps all history.
    pub start: Option<i64>,
    pub end: i64,
    pub prefix: String,
    pub buckets: u32,
    pub replication: u16,
    pub create_history: bool,
    /// `None` means as many as `start` says.
    pub history_num: Option<i64>,
    /// Newest partitions of the past, and all later ones, that lie on SSD.
    pub hot_num: i64,
    /// Dates, both inclusive, whose partitions are never dropped.
    pub reserved: Vec<(Date, Date)>,
    pub medium: Option<String>,
}

impl Settings {
    /// `None` when the table has no such properties.
    pub fn read(all: &Properties) -> SqlResult<Option<Self>> {
        if !all.keys().any(|key| key.starts_with(PREFIX)) {
            return Ok(None);
        }
        let text = |key: &str| all.get(&format!("{PREFIX}{key}")).map(String::as_str).unwrap_or_default();
        let invalid =
            |what: &str, value: &str| SqlError::general(format!("Invalid dynamic partition {what}: {value}"));
        let number = |key: &str, what: &str, default: i64| match text(key) {
            "" => Ok(default),
            value => value.parse::<i32>().map(i64::from).map_err(|_| invalid(what, value)),
        };
        let flag = |key: &str, what: &str, default: bool| match text(key).to_ascii_lowercase().as_str() {
            "" => Ok(default),
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(invalid(what, other)),
        };
        let start = number("start", "start", NO_START)?;
        if start >= 0 {
            return Err(SqlError::general("Dynamic partition start must less than 0"));
        }
        let end = number("end", "end", 0)?;
        if end < 0 {
            return Err(SqlError::general("Dynamic partition end must greater than 0"));
        }
        let buckets = u32::try_from(number("buckets", "buckets", 1)?)
            .ok()
            .filter(|buckets| *buckets > 0)
            .ok_or_else(|| SqlError::general("Dynamic partition buckets must greater than 0"))?;
        let prefix = text("prefix");
        if !prefix.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_') {
            return Err(invalid("prefix", prefix));
        }
        let history_num = match number("history_partition_num", "history_partition_num", -1)? {
            -1 => None,
            num if num > 0 => Some(num),
            num => {
                return Err(SqlError::general(format!(
                    "Dynamic history partition num must greater than 0, but get {num}"
                )));
            }
        };
        let create_history = flag("create_history_partition", "create_history_partition", false)?;
        let start = Some(start).filter(|start| *start != NO_START);
        if create_history && start.is_none() && history_num.is_none() {
            return Err(SqlError::general(
                "Provide start or history_partition_num property when create_history_partition=true",
            ));
        }
        let hot_num = number("hot_partition_num", "hot_partition_num", 0)?;
        if hot_num < 0 {
            return Err(SqlError::general("hot_partition_num must larger than 0"));
        }
        let replication = Properties::from([(
            "replication_allocation".to_owned(),
            text("replication_allocation").to_owned(),
        )]);
        let medium = text("storage_medium").to_uppercase();
        Ok(Some(Self {
            enable: flag("enable", "enable", true)?,
            unit: unit(text("time_unit"), &number)?,
            zone: zone(text("time_zone"))?,
            start,
            end,
            prefix: prefix.to_owned(),
            buckets,
            replication: properties::replication(&replication)?.unwrap_or(1),
            create_history,
            history_num,
            hot_num,
            reserved: reserved(text("reserved_history_periods"))?,
            medium: Some(medium).filter(|medium| !medium.is_empty()),
        }))
    }

    /// The oldest period that is kept; `None` keeps all.
    pub fn oldest(&self) -> Option<i64> {
        match (self.start, self.history_num) {
            (Some(start), Some(num)) => Some(start.max(-num)),
            (start, None) => start,
            (None, Some(num)) => Some(-num),
        }
    }

    /// Refuses settings that the table's partitioning cannot follow.
    pub fn check(&self, table: &OlapTable, max_partitions: Option<i64>) -> SqlResult<()> {
        let PartitionScheme::Range { columns, auto_expr } = &table.partition_scheme else {
            return Err(SqlError::general(
                "Only support dynamic partition properties on range partition table",
            ));
        };
        if columns.len() != 1 {
            return Err(SqlError::general("Dynamic partition only support single-column range partition"));
        }
        let types = table.partition_scheme.column_types(table.columns());
        match (types.first(), self.unit) {
            (Some(DataType::Date), TimeUnit::Hour) => {
                return Err(SqlError::general(
                    "Hour dynamic partition time unit is not supported by the DATE type of the partition column",
                ));
            }
            (Some(DataType::Date | DataType::DateTime { .. }), _) => {}
            (Some(other), _) if other.is_integer() => {}
            (Some(other), _) => {
                return Err(SqlError::general(format!(
                    "Dynamic partition does not support the type {} of the partition column",
                    other.primitive_name()
                )));
            }
            (None, _) => {}
        }
        if auto_expr.is_some() && self.create_history {
            return Err(SqlError::general(
                "Auto partition and create_history_partition of dynamic partition cannot be used together",
            ));
        }
        let first = if self.create_history { self.oldest().unwrap_or(0) } else { 0 };
        let (wanted, limit) = (self.end - first, max_partitions.unwrap_or(DEFAULT_MAX_PARTITIONS));
        if self.enable && wanted > limit {
            return Err(SqlError::general(format!("Too many dynamic partitions: {wanted}. Limit: {limit}")));
        }
        Ok(())
    }
}

fn unit(text: &str, number: &impl Fn(&str, &str, i64) -> SqlResult<i64>) -> SqlResult<TimeUnit> {
    let day = |key: &str, last: i64| -> SqlResult<i8> {
        let day = number(key, key, 1)?;
        let valid = i8::try_from(day).ok().filter(|day| (1..=last).contains(&i64::from(*day)));
        valid.ok_or_else(|| SqlError::general(format!("{PREFIX}{key} should between 1 and {last}")))
    };
    match text.to_ascii_uppercase().as_str() {
        "HOUR" => Ok(TimeUnit::Hour),
        "DAY" => Ok(TimeUnit::Day),
        "WEEK" => Ok(TimeUnit::Week { starts_on: day("start_day_of_week", 7)? }),
        "MONTH" => Ok(TimeUnit::Month { starts_on: day("start_day_of_month", 28)? }),
        "YEAR" => Ok(TimeUnit::Year),
        _ => {
            Err(SqlError::general(format!("Unsupported time unit {text}. Expect HOUR/DAY/WEEK/MONTH/YEAR.")))
        }
    }
}

/// A name of the time zone database, `+08:00`, or nothing for UTC. The names that clusters use most are known
/// without the system's database, which a container need not have.
fn zone(text: &str) -> SqlResult<TimeZone> {
    match text {
        "" | "UTC" | "Etc/UTC" | "GMT" | "Etc/GMT" | "Z" => return Ok(TimeZone::UTC),
        "CST" | "PRC" | "Asia/Shanghai" => return Ok(TimeZone::fixed(jiff::tz::offset(8))),
        _ => {}
    }
    let offset = || {
        let (sign, rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
        Offset::from_seconds(sign * seconds).ok().map(TimeZone::fixed)
    };
    offset()
        .or_else(|| TimeZone::get(text).ok())
        .ok_or_else(|| SqlError::general(format!("Unknown or incorrect time zone: '{text}'")))
}

/// `[2020-06-01,2020-06-20],[2020-10-01,2020-11-15]`, or NULL.
fn reserved(text: &str) -> SqlResult<Vec<(Date, Date)>> {
    if text.is_empty() || text.eq_ignore_ascii_case("NULL") {
        return Ok(Vec::new());
    }
    let invalid =
        || SqlError::general(format!("Invalid \"{PREFIX}reserved_history_periods\" value [{text}]"));
    let date = |text: &str| text.trim().get(..10).and_then(|text| text.parse::<Date>().ok());
    text.trim_start_matches('[')
        .trim_end_matches(']')
        .split("],[")
        .map(|period| {
            let (from, to) = period.split_once(',').ok_or_else(invalid)?;
            let period = date(from).zip(date(to)).ok_or_else(invalid)?;
            if period.0 > period.1 {
                return Err(SqlError::general(
                    "The first date is larger than the second date in reserved_history_periods",
                ));
            }
            Ok(period)
        })
        .collect()
}

/// Fills up what was left out: Doris prints all settings of a dynamic partition as soon as there is one.
/// `replication_num` and `buckets` are those of the table.
pub fn complete(properties: &mut Properties, replication_num: u16, buckets: u32) -> SqlResult<()> {
    for key in ["time_unit", "end", "prefix"] {
        let key = format!("{PREFIX}{key}");
        if properties.get(&key).is_none_or(|value| value.is_empty()) {
            return Err(SqlError::general(format!("Must assign {key} properties")));
        }
    }
    let unit = properties.get("dynamic_partition.time_unit").cloned().unwrap_or_default();
    let mut defaults = vec![
        ("enable", "true".to_owned()),
        ("time_zone", "Etc/UTC".to_owned()),
        ("start", NO_START.to_string()),
        ("replication_allocation", format!("tag.location.default: {replication_num}")),
        ("buckets", buckets.to_string()),
        ("create_history_partition", "false".to_owned()),
        ("history_partition_num", "-1".to_owned()),
        ("hot_partition_num", "0".to_owned()),
        ("reserved_history_periods", "NULL".to_owned()),
        ("storage_policy", String::new()),
    ];
    match unit.as_str() {
        "WEEK" => defaults.push(("start_day_of_week", "1".to_owned())),
        "MONTH" => defaults.push(("start_day_of_month", "1".to_owned())),
        _ => {}
    }
    for (key, value) in defaults {
        properties.entry(format!("{PREFIX}{key}")).or_insert(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> SqlResult<Option<Settings>> {
        let mut all = Properties::from([
            ("dynamic_partition.time_unit".to_owned(), "DAY".to_owned()),
            ("dynamic_partition.end".to_owned(), "3".to_owned()),
            ("dynamic_partition.prefix".to_owned(), "p".to_owned()),
        ]);
        all.extend(given.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned())));
        complete(&mut all, 1, 7)?;
        Settings::read(&all)
    }

    #[test]
    fn wrong_values_are_refused() {
        for (key, value, text) in [
            ("time_unit", "EON", "Unsupported time unit EON. Expect HOUR/DAY/WEEK/MONTH/YEAR."),
            ("end", "-1", "Dynamic partition end must greater than 0"),
            ("end", "many", "Invalid dynamic partition end: many"),
            ("start", "1", "Dynamic partition start must less than 0"),
            ("prefix", "7", "Invalid dynamic partition prefix: 7"),
            ("buckets", "0", "Dynamic partition buckets must greater than 0"),
            ("enable", "maybe", "Invalid dynamic partition enable: maybe"),
            ("time_zone", "Mars/Base", "Unknown or incorrect time zone: 'Mars/Base'"),
            ("create_history_partition", "true", "Provide start or history_partition_num property"),
            ("reserved_history_periods", "[x]", "reserved_history_periods"),
            ("prefix", "", "Must assign dynamic_partition.prefix properties"),
        ] {
            let error = read(&[(key, value)]).unwrap_err();
            assert!(error.message.contains(text), "{key}={value}: {}", error.message);
        }
        assert!(Settings::read(&Properties::new()).unwrap().is_none());
    }

    #[test]
    fn history_is_cut_by_the_stricter_limit() {
        let oldest = |given: &[(&str, &str)]| read(given).unwrap().unwrap().oldest();
        assert_eq!(oldest(&[]), None);
        assert_eq!(oldest(&[("start", "-5")]), Some(-5));
        assert_eq!(oldest(&[("start", "-5"), ("history_partition_num", "3")]), Some(-3));
        assert_eq!(oldest(&[("history_partition_num", "3")]), Some(-3));
        let settings = read(&[
            ("time_zone", "+08:00"),
            ("reserved_history_periods", "[2020-06-01,2020-06-20],[2020-10-01,2020-11-15]"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!((settings.reserved.len(), settings.buckets), (2, 7));
    }
}
