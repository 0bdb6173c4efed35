//! DML and queries.
//!
//! INSERT, DELETE, UPDATE and stream load share one way to write: a [`target`] describes the table at
//! planning time, a [`writer`] sorts rows to partitions, buckets and indexes and encodes them, and
//! [`load`] runs the transaction around it. SELECT is compiled ([`compile`]) from Doris's dialect to
//! SQLite's, with the types that SQLite lacks, and runs over tables kept in memory ([`engine`]).

pub mod auto_partition;
mod cancel;
pub mod compile;
mod covers;
pub mod create_as_select;
pub mod definition;
mod delete;
pub mod derive;
pub mod engine;
mod explain;
mod functions;
pub mod hidden;
mod hint;
pub mod insert;
mod insert_head;
pub mod load;
mod overwrite;
pub mod run;
pub mod target;
pub mod transaction;
pub mod types;
mod update;
pub mod writer;

pub use cancel::Cancel;
pub use engine::Engine;
pub use run::run;
pub use transaction::Explicit;

use crate::cluster::ClusterInner;
use crate::data::date::{Date, DateTime};

/// The cluster's time in UTC, which is its zone, to the microsecond.
pub(crate) fn now(cluster: &ClusterInner) -> DateTime {
    let instant = jiff::Timestamp::from_millisecond(cluster.clock.now_ms()).unwrap_or_default();
    let local = instant.to_zoned(jiff::tz::TimeZone::UTC);
    let part = |value: i8| u32::try_from(value).unwrap_or(0);
    let year = u32::try_from(local.year()).unwrap_or(0);
    Date::new(year, part(local.month()), part(local.day()))
        .and_then(|date| {
            let micros = u32::try_from(local.subsec_nanosecond() / 1000).unwrap_or(0);
            DateTime::new(date, part(local.hour()), part(local.minute()), part(local.second()), micros)
        })
        // The clock stays within the years of a DATETIME.
        .unwrap_or(DateTime::at_midnight(Date::new(1970, 1, 1).expect("the epoch is a date")))
}
