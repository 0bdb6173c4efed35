//! The same between clusters of other releases: wrapped and missing records, long JSON keys. That the records
//! came wrapped, each type of them, is checked with what the upstream serves.

use minidoris::Release;

use super::EVERY;
use super::every::{of_databases, of_tables};
use super::run::{Shape, in_database_job_of, in_table_jobs_at, slow_pair};
use crate::harness::Pair;

async fn pair(up: Release, down: Release) -> Pair {
    slow_pair(|options| options.release = if options.name == "up" { up } else { down }).await
}

/// A load that an old release tells without its indexes is looked for in one that was made after it.
fn allowed(up: Release) -> &'static [&'static str] {
    if up < Release::V3_0 { &["returned error: 404"] } else { &[] }
}

async fn between(up: Release, down: Release) {
    in_database_job_of(pair(up, down).await, Shape::SAME, EVERY, &of_databases(), allowed(up)).await;
}

async fn between_tables(up: Release, down: Release) {
    for moment in ["backup", "stream"] {
        let pair = pair(up, down).await;
        in_table_jobs_at(pair, Shape::OTHER_TABLE, EVERY, &of_tables(), moment, allowed(up)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_oldest_release() {
    between(Release::V2_1, Release::V3_1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_the_oldest_release() {
    between(Release::V4_0, Release::V2_1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_release_that_wraps_new_records() {
    between(Release::V3_0, Release::V3_0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_the_newest_release() {
    between(Release::V2_1, Release::V4_0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_from_the_oldest_release() {
    between_tables(Release::V2_1, Release::V3_1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_from_a_release_that_wraps_new_records() {
    between_tables(Release::V3_0, Release::V3_0).await;
}
