//! CREATE FUNCTION and DROP FUNCTION.

use serde::{Deserialize, Serialize};

use super::context;
use crate::error::{SqlError, SqlResult};
use crate::model::DataType;
use crate::query::compile;
use crate::session::Session;
use crate::sql::lexer::{TokenKind, tokenize};
use crate::sql::{FunctionBody, FunctionName, FunctionStatement};
use crate::state::FeState;

/// A function of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub id: i64,
    /// `None`: known in every database. Functions of a dropped database wait for its recovery.
    pub db_id: Option<i64>,
    /// In lower case.
    pub name: String,
    pub arguments: Vec<DataType>,
    pub is_variadic: bool,
    pub body: FunctionBody,
}

impl Function {
    /// `f(INT,VARCHAR(8))`, as SHOW FULL FUNCTIONS prints it.
    pub fn signature(&self) -> String {
        signature(&self.name, &self.arguments, self.is_variadic)
    }
}

fn signature(name: &str, arguments: &[DataType], is_variadic: bool) -> String {
    let mut types: Vec<String> = arguments.iter().map(|ty| ty.to_string().to_uppercase()).collect();
    if is_variadic {
        types.push("...".to_owned());
    }
    format!("{name}({})", types.join(","))
}

pub fn run(state: &mut FeState, session: &Session, statement: &FunctionStatement) -> SqlResult<()> {
    match statement {
        FunctionStatement::Create { function, if_not_exists, body } => {
            create(state, session, function, *if_not_exists, body)
        }
        FunctionStatement::Drop { function, if_exists } => drop(state, session, function, *if_exists),
    }
}

fn create(
    state: &mut FeState,
    session: &Session,
    name: &FunctionName,
    if_not_exists: bool,
    body: &FunctionBody,
) -> SqlResult<()> {
    let db_id = owner(state, session, name)?;
    if let FunctionBody::Alias { parameters, expression } = body {
        check_alias(name, parameters, expression)?;
    }
    if find(state, db_id, name).is_some() {
        return if if_not_exists { Ok(()) } else { Err(SqlError::general("function already exists")) };
    }
    let function = Function {
        id: state.ids.allocate(),
        db_id,
        name: name.name.clone(),
        arguments: name.arguments.clone(),
        is_variadic: name.is_variadic,
        body: body.clone(),
    };
    state.ddl.functions.push(function);
    state.journal();
    Ok(())
}

/// Doris's checks of the parameters; the expression must be a call or a cast.
fn check_alias(name: &FunctionName, parameters: &[String], expression: &str) -> SqlResult<()> {
    let shown = &name.name;
    if parameters.len() != name.arguments.len() {
        return Err(SqlError::general(format!(
            "Alias function [{shown}] args number is not equal to parameters number"
        )));
    }
    compile::alias_expression(expression)?;
    let tokens = tokenize(expression)?;
    let is_named = |parameter: &String| {
        tokens.iter().any(|token| match &token.kind {
            TokenKind::Word(word) | TokenKind::Quoted(word) => word.eq_ignore_ascii_case(parameter),
            TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => false,
        })
    };
    match parameters.iter().find(|parameter| !is_named(parameter)) {
        Some(unused) => {
            Err(SqlError::general(format!("Alias function [{shown}] do not contain parameter [{unused}].")))
        }
        None => Ok(()),
    }
}

fn drop(state: &mut FeState, session: &Session, name: &FunctionName, if_exists: bool) -> SqlResult<()> {
    let db_id = owner(state, session, name)?;
    match find(state, db_id, name) {
        Some(at) => {
            state.ddl.functions.remove(at);
            state.journal();
            Ok(())
        }
        None if if_exists => Ok(()),
        None => {
            let db = db_id.and_then(|id| state.databases.get(&id)).map(|db| format!("{}.", db.name));
            let signature = signature(&name.name, &name.arguments, name.is_variadic);
            Err(SqlError::general(format!(
                "Unknown function, function={}{signature}",
                db.unwrap_or_default()
            )))
        }
    }
}

/// The database of a function, unless it belongs to all of them.
pub fn owner(state: &FeState, session: &Session, name: &FunctionName) -> SqlResult<Option<i64>> {
    if name.is_global {
        return Ok(None);
    }
    context::database_id(state, session, name.db.as_deref()).map(Some)
}

/// The position of the function of exactly these arguments.
pub fn find(state: &FeState, db_id: Option<i64>, name: &FunctionName) -> Option<usize> {
    state.ddl.functions.iter().position(|known| {
        known.db_id == db_id
            && known.name == name.name
            && known.arguments == name.arguments
            && known.is_variadic == name.is_variadic
    })
}
