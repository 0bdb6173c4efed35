//! SET: system variables for the session or for all, user variables, and values that are expressions.

use std::sync::Arc;

use super::variables::default_of;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::query;
use crate::session::{Answer, ColumnType, Session, UserValue};
use crate::sql::{SetItem, SetScope};

/// Applies the items in order; a later one sees what an earlier one has set. A global setting counts for this
/// session and for those to come.
pub async fn run(cluster: &Arc<ClusterInner>, session: &mut Session, items: &[SetItem]) -> SqlResult<()> {
    for item in items {
        let name = item.name.to_ascii_lowercase();
        match item.scope {
            SetScope::User => {
                let value = evaluate(cluster, session, item).await?;
                session.user_variables.insert(name, value);
            }
            SetScope::Session | SetScope::Global => {
                let value = system_value(cluster, session, item, &name).await?;
                assign(cluster, session, item.scope, name, value);
            }
        }
    }
    Ok(())
}

/// `None` asks for the default.
async fn system_value(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    item: &SetItem,
    name: &str,
) -> SqlResult<Option<String>> {
    let written = item.value.trim();
    let value = if !item.is_text && written.contains(['(', '@']) {
        evaluate(cluster, session, item).await?.text
    } else {
        Some(written.to_owned())
    };
    let is_word = |text: &str, word: &str| !item.is_text && text.eq_ignore_ascii_case(word);
    let value = value.filter(|text| !is_word(text, "default") && !is_word(text, "null"));
    // Switches have one spelling.
    let is_switch = default_of("", name).is_some_and(|default| default == "true" || default == "false");
    Ok(value.map(|text| match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "1" if is_switch => "true".to_owned(),
        "off" | "false" | "0" if is_switch => "false".to_owned(),
        _ => text,
    }))
}

fn assign(
    cluster: &ClusterInner,
    session: &mut Session,
    scope: SetScope,
    name: String,
    value: Option<String>,
) {
    if scope == SetScope::Global {
        let mut state = cluster.fe.lock();
        match &value {
            Some(value) => state.global_variables.insert(name.clone(), value.clone()),
            None => state.global_variables.remove(&name),
        };
        state.journal();
    }
    match value {
        Some(value) => session.variables.insert(name, value),
        None => session.variables.remove(&name),
    };
}

/// The value of an expression, which may be a query in parentheses.
async fn evaluate(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    item: &SetItem,
) -> SqlResult<UserValue> {
    if item.is_text {
        return Ok(UserValue { text: Some(item.value.clone()), is_number: false });
    }
    let Answer::Rows(result) = query::run(cluster, session, &format!("SELECT {}", item.value)).await? else {
        return Err(SqlError::general("a query has no rows"));
    };
    let text = result.rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
    let is_number = result.types.first().is_some_and(|column_type| match column_type {
        ColumnType::TinyInt
        | ColumnType::SmallInt
        | ColumnType::Int
        | ColumnType::BigInt
        | ColumnType::Float
        | ColumnType::Double
        | ColumnType::Decimal => true,
        ColumnType::Text | ColumnType::Date | ColumnType::DateTime | ColumnType::Json => false,
    });
    Ok(UserValue { text, is_number })
}
