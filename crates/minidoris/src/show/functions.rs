//! SHOW FUNCTIONS and SHOW CREATE FUNCTION.

use super::format::cell;
use super::tables::database;
use crate::error::{SqlError, SqlResult};
use crate::exec::{Function, function};
use crate::session::{ResultSet, Session};
use crate::sql::lexer::{TokenKind, tokenize};
use crate::sql::{FunctionBody, FunctionName};
use crate::state::FeState;

/// Functions of users, sorted by name.
pub fn rows(
    state: &FeState,
    session: &Session,
    is_global: bool,
    is_full: bool,
    db: Option<&str>,
) -> SqlResult<ResultSet> {
    let db_id = if is_global { None } else { Some(database(state, session, db)?.id) };
    let mut found: Vec<&Function> =
        state.ddl.functions.iter().filter(|function| function.db_id == db_id).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
    let mut result = if is_full {
        ResultSet::new(&["Signature", "Return Type", "Function Type", "Intermediate Type", "Properties"])
    } else {
        // Functions of one name are one line.
        found.dedup_by(|a, b| a.name == b.name);
        ResultSet::new(&["Function Name"])
    };
    result.rows = found
        .into_iter()
        .map(|function| if is_full { full_row(function) } else { vec![cell(&function.name)] })
        .collect();
    Ok(result)
}

fn full_row(function: &Function) -> Vec<Option<String>> {
    let (returns, kind, intermediate, properties) = match &function.body {
        FunctionBody::Alias { parameters, expression } => {
            let expression = quoted_parameters(expression, parameters);
            let properties =
                serde_json::json!({"parameter": parameters.join(","), "origin_function": expression});
            ("VARCHAR".to_owned(), "Alias", None, properties.to_string())
        }
        FunctionBody::Code { kind, returns, intermediate, properties } => {
            let properties = serde_json::Value::from_iter(properties.clone()).to_string();
            (returns.to_string().to_uppercase(), kind.as_str(), intermediate.as_ref(), properties)
        }
    };
    let intermediate = intermediate.map_or_else(|| "NULL".to_owned(), |ty| ty.to_string().to_uppercase());
    vec![cell(function.signature()), cell(returns), cell(kind), cell(intermediate), cell(properties)]
}

/// SHOW CREATE [GLOBAL] FUNCTION f(types).
pub fn create_text(state: &FeState, session: &Session, name: &FunctionName) -> SqlResult<ResultSet> {
    let db_id = function::owner(state, session, name)?;
    let Some(at) = function::find(state, db_id, name) else {
        return Err(SqlError::general("Unknown function"));
    };
    let function = &state.ddl.functions[at];
    let global = if name.is_global { "GLOBAL " } else { "" };
    let text = match &function.body {
        FunctionBody::Alias { parameters, expression } => format!(
            "CREATE {global}ALIAS FUNCTION {} WITH PARAMETER({}) AS {};",
            function.signature(),
            parameters.join(", "),
            quoted_parameters(expression, parameters)
        ),
        FunctionBody::Code { kind, returns, intermediate, properties } => {
            let kind = if kind == "Scalar" { String::new() } else { format!("{} ", kind.to_uppercase()) };
            let intermediate =
                intermediate.as_ref().map(|ty| format!(" INTERMEDIATE {ty}")).unwrap_or_default();
            let properties: Vec<String> =
                properties.iter().map(|(key, value)| format!("\"{key}\"=\"{value}\"")).collect();
            format!(
                "CREATE {global}{kind}FUNCTION {} RETURNS {returns}{intermediate} PROPERTIES (\n  {}\n);",
                function.signature(),
                properties.join(",\n  ")
            )
        }
    };
    let mut result = ResultSet::new(&["Function Signature", "Create Function"]);
    result.rows.push(vec![cell(function.signature()), cell(text)]);
    Ok(result)
}

/// The expression with its parameters in back quotes.
fn quoted_parameters(expression: &str, parameters: &[String]) -> String {
    let Ok(tokens) = tokenize(expression) else { return expression.to_owned() };
    let mut text = String::new();
    let mut copied = 0;
    for (token, next) in tokens.iter().zip(&tokens[1..]) {
        let TokenKind::Word(word) = &token.kind else { continue };
        if parameters.iter().any(|one| one.eq_ignore_ascii_case(word)) && !next.is_symbol('(') {
            text.push_str(&expression[copied..token.start]);
            text.push_str(&format!("`{word}`"));
            copied = token.end;
        }
    }
    text.push_str(&expression[copied..]);
    text
}
