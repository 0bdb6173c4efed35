//! The source database and its tables.

use ccr_core::job::ClusterSpec;
use ccr_core::ports::Upstream;
use doris_types::call::MetaFilter;
use doris_types::sql::{qualified_name, quote_identifier};
use futures::StreamExt;

use super::{Problem, failed, is_true, problem, property};

const CONCURRENT_TABLES: usize = 16;
/// What SHOW CREATE TABLE answers of an asynchronous materialised view. The list of names has no kinds.
const ASYNC_VIEW: &str = "not support async materialized view";

/// Lets BACKUP pass over temporary partitions.
const IGNORES_TEMPORARY: &str = "ignore_backup_tmp_partitions";

/// What is to be looked at of a table.
#[derive(Debug, Clone, Copy)]
struct Looks {
    binlog_enabled: bool,
    ignores_temporary: bool,
}

#[derive(Debug, Default)]
pub(super) struct Source {
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
    pub inverted_indexes: bool,
}

pub(super) async fn check(spec: &ClusterSpec, upstream: &dyn Upstream, binlog_enabled: bool) -> Source {
    let mut source = Source::default();
    let database = match upstream.show_create_database(&spec.database).await {
        Ok(Some(text)) => text,
        Ok(None) => {
            source.problems.push(problem(
                "src.database",
                format!("database {} does not exist", spec.database),
                "correct src.database, or create the database upstream",
            ));
            return source;
        }
        Err(failure) => {
            source.problems.push(failed("src", spec, &failure));
            return source;
        }
    };
    // Frontends that do not know the setting refuse to back up what has temporary partitions.
    let ignores_temporary = match upstream.frontend_config(IGNORES_TEMPORARY).await {
        Ok(value) => is_true(value.as_deref()),
        Err(failure) => {
            source.problems.push(failed("src", spec, &failure));
            return source;
        }
    };
    let looks = Looks { binlog_enabled, ignores_temporary };
    if !spec.table.is_empty() {
        check_table(spec, upstream, &spec.table, looks, true, &mut source).await;
        return source;
    }
    if !is_true(property(&database, "binlog.enable")) {
        source.problems.push(problem(
            "src.database",
            format!("binlog.enable is not true on database {}", spec.database),
            format!(
                "ALTER DATABASE {} SET PROPERTIES (\"binlog.enable\" = \"true\")",
                quote_identifier(&spec.database)
            ),
        ));
    }
    check_tables(spec, upstream, looks, &mut source).await;
    source
}

async fn check_tables(spec: &ClusterSpec, upstream: &dyn Upstream, looks: Looks, source: &mut Source) {
    let meta = match upstream.meta(&spec.database, MetaFilter::Names).await {
        Ok(meta) => meta.unwrap_or_default(),
        Err(failure) => {
            source.problems.push(failed("src", spec, &failure));
            return;
        }
    };
    let mut names: Vec<String> = meta.tables.into_iter().map(|table| table.name).collect();
    names.sort();
    let mut parts: Vec<(usize, Source)> = futures::stream::iter(names.into_iter().enumerate())
        .map(|(index, name)| async move {
            let mut part = Source::default();
            check_table(spec, upstream, &name, looks, false, &mut part).await;
            (index, part)
        })
        .buffer_unordered(CONCURRENT_TABLES)
        .collect()
        .await;
    parts.sort_by_key(|(index, _)| *index);
    for (_, part) in parts {
        source.problems.extend(part.problems);
        source.warnings.extend(part.warnings);
        source.inverted_indexes |= part.inverted_indexes;
    }
}

/// `required` is false for a table found in a list, which may have been dropped since.
async fn check_table(
    spec: &ClusterSpec,
    upstream: &dyn Upstream,
    table: &str,
    looks: Looks,
    required: bool,
    source: &mut Source,
) {
    let create = match upstream.show_create_table(&spec.database, table).await {
        Ok(Some(create)) => create,
        Ok(None) if required => {
            source.problems.push(problem(
                "src.table",
                format!("table {}.{table} does not exist", spec.database),
                "correct src.table, or create the table upstream",
            ));
            return;
        }
        Ok(None) => return,
        Err(failure) if failure.text().contains(ASYNC_VIEW) => {
            if required {
                source.problems.push(problem(
                    "src.table",
                    format!("{}.{table} is an asynchronous materialised view", spec.database),
                    "name a table; such views write no binlog and are not replicated",
                ));
            }
            return;
        }
        Err(failure) => {
            source.problems.push(failed("src", spec, &failure));
            return;
        }
    };
    if create.starts_with("CREATE VIEW") {
        if required {
            source.problems.push(problem(
                "src.table",
                format!("{}.{table} is a view", spec.database),
                "name a table; views are replicated by database jobs",
            ));
        }
        return;
    }
    let name = format!("src table {}.{table}", spec.database);
    let quoted = qualified_name(&spec.database, table);
    if looks.binlog_enabled && !is_true(property(&create, "binlog.enable")) {
        source.problems.push(problem(
            name.as_str(),
            "binlog.enable is not true".to_owned(),
            format!(
                "ALTER TABLE {quoted} SET (\"binlog.enable\" = \"true\", \"binlog.ttl_seconds\" = \"86400\")"
            ),
        ));
    }
    if !is_true(property(&create, "light_schema_change")) {
        source.problems.push(problem(
            name.as_str(),
            "light_schema_change is not true".to_owned(),
            format!("ALTER TABLE {quoted} SET (\"light_schema_change\" = \"true\")"),
        ));
    }
    if !looks.ignores_temporary && create.contains("PARTITION BY ") {
        match upstream.temporary_partitions(&spec.database, table).await {
            Ok(partitions) => source.problems.extend(partitions.iter().map(|partition| {
                problem(
                    name.as_str(),
                    format!("it has the temporary partition {partition}, with which it cannot be backed up"),
                    format!(
                        "ALTER TABLE {quoted} DROP TEMPORARY PARTITION {}, or on the source: ADMIN SET FRONTEND \
                         CONFIG (\"{IGNORES_TEMPORARY}\" = \"true\")",
                        quote_identifier(partition)
                    ),
                )
            })),
            Err(failure) => source.problems.push(failed("src", spec, &failure)),
        }
    }
    if property(&create, "storage_policy").is_some_and(|policy| !policy.is_empty()) {
        source.warnings.push(format!("{name}: its storage policy is not replicated"));
    }
    source.inverted_indexes |= create.contains("USING INVERTED");
}
