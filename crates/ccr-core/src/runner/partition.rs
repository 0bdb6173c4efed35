//! Copying one partition that was recovered upstream, instead of its table.
//!
//! The target lacks the partition, so a restore that is not atomic adds it beside the others, which stay as they
//! are and can be read all the while. It would overwrite a partition of the same name in place; so before it is
//! submitted the target is looked at. Whatever does not fit is answered with the copy of the whole table.

use std::sync::Arc;

use doris_types::call::MetaFilter;
use doris_types::meta::{PartitionMeta, TableMeta};

use super::cancelled::judge;
use super::lane::{CopyStep, Restore, cancelled, lost};
use super::shell::Shell;
use crate::answers::{MISFITS, is_lasting_refusal, says_any};
use crate::effect::routes::{is_proven_gone, look_at};
use crate::effect::{Scope, backup, look_for, restore, upstream};
use crate::error::Result;
use crate::job::{Recovered, TableLink};

/// Backs up the partition, under whatever name it has now.
pub(super) async fn take(
    shell: Arc<Shell>,
    source_id: i64,
    link: TableLink,
    label: String,
    recovered: Recovered,
) -> Result<CopyStep> {
    let whole = |detail: &str| Ok(CopyStep::Again(recovered.with_table(detail)));
    let mut tries = 0;
    loop {
        let look = async || look_upstream(&shell, source_id, recovered.partition_id).await;
        let what = format!("partition {} of table {source_id}", recovered.partition_id);
        let (table, partition) = match look_for(&shell, &what, look).await? {
            Some(Presence::There(table, partition)) => (table, partition),
            Some(Presence::Dropped) | None => return whole("it is not upstream any more"),
        };
        if partition.range.is_empty() {
            return whole("its table is not partitioned");
        }
        if table != link.target_name {
            return whole("its table has another name upstream than downstream");
        }
        if !link.temporary.is_empty() {
            return whole("its table has temp partitions, beside which nothing can be restored");
        }
        let scope = Scope::Partition { table, partition: partition.name, partition_id: partition.id };
        match backup::run(&shell, &label, &scope).await {
            Ok(backup::Outcome::Ready(info)) => {
                return Ok(match info.tables.iter().find(|table| table.id == source_id) {
                    Some(table) if table.partition.is_some() => CopyStep::SnapshotReady(info),
                    Some(_) | None => CopyStep::Again(recovered.with_table("its snapshot does not hold it")),
                });
            }
            Ok(backup::Outcome::Lost(reason)) => return Ok(CopyStep::Again(lost(&label, &reason))),
            // It was renamed, or is gone, since it was looked for.
            Err(error)
                if ["nknown table", "nknown partition"].iter().any(|text| error.message.contains(text)) =>
            {
                tries += 1;
                shell.pause(&error, tries).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Adds the partition to the target.
pub(super) async fn put(
    shell: Arc<Shell>,
    source_id: i64,
    link: TableLink,
    restore: Restore,
    recovered: Recovered,
    gives_way: impl Fn() -> bool + Sync,
) -> Result<CopyStep> {
    let Restore { backup_label, label, attempt, info, .. } = restore;
    let whole = |detail: &str| Ok(CopyStep::Again(recovered.with_table(detail)));
    let snapshot = info.tables.iter().find(|table| table.id == source_id);
    let Some((table, partition)) = snapshot.and_then(|table| Some((table, table.partition.clone()?))) else {
        return whole("its snapshot does not hold it");
    };
    if table.name != link.target_name {
        return whole("its table has got another name");
    }
    if !restore::is_known(&shell, &label).await? {
        match shell.retry(async || look_at(&shell, source_id, link.target_id).await).await?.1 {
            Some(target) if target.partitions.iter().any(|there| there.name == partition) => {
                return whole("the target has a partition of its name");
            }
            Some(target) if target.name != link.target_name => {
                return whole("the target of its table has got another name");
            }
            Some(_) => {}
            None => return whole("the target of its table is gone"),
        }
    }
    let scope =
        Scope::Partition { table: table.name.clone(), partition, partition_id: recovered.partition_id };
    match restore::run(&shell, &backup_label, &label, (&info, false), &scope, &gives_way).await? {
        restore::Outcome::GaveWay => Ok(CopyStep::GaveWay),
        restore::Outcome::Restored(links) => match links.get(&source_id) {
            Some(restored) if restored.target_id == link.target_id => {
                Ok(CopyStep::PartitionRestored { synced_to: restored.synced_to })
            }
            Some(_) | None => whole("another table had the name of its target"),
        },
        restore::Outcome::Cancelled(status) if says_any(&status, MISFITS) => whole(&status),
        restore::Outcome::Cancelled(status) if is_lasting_refusal(&status) => whole(&status),
        restore::Outcome::Cancelled(status) => {
            cancelled(&backup_label, judge(&label, attempt, &status), status)
        }
        restore::Outcome::Lost(reason) => Ok(CopyStep::Again(lost(&backup_label, &reason))),
    }
}

/// What the upstream says of a partition.
enum Presence {
    /// It is there: the name of its table, and itself.
    There(String, PartitionMeta),
    Dropped,
}

/// Looks for a partition once; `None` when it is neither there nor reported as dropped.
async fn look_upstream(shell: &Shell, source_id: i64, partition_id: i64) -> Result<Option<Presence>> {
    let filter = MetaFilter::Tables(vec![source_id]);
    let Some(db) = shell.ctx.upstream.meta(shell.source_database(), filter).await.map_err(upstream)? else {
        return Ok(None);
    };
    let is_gone = db.reports_drops
        && is_proven_gone(&db, |db| {
            db.dropped_partitions.contains_key(&partition_id) || db.dropped_tables.contains_key(&source_id)
        });
    let table = db.tables.into_iter().find(|table| table.id == source_id);
    let found = table.and_then(|TableMeta { name, partitions, .. }| {
        let partition = partitions.into_iter().find(|partition| partition.id == partition_id)?;
        Some(Presence::There(name, partition))
    });
    Ok(found.or(is_gone.then_some(Presence::Dropped)))
}
