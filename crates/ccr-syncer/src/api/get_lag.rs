//! `/get_lag`.

use std::sync::Arc;

use axum::extract::{Request, State};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Answer, Api, name_only};
use crate::manager::Lag;

/// What the original shows where the frontend has no time.
const NO_TIME: &str = "1970-01-01 08:00:00";

pub(super) async fn handle(State(api): State<Arc<Api>>, request: Request) -> Answer {
    let lag = match name_only::read(request).await {
        Ok(name) => api.manager.lag(&name).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match lag {
        Ok(lag) => Answer::success().with_all(render(&lag, |ms| local_time(ms, &TimeZone::system()))),
        Err(error) => Answer::failure(error).with_all(render(&Lag::default(), |_| String::new())),
    }
}

fn render(lag: &Lag, time: impl Fn(i64) -> String) -> Value {
    json!({
        "lag": lag.binlogs,
        "first_commit_seq": lag.first_commit_seq,
        "last_commit_seq": lag.last_commit_seq,
        "next_commit_seq": lag.next_commit_seq,
        "first_binlog_timestamp": time(lag.first_timestamp_ms),
        "last_binlog_timestamp": time(lag.last_timestamp_ms),
        "next_binlog_timestamp": time(lag.next_timestamp_ms),
        "time_interval_secs": lag.seconds(),
    })
}

fn local_time(ms: i64, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) if ms > 0 => time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Ok(_) | Err(_) => NO_TIME.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_shape_of_the_original() {
        assert_eq!(local_time(1_700_000_000_000, &TimeZone::UTC), "2023-11-14 22:13:20");
        assert_eq!(local_time(-1, &TimeZone::UTC), NO_TIME);
        assert_eq!(local_time(i64::MAX, &TimeZone::UTC), NO_TIME);
    }

    #[test]
    fn the_interval_is_from_the_next_to_the_last_binlog() {
        let lag = Lag { binlogs: 2, next_timestamp_ms: 1_000, last_timestamp_ms: 3_500, ..Lag::default() };
        assert_eq!(render(&lag, |_| String::new())["time_interval_secs"], 2.5);
        assert_eq!(Lag { binlogs: 0, ..lag }.seconds(), 0.0);
        assert_eq!(Lag { next_timestamp_ms: -1, ..lag }.seconds(), 0.0);
    }
}
