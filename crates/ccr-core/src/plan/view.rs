//! Views: their definitions and their comments.
//!
//! ALTER VIEW takes a definition or a comment, and a record may tell of both.

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
    let (source_id, target) = (record.table_id, qualified_name(&view.spec.dest.database, name));
    let text = record.comment.as_deref().unwrap_or("");
    let comment = format!("ALTER VIEW {target} MODIFY COMMENT {}", quote_string(text));
    if record.inline_view_def.is_empty() {
        return Plan::Statement(execute(source_id, comment));
    }
    let body = rewrite_view_query(&record.inline_view_def, &view.spec.src.database, &view.spec.dest.database);
    let definition = match body {
        Ok(body) => format!("ALTER VIEW {target}{} AS {body}", columns(record)),
        Err(error) => return Plan::Block(unreadable(change, source_id, &error.to_string())),
    };
    // Where only the definition changed, the record has an empty comment, and the view keeps the one it has.
    Plan::Statement(if text.is_empty() {
        execute(source_id, definition)
    } else {
        Statement::AlterView { source_id, definition, comment }
    })
}

fn execute(source_id: i64, sql: String) -> Statement {
    Statement::Execute { source_id, sql, effect: LinkEffect::None, repeated: Repeated::Accepted }
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

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use doris_types::record::BinlogType;

    /// `v1` is linked as 30.
    fn statement(definition: &str, comment: &str) -> Statement {
        let data = format!(
            r#"{{"dbId":1,"tableId":30,"inlineViewDef":"{definition}","newFullSchema":[],"comment":"{comment}"}}"#
        );
        match plan_of(60, BinlogType::MODIFY_VIEW_DEF, &data) {
            Plan::Statement(statement) => statement,
            other => panic!("a statement for a view that is linked, not {other:?}"),
        }
    }

    #[test]
    fn a_record_may_tell_of_a_definition_a_comment_or_both() {
        let (query, comment) = ("SELECT 1 AS `k`", "ALTER VIEW `d2`.`v1` MODIFY COMMENT");
        let definition = format!("ALTER VIEW `d2`.`v1` AS {query}");
        assert_eq!(statement(query, ""), execute(30, definition.clone()));
        assert_eq!(statement("", "new"), execute(30, format!("{comment} {}", quote_string("new"))));
        assert_eq!(statement("", ""), execute(30, format!("{comment} {}", quote_string(""))));
        let comment = format!("{comment} {}", quote_string("new"));
        assert_eq!(statement(query, "new"), Statement::AlterView { source_id: 30, definition, comment });
    }
}
