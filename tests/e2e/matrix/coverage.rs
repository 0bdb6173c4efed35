//! Every known type of binlog is in a family of cases.

use std::collections::BTreeSet;

use doris_types::record::BinlogType;

use super::{cancelled, columns, indexes, kinds, partitions, rows, tables, views};

/// Types that no statement writes, with the file whose tests have them.
const ELSEWHERE: [(BinlogType, &str); 1] = [(BinlogType::DUMMY, "expired")];

/// Types that no list of a table ever holds, so a table job does not meet them.
pub(super) const NOT_IN_TABLE_LISTS: [BinlogType; 4] = [
    BinlogType::CREATE_TABLE,
    BinlogType::DROP_TABLE,
    BinlogType::ALTER_DATABASE_PROPERTY,
    BinlogType::MODIFY_VIEW_DEF,
];

fn missing(covered: &[&[&[BinlogType]]], excused: &[BinlogType]) -> Vec<&'static str> {
    let covered: BTreeSet<i32> =
        covered.iter().copied().flatten().copied().flatten().map(|kind| kind.0).collect();
    let elsewhere = |kind: &BinlogType| ELSEWHERE.iter().any(|(other, _)| other == kind);
    BinlogType::known()
        .filter(|kind| !covered.contains(&kind.0) && !excused.contains(kind) && !elsewhere(kind))
        .map(BinlogType::name)
        .collect()
}

#[test]
fn every_type_has_a_case_in_a_database_job() {
    let covered = [
        rows::IN_DATABASE_JOBS,
        cancelled::IN_DATABASE_JOBS,
        partitions::IN_DATABASE_JOBS,
        columns::IN_DATABASE_JOBS,
        indexes::IN_DATABASE_JOBS,
        kinds::IN_DATABASE_JOBS,
        tables::IN_DATABASE_JOBS,
        views::IN_DATABASE_JOBS,
    ];
    assert_eq!(missing(&covered, &[]), [""; 0]);
}

#[test]
fn every_type_of_a_tables_list_has_a_case_in_a_table_job() {
    let covered = [
        rows::IN_TABLE_JOBS,
        cancelled::IN_TABLE_JOBS,
        partitions::IN_TABLE_JOBS,
        columns::IN_TABLE_JOBS,
        indexes::IN_TABLE_JOBS,
        kinds::IN_TABLE_JOBS,
        tables::IN_TABLE_JOBS,
    ];
    assert_eq!(missing(&covered, &NOT_IN_TABLE_LISTS), [""; 0]);
}
