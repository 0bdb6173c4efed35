//! Views: their definitions.

use doris_types::record::ModifyViewDefRecord;
use doris_types::sql::{qualified_name, quote_identifier, quote_string, rewrite_view_query};

use super::partition::unreadable;
use super::{Plan, Repeated, SkipReason, Statement, View};
use crate::change::Change;
use crate::job::{LinkEffect, SyncType};

pub(super) fn modify(change: &Change, record: &ModifyViewDefRecord, view: View<'_>) -> Plan {
    if view.spec.sync_type() == SyncType::Table {
        return Plan::Skip(SkipReason::OtherTable);
    }
    let Some(name) = view.views.get(&record.table_id) else {
        return Plan::Skip(SkipReason::NeverReplicated);
    };
    let target = qualified_name(&view.spec.dest.database, name);
    let sql = if record.inline_view_def.is_empty() {
        let comment = quote_string(record.comment.as_deref().unwrap_or(""));
        format!("ALTER VIEW {target} MODIFY COMMENT {comment}")
    } else {
        let body =
            rewrite_view_query(&record.inline_view_def, &view.spec.src.database, &view.spec.dest.database);
        match body {
            Ok(body) => format!("ALTER VIEW {target}{} AS {body}", columns(record)),
            Err(error) => return Plan::Block(unreadable(change, record.table_id, &error.to_string())),
        }
    };
    let (source_id, effect, repeated) = (record.table_id, LinkEffect::None, Repeated::Accepted);
    Plan::Statement(Statement::Execute { source_id, sql, effect, repeated })
}

/// The column list, which keeps names that the body alone would not give.
fn columns(record: &ModifyViewDefRecord) -> String {
    if record.new_full_schema.is_empty() {
        return String::new();
    }
    let names: Vec<String> =
        record.new_full_schema.iter().map(|column| quote_identifier(&column.name)).collect();
    format!(" ({})", names.join(", "))
}
