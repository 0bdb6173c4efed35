//! Which conditions a SHOW statement takes.
//!
//! Statements over `information_schema` (TABLES, DATABASES, COLUMNS, VARIABLES…) take any. Those over jobs,
//! partitions and tablets take comparisons of certain columns joined by AND, those over snapshots and
//! transactions one comparison; each refuses the rest in its own words.

use crate::error::{SqlError, SqlResult};
use crate::sql::{Condition, Operator, Predicate, ShowFilter, ShowKind};

const ONLY_AND: &str = "Only allow compound predicate with operator AND";

/// Refuses what Doris refuses for that kind of statement.
pub fn check(kind: &ShowKind, filter: &ShowFilter) -> SqlResult<()> {
    let Some(predicate) = &filter.predicate else { return Ok(()) };
    let refusal = match kind {
        ShowKind::AlterTable { .. } => {
            job(predicate, &["tablename", "indexname", "rollupindexname", "state"], ALTER)
        }
        ShowKind::BuildIndex { .. } => job(predicate, &["tablename", "partitionname", "state"], BUILD_INDEX),
        ShowKind::Partitions { .. } => partitions(predicate),
        ShowKind::Tablets(_) => tablets(predicate),
        ShowKind::Backup { .. } => label(predicate, "snapshotname").then_some(BACKUP.to_owned()),
        ShowKind::Restore { .. } => label(predicate, "label").then_some(RESTORE.to_owned()),
        _ => None,
    };
    refusal.map_or(Ok(()), |text| Err(SqlError::general(text)))
}

const BACKUP: &str =
    "Where clause should like: SnapshotName = \"your_snapshot_name\",  or SnapshotName LIKE \"matcher\"";
const RESTORE: &str = "Where clause should like: LABEL = \"your_label_name\",  or LABEL LIKE \"matcher\"";
const TABLETS: &str = "Where clause should like: Version = \"version\", or state = \
                       \"NORMAL|ROLLUP|CLONE|DECOMMISSION\", or BackendId = 10000, indexname=\"rollup_name\" or \
                       compound predicate with operator AND";
/// Which columns there are.
const ALTER: &str = "The columns of TableName/IndexName/CreateTime/FinishTime/State are supported.";
const BUILD_INDEX: &str = "The columns of TableName/PartitionName/CreateTime/FinishTime/State are supported.";
const TIMES: &str = "Where clause : CreateTime/FinishTime =|>=|<=|>|<|!= \"2019-12-02|2019-12-02 14:54:00\"";

/// The parts of a conjunction; an error when anything but AND joins them.
fn conjuncts(predicate: &Predicate) -> Result<Vec<&Predicate>, String> {
    match predicate {
        Predicate::All(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(conjuncts(part)?);
            }
            Ok(all)
        }
        Predicate::Any(_) | Predicate::Not(_) => Err(ONLY_AND.to_owned()),
        Predicate::Compare(_) | Predicate::In { .. } | Predicate::IsNull { .. } => Ok(vec![predicate]),
    }
}

fn is_pattern(condition: &Condition) -> bool {
    matches!(condition.operator, Operator::Like | Operator::NotLike)
}

/// The first refusal among the parts of a conjunction.
fn each(predicate: &Predicate, refuse: impl Fn(&Predicate) -> Option<String>) -> Option<String> {
    match conjuncts(predicate) {
        Ok(parts) => parts.into_iter().find_map(refuse),
        Err(text) => Some(text),
    }
}

fn job(predicate: &Predicate, texts: &[&str], columns: &str) -> Option<String> {
    each(predicate, |part| {
        let Predicate::Compare(condition) = part else {
            return Some("The operator =|>=|<=|>|<|!= are supported.".to_owned());
        };
        if is_pattern(condition) {
            return Some("The operator =|>=|<=|>|<|!= are supported.".to_owned());
        }
        match condition.column.to_ascii_lowercase().as_str() {
            column if texts.contains(&column) => None,
            "createtime" | "finishtime" => (!condition.is_text).then(|| TIMES.to_owned()),
            _ => Some(columns.to_owned()),
        }
    })
}

fn partitions(predicate: &Predicate) -> Option<String> {
    each(predicate, |part| {
        let Predicate::Compare(condition) = part else {
            return Some("Only operator =|>=|<=|>|<|!=|like are supported.".to_owned());
        };
        let column = condition.column.as_str();
        match column.to_ascii_lowercase().as_str() {
            "partitionname" | "state" => {
                let allowed = matches!(condition.operator, Operator::Equal | Operator::Like);
                (!allowed).then(|| format!("Only operator =|like are supported for {column}"))
            }
            "partitionid" | "buckets" | "replicationnum" | "lastconsistencychecktime" => {
                is_pattern(condition)
                    .then(|| format!("Only operator =|>=|<=|>|<|!= are supported for {column}"))
            }
            _ => Some(
                "Only the columns of [PartitionId/PartitionName/State/Buckets/ReplicationNum/\
                 LastConsistencyCheckTime] are supported."
                    .to_owned(),
            ),
        }
    })
}

fn tablets(predicate: &Predicate) -> Option<String> {
    let is_allowed = |part: &Predicate| match part {
        Predicate::Compare(condition) => {
            let column = condition.column.to_ascii_lowercase();
            condition.operator == Operator::Equal
                && ["version", "backendid", "indexname", "state"].contains(&column.as_str())
        }
        Predicate::In { .. }
        | Predicate::IsNull { .. }
        | Predicate::All(_)
        | Predicate::Any(_)
        | Predicate::Not(_) => false,
    };
    match conjuncts(predicate) {
        Ok(parts) if parts.iter().all(|part| is_allowed(part)) => None,
        Ok(_) | Err(_) => Some(TABLETS.to_owned()),
    }
}

/// Whether it is anything but one `column = 'text'` or `column LIKE 'pattern'`.
fn label(predicate: &Predicate, column: &str) -> bool {
    let Predicate::Compare(condition) = predicate else { return true };
    !(condition.column.eq_ignore_ascii_case(column)
        && condition.is_text
        && !condition.value.is_empty()
        && matches!(condition.operator, Operator::Equal | Operator::Like))
}
