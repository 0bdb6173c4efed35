//! `docs/support-matrix.md` is what [`POLICIES`] says. With `UPDATE_DOCS` set, the page is written anew.

use std::fmt::Write;
use std::path::Path;

use ccr_core::job::SyncType;
use ccr_core::plan::{POLICIES, Policy};

const HEAD: &str = "\
# Support matrix

What happens downstream for each type of binlog.
This page is generated from `crates/ccr-core/src/plan/policy.rs`; a test compares the two.

Three reasons to skip hold for every type: the change is at or below the job's position or the snapshot of its table, an operator asked to pass over it, or it concerns a table that is not replicated or that has left the stream and is handled on its own.
A type that is not listed blocks its table with CCR0203; other tables go on.
A table that is copied again leaves the stream meanwhile, stays readable, and joins when it has caught up.

The columns for the two kinds of jobs name what may be decided: to ingest `rows`, to run a `statement`, to make a `copy` of the table, to link and copy a table that the job has not met, to close a `gap`, to begin a `full sync`, to `skip` or to `block`; a dash where such a job never acts on the type.
Tests compare them with the decisions that are made.

| number | type | database job | table job | downstream | skipped when |
|---|---|---|---|---|---|
";

fn decisions(policy: &Policy, sync_type: SyncType) -> String {
    let names: Vec<&str> = policy.decisions(sync_type).iter().map(|decision| decision.name()).collect();
    if names.is_empty() { "–".to_owned() } else { names.join(", ") }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for policy in &POLICIES {
        let (number, name) = (policy.binlog_type.0, policy.binlog_type.name());
        let (database, table) = (decisions(policy, SyncType::Database), decisions(policy, SyncType::Table));
        let (downstream, skipped) = (policy.downstream, policy.skipped);
        writeln!(page, "| {number} | {name} | {database} | {table} | {downstream} | {skipped} |")
            .expect("writing to a string does not fail");
    }
    page
}

#[test]
fn the_page_says_what_the_policies_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/support-matrix.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "{} is not up to date: run this test with UPDATE_DOCS=1", path.display());
}
