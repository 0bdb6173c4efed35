//! The same between clusters of other releases: wrapped and missing records, long JSON keys. That the records
//! came wrapped, each type of them, is checked with what the upstream serves.

use minidoris::Release;

use super::EVERY;
use super::run::{Shape, in_database_job_of, slow_pair};

async fn between(up: Release, down: Release) {
    let pair = slow_pair(|options| options.release = if options.name == "up" { up } else { down }).await;
    // A load that an old release tells without its indexes is looked for in one that was made after it.
    let allowed = if up < Release::V3_0 { &["returned error: 404"][..] } else { &[] };
    in_database_job_of(pair, Shape::SAME, EVERY, &[], allowed).await;
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
