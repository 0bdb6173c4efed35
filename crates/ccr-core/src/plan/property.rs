//! MODIFY_TABLE_PROPERTY.

use doris_types::record::ModifyTablePropertyRecord;
use doris_types::sql::rewrite::is_replicated_property;

use super::{Plan, SkipReason, View, linked, unsupported};
use crate::change::Change;

pub(super) fn modify(change: &Change, record: &ModifyTablePropertyRecord, view: View<'_>) -> Plan {
    if let Err(plan) = linked(record.table_id, change.commit_seq, view) {
        return plan;
    }
    if !record.properties.keys().any(|key| is_replicated_property(key)) {
        return Plan::Skip(SkipReason::LocalProperty);
    }
    unsupported(change, view)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{Block, Plan, SkipReason};
    use doris_types::record::BinlogType;

    fn modify(properties: &str) -> Plan {
        let data = format!(
            r#"{{"dbId":1,"tableId":10,"tableName":"t1","properties":{properties},"sql":"SET (…)"}}"#
        );
        plan_of(60, BinlogType::MODIFY_TABLE_PROPERTY, &data)
    }

    #[test]
    fn local_properties_are_skipped_and_others_are_not() {
        let local = modify(r#"{"binlog.enable":"true","dynamic_partition.enable":"false"}"#);
        assert_eq!(local, Plan::Skip(SkipReason::LocalProperty));
        assert!(matches!(modify(r#"{"in_memory":"true"}"#), Plan::Block(Block { code: "CCR0202", .. })));
    }
}
