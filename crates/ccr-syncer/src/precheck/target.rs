//! The target database and table.

use ccr_core::job::{JobSpec, SyncType};
use ccr_core::ports::Downstream;
use doris_types::call::MetaFilter;
use doris_types::sql::qualified_name;

use super::{Problem, failed, is_true, problem};

#[derive(Debug, Default)]
pub(super) struct Target {
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
    pub create_database: bool,
    /// A restore would give indexes new ids.
    pub resets_index_ids: bool,
}

pub(super) async fn check(spec: &JobSpec, downstream: &dyn Downstream) -> Target {
    let mut target = Target::default();
    let dest = &spec.dest;
    // Frontends that do not know the setting keep the ids.
    match downstream.frontend_config("restore_reset_index_id").await {
        Ok(value) => target.resets_index_ids = is_true(value.as_deref()),
        Err(failure) => target.problems.push(failed("dest", dest, &failure)),
    }
    match downstream.show_create_database(&dest.database).await {
        Ok(Some(_)) => {}
        Ok(None) => {
            target.create_database = true;
            return target;
        }
        Err(failure) => {
            target.problems.push(failed("dest", dest, &failure));
            return target;
        }
    }
    match spec.sync_type() {
        SyncType::Table if spec.options.allow_table_exists => {}
        SyncType::Table => match downstream.show_create_table(&dest.database, &dest.table).await {
            Ok(None) => {}
            Ok(Some(_)) => target.problems.push(problem(
                "dest.table",
                format!("table {}.{} already exists", dest.database, dest.table),
                format!(
                    "set allow_table_exists to overwrite it, or on the target: DROP TABLE {}",
                    qualified_name(&dest.database, &dest.table)
                ),
            )),
            Err(failure) => target.problems.push(failed("dest", dest, &failure)),
        },
        // The original takes over a database that has tables already, which is how a job is created anew.
        SyncType::Database => match downstream.meta(&dest.database, MetaFilter::Names).await {
            Ok(meta) => {
                let tables = meta.map_or(0, |meta| meta.tables.len());
                if tables > 0 {
                    target.warnings.push(format!(
                        "target database {} already has {tables} tables; those with the name of a source \
                         table are overwritten",
                        dest.database
                    ));
                }
            }
            Err(failure) => target.problems.push(failed("dest", dest, &failure)),
        },
    }
    target
}
