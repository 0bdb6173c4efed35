//! MODIFY_PARTITIONS: where partitions live, HDD or SSD.
//!
//! Each cluster chooses its media, unless the job is to follow the upstream. Other properties in these records
//! (replicas, storage policies) stay with their cluster. The records name partitions by id, so the statement
//! is made when the metadata of both sides is at hand.

use doris_types::record::ModifyPartitionsRecord;

use super::{Plan, SkipReason, Statement, TableMedia, View, linked};
use crate::change::Change;

pub(super) fn modify_partitions(change: &Change, record: &ModifyPartitionsRecord, view: View<'_>) -> Plan {
    if !view.spec.options.follows_media() {
        return Plan::Skip(SkipReason::StorageMedium);
    }
    let mut tables: Vec<TableMedia> = Vec::new();
    let mut otherwise = Plan::Skip(SkipReason::NothingToChange);
    for info in &record.infos {
        let medium = info.data_property.as_ref().map_or("", |property| property.storage_medium.as_str());
        if medium.is_empty() {
            continue;
        }
        let link = match linked(info.table_id, change.commit_seq, view) {
            Ok(link) => link,
            Err(plan) => {
                if !matches!(otherwise, Plan::PartialSync { .. }) {
                    otherwise = *plan;
                }
                continue;
            }
        };
        let known = tables.iter().position(|table| table.source_id == info.table_id);
        let at = known.unwrap_or_else(|| {
            let (source_id, target_id) = (info.table_id, link.target_id);
            tables.push(TableMedia { source_id, target_id, media: [].into() });
            tables.len() - 1
        });
        tables[at].media.entry(medium.to_uppercase()).or_default().push(info.partition_id);
    }
    if tables.is_empty() { otherwise } else { Plan::Statement(Statement::SetMedium { tables }) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::job::MediumPolicy;
    use doris_types::record::BinlogType;
    use std::collections::BTreeMap;

    const DATA: &str = r#"{"infos":[
        {"dbId":1,"tableId":10,"partitionId":5,"dataProperty":{"storageMedium":"SSD"}},
        {"dbId":1,"tableId":10,"partitionId":6,"dataProperty":{"storageMedium":"HDD"}},
        {"dbId":1,"tableId":77,"partitionId":7,"dataProperty":{"storageMedium":"SSD"}},
        {"dbId":1,"tableId":10,"partitionId":8,"dataProperty":{"storageMedium":"SSD"}}]}"#;

    fn plan_under(policy: MediumPolicy) -> Plan {
        let mut spec = spec("", "");
        spec.options.storage_medium = policy;
        plan_for(&spec, 60, BinlogType::MODIFY_PARTITIONS, DATA)
    }

    #[test]
    fn media_are_followed_where_the_job_says_so() {
        let media = BTreeMap::from([("HDD".to_owned(), vec![6]), ("SSD".to_owned(), vec![5, 8])]);
        let tables = vec![TableMedia { source_id: 10, target_id: 110, media }];
        assert_eq!(plan_under(MediumPolicy::Upstream), Plan::Statement(Statement::SetMedium { tables }));
        for policy in [MediumPolicy::Target, MediumPolicy::Default] {
            assert_eq!(plan_under(policy), Plan::Skip(SkipReason::StorageMedium));
        }
    }
}
