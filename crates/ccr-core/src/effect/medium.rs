//! Moving partitions of the target to the medium that the upstream has put them on.
//!
//! Records name partitions by id, and names may differ between the sides, so formal partitions are matched by
//! their range, as loads are. Temporary partitions got their medium when they were made. Setting a medium can
//! be repeated.

use std::collections::BTreeSet;

use doris_types::meta::{PartitionMeta, TableMeta};
use doris_types::sql::{qualified_name, quote_identifiers, quote_string};

use super::names::target_dropped;
use super::patience::Patience;
use super::routes::{has_equal_ranges, look_at_patiently};
use super::statement::execute;
use super::{downstream, upstream};
use crate::error::Result;
use crate::plan::{Repeated, TableMedia};
use crate::ports::Cluster;
use crate::runner::shell::Shell;

/// Sets the medium of the partitions of one table that both sides still have.
pub(crate) async fn set(shell: &Shell, table: &TableMedia, patience: &Patience) -> Result<()> {
    for sql in shell.retry(async || statements(shell, table).await).await? {
        execute(shell, &sql, false, &Repeated::Accepted, patience).await?;
    }
    Ok(())
}

async fn statements(shell: &Shell, table: &TableMedia) -> Result<Vec<String>> {
    let (source, target) = look_at_patiently(shell, table.source_id, table.target_id).await?;
    // Dropped later in the binlog.
    let Some(source) = source else { return Ok(Vec::new()) };
    let target = target.ok_or_else(|| target_dropped(&source.name, table.target_id))?;
    let (source_db, target_db) = (shell.source_database(), shell.target_database());
    let ctx = &shell.ctx;
    let from = formal(&*ctx.upstream, source_db, &source, Temporary::Guessed).await.map_err(upstream)?;
    let to = formal(&*ctx.downstream, target_db, &target, Temporary::Guessed).await.map_err(downstream)?;
    let mut statements = Vec::new();
    for (medium, partitions) in &table.media {
        let ranges: BTreeSet<&str> = from
            .iter()
            .filter(|partition| partitions.contains(&partition.id))
            .map(|partition| partition.range.as_str())
            .collect();
        let names: Vec<&str> = to
            .iter()
            .filter(|partition| ranges.contains(partition.range.as_str()))
            .map(|partition| partition.name.as_str())
            .collect();
        if !names.is_empty() {
            statements.push(format!(
                "ALTER TABLE {} MODIFY PARTITION ({}) SET (\"storage_medium\" = {})",
                qualified_name(target_db, &target.name),
                quote_identifiers(names),
                quote_string(medium)
            ));
        }
    }
    Ok(statements)
}

/// How temporary partitions are told from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temporary {
    /// They are asked for only where two partitions have one range.
    Guessed,
    Asked,
}

/// The partitions of a table without its temporary ones, which the metadata does not tell apart.
pub(super) async fn formal<'a, C: Cluster + ?Sized>(
    cluster: &C,
    database: &str,
    table: &'a TableMeta,
    temporary: Temporary,
) -> doris_types::failure::Result<Vec<&'a PartitionMeta>> {
    let temporary = if temporary == Temporary::Asked || has_equal_ranges(table, &[]) {
        cluster.temporary_partitions(database, &table.name).await?
    } else {
        Vec::new()
    };
    Ok(table.partitions.iter().filter(|partition| !temporary.contains(&partition.name)).collect())
}
