//! How long it takes until the binlog that a job needs next expires.
//!
//! The oldest entries of a list go by age, by number and by size, whichever comes first (`binlog.ttl_seconds`,
//! `binlog.max_history_nums`, `binlog.max_bytes`). For each limit the part that the job has used up is known: how old
//! its next entry is, and how much of the list comes after it. All of it has come in that entry's lifetime, so with
//! growth as it was since then, the entry lives on for its age times what is left over what is used up.
//!
//! Nothing here does I/O. Age is by the clock of the syncer, which should not be far from that of the upstream.

use ccr_core::ports::Upstream;
use doris_types::meta::BinlogList;
use serde::Serialize;

use crate::manager::{Lag, NextOf};

/// From this part on an operator is warned, once, until less than [`CALM`] is used up.
const WARN: f64 = 0.5;
const CALM: f64 = 0.4;

/// What removes the entry first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Limit {
    #[serde(rename = "binlog.ttl_seconds")]
    Age,
    #[serde(rename = "binlog.max_history_nums")]
    Number,
    #[serde(rename = "binlog.max_bytes")]
    Size,
}

impl Limit {
    fn property(self) -> &'static str {
        match self {
            Limit::Age => "binlog.ttl_seconds",
            Limit::Number => "binlog.max_history_nums",
            Limit::Size => "binlog.max_bytes",
        }
    }
}

/// When the binlog that a job needs next expires.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// The binlog that is needed next.
    pub commit_seq: i64,
    pub limit: Limit,
    /// The part of the limit that is used up, from 0 to 1.
    pub used: f64,
    /// With growth as it was; 0 when it is gone, or may be at any moment.
    pub expires_in_seconds: i64,
    /// When this was found, by the clock of the syncer.
    pub at_ms: i64,
}

impl Forecast {
    /// For a job that stands at `position`; `None` when it needs no binlog that is there, or the frontend does not
    /// tell. `lag` counts entries of `list` unless the list is that of the whole database and the job is of a table,
    /// or the next binlog is one of a table apart.
    pub fn of(lag: &Lag, position: i64, list: &BinlogList, is_own_list: bool, now_ms: i64) -> Option<Self> {
        if lag.next_timestamp_ms <= 0 || lag.next_commit_seq <= 0 && lag.first_commit_seq <= position {
            return None;
        }
        let now_ms = now_ms.max(lag.last_timestamp_ms);
        let gone = match lag.next_of {
            NextOf::Table { is_gone: true } => Some(lag.next_commit_seq),
            NextOf::Table { is_gone: false } => None,
            NextOf::Job => (lag.first_commit_seq > position).then(|| position.saturating_add(1)),
        };
        if let Some(commit_seq) = gone {
            return Some(Self {
                commit_seq,
                limit: Limit::Age,
                used: 1.0,
                expires_in_seconds: 0,
                at_ms: now_ms,
            });
        }
        let age_ms = (now_ms - lag.next_timestamp_ms).max(1) as f64;
        let entries = list.entries.max(1) as f64;
        let behind = if is_own_list && lag.next_of == NextOf::Job {
            (lag.binlogs as f64).min(entries)
        } else {
            // Entries of other tables count too, and how many have come since is told by nobody.
            let span_ms = (now_ms - lag.first_timestamp_ms).max(1) as f64;
            entries * (age_ms / span_ms).min(1.0)
        };
        let bytes = list.bytes.max(0) as f64 * behind / entries;
        let of = |part: f64, limit: i64| if limit > 0 { (part / limit as f64).min(1.0) } else { 1.0 };
        let (limit, used) = [
            (Limit::Age, of(age_ms / 1000.0, list.ttl_seconds)),
            // The dummy in front counts.
            (Limit::Number, of(behind + 1.0, list.max_history_nums)),
            (Limit::Size, of(bytes, list.max_bytes)),
        ]
        .into_iter()
        .max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        let left_ms = age_ms * (1.0 - used) / used.max(f64::MIN_POSITIVE);
        Some(Self {
            commit_seq: lag.next_commit_seq,
            limit,
            used,
            // Saturates: years are as good as ever.
            expires_in_seconds: (left_ms / 1000.0).round() as i64,
            at_ms: now_ms,
        })
    }

    fn is_gone(&self) -> bool {
        self.used >= 1.0
    }
}

/// The newest forecast of a job, and whether it was warned of.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Watch {
    pub newest: Option<Forecast>,
    is_warned: bool,
}

impl Watch {
    /// Takes over what was found. Answers a warning when one is due.
    pub fn note(&mut self, found: Option<Forecast>) -> Option<String> {
        self.newest = found;
        let Some(forecast) = found.filter(|forecast| forecast.used >= CALM) else {
            self.is_warned = false;
            return None;
        };
        // What is gone already is met, and told, by the job itself.
        if self.is_warned || forecast.used < WARN || forecast.is_gone() {
            return None;
        }
        self.is_warned = true;
        Some(format!(
            "the binlog that the job needs next, {}, has used up {:.0} % of {} and expires in about {} s: let the job \
             catch up, or raise the limit upstream",
            forecast.commit_seq,
            forecast.used * 100.0,
            forecast.limit.property(),
            forecast.expires_in_seconds
        ))
    }
}

/// The list by whose limits the job's binlogs expire, and whether it is the one that the job reads. The limits of a
/// database hold for the lists of all of its tables while its own binlog is on.
pub async fn governing(
    upstream: &dyn Upstream,
    lists: &[BinlogList],
    database: &str,
    table_id: Option<i64>,
) -> doris_types::failure::Result<Option<(BinlogList, bool)>> {
    let whole = || lists.iter().find(|list| !list.is_of_table && is_called(&list.name, database)).cloned();
    let Some(table_id) = table_id else { return Ok(whole().map(|list| (list, true))) };
    let own = lists.iter().find(|list| list.is_of_table && list.id == table_id).cloned();
    let (Some(of_table), Some(_)) = (&own, whole()) else {
        return Ok(own.map(|list| (list, true)).or_else(|| whole().map(|list| (list, false))));
    };
    let create = upstream.show_create_database(database).await?.unwrap_or_default();
    if crate::precheck::is_true(crate::precheck::property(&create, "binlog.enable")) {
        return Ok(whole().map(|list| (list, false)));
    }
    Ok(Some((of_table.clone(), true)))
}

/// Old frontends put the cluster in front.
fn is_called(name: &str, database: &str) -> bool {
    name == database || name.rsplit_once(':').is_some_and(|(_, name)| name == database)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: i64 = i64::MAX;

    fn list(
        entries: i64,
        bytes: i64,
        (ttl_seconds, max_bytes, max_history_nums): (i64, i64, i64),
    ) -> BinlogList {
        BinlogList { entries, bytes, ttl_seconds, max_bytes, max_history_nums, ..BinlogList::default() }
    }

    /// So many entries behind, the next of which is at 1000 s; the list begins at 0 s.
    fn lag(binlogs: i64) -> Lag {
        Lag {
            binlogs,
            first_commit_seq: -1,
            next_commit_seq: 50,
            last_commit_seq: 90,
            first_timestamp_ms: 1,
            next_timestamp_ms: 1_000_000,
            last_timestamp_ms: 1_200_000,
            next_of: NextOf::Job,
        }
    }

    fn found(lag: &Lag, list: &BinlogList, is_own: bool) -> (Limit, f64, i64) {
        let forecast = Forecast::of(lag, 49, list, is_own, 1_600_000).unwrap();
        assert_eq!(forecast.commit_seq, 50);
        (forecast.limit, (forecast.used * 1000.0).round() / 1000.0, forecast.expires_in_seconds)
    }

    #[test]
    fn the_limit_that_is_nearest_to_its_end_counts() {
        // 600 s old of 1000 s.
        assert_eq!(found(&lag(40), &list(80, 800, (1000, FAR, FAR)), true), (Limit::Age, 0.6, 400));
        // 39 entries and the dummy in 600 s, of 50: ten more take 150 s.
        assert_eq!(found(&lag(39), &list(80, 800, (1000, FAR, 50)), true), (Limit::Number, 0.8, 150));
        // Half of the bytes of the list, 400 of 500, in 600 s.
        assert_eq!(found(&lag(40), &list(80, 800, (1000, 500, FAR)), true), (Limit::Size, 0.8, 150));
        // Of the database's list nobody tells the number: 600 s of 1600 s of it.
        assert_eq!(found(&lag(3), &list(1600, 16_000, (9000, FAR, 751)), false), (Limit::Number, 0.8, 150));
        assert_eq!(found(&lag(40), &list(80, 800, (600, FAR, FAR)), true), (Limit::Age, 1.0, 0));
    }

    #[test]
    fn who_needs_nothing_that_is_there_has_no_forecast() {
        let limits = list(80, 800, (1000, 500, 50));
        for (next_commit_seq, next_timestamp_ms) in [(0, 0), (-1, -1), (50, 0)] {
            let lag = Lag { next_commit_seq, next_timestamp_ms, ..lag(0) };
            assert_eq!(Forecast::of(&lag, 49, &limits, true, 1_600_000), None);
        }
        // It is gone: the first entry that is there is beyond the position.
        let gone = Lag { first_commit_seq: 60, next_commit_seq: 60, ..lag(40) };
        let forecast = Forecast::of(&gone, 49, &list(80, 800, (FAR, FAR, FAR)), true, 1_600_000).unwrap();
        assert_eq!((forecast.used, forecast.expires_in_seconds), (1.0, 0));
    }

    #[test]
    fn the_binlog_of_a_table_apart_ages_with_the_list_of_the_database() {
        let apart = |is_gone| Lag { next_of: NextOf::Table { is_gone }, ..lag(3) };
        // Three entries of its own, and 600 s of 1600 s of the database's.
        let limits = list(1600, 16_000, (9000, FAR, 751));
        assert_eq!(found(&apart(false), &limits, true), (Limit::Number, 0.8, 150));
        let limits = list(1600, 16_000, (9000, 7500, FAR));
        assert_eq!(found(&apart(false), &limits, true), (Limit::Size, 0.8, 150));
        assert_eq!(found(&apart(true), &limits, true), (Limit::Age, 1.0, 0));
        // What the job itself has lost is nothing to a table that needs less.
        let behind = Lag { first_commit_seq: 60, ..apart(false) };
        assert_eq!(found(&behind, &limits, true).0, Limit::Size);
    }

    #[test]
    fn it_is_warned_of_once_until_it_is_calm_again() {
        let forecast = |used: f64| {
            Some(Forecast { commit_seq: 7, limit: Limit::Age, used, expires_in_seconds: 60, at_ms: 1 })
        };
        let mut watch = Watch::default();
        let mut warned = Vec::new();
        for used in [0.1, 0.45, 0.6, 0.9, 0.45, 0.7, 0.2, 0.5] {
            warned.push(watch.note(forecast(used)).is_some());
        }
        assert_eq!(warned, [false, false, true, false, false, false, false, true]);
        assert_eq!((watch.note(None), watch.newest), (None, None));
        let text = watch.note(forecast(0.54)).unwrap();
        assert!(text.contains("54 % of binlog.ttl_seconds") && text.contains("in about 60 s"), "{text}");
        assert_eq!(Watch::default().note(forecast(1.0)), None, "the job meets that itself");
    }
}
