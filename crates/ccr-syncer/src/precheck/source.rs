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
    if !spec.table.is_empty() {
        check_table(spec, upstream, &spec.table, binlog_enabled, true, &mut source).await;
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
    check_tables(spec, upstream, binlog_enabled, &mut source).await;
    source
}

async fn check_tables(
    spec: &ClusterSpec,
    upstream: &dyn Upstream,
    binlog_enabled: bool,
    source: &mut Source,
) {
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
            check_table(spec, upstream, &name, binlog_enabled, false, &mut part).await;
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
    binlog_enabled: bool,
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
    if binlog_enabled && !is_true(property(&create, "binlog.enable")) {
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
    if property(&create, "storage_policy").is_some_and(|policy| !policy.is_empty()) {
        source.warnings.push(format!("{name}: its storage policy is not replicated"));
    }
    source.inverted_indexes |= create.contains("USING INVERTED");
}
