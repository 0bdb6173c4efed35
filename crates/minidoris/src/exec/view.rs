//! CREATE VIEW and ALTER VIEW.

use std::collections::BTreeMap;

use doris_types::record::{BinlogType, CreateTableRecord, ModifyViewDefRecord, html_safe_json};
use doris_types::sql::quote_identifier;

use super::{context, qualify, records};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{Column, DataType, Table, View};
use crate::query::compile::{Compiled, Compiler};
use crate::query::run::parse_query;
use crate::query::types::Type;
use crate::query::{create_as_select, now};
use crate::session::Session;
use crate::show::create_view_text;
use crate::sql::CreateView;
use crate::sql::lexer::{Token, TokenKind, tokenize};
use crate::state::FeState;

pub fn create(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    create: &CreateView,
) -> SqlResult<()> {
    let db_id = context::database_id(state, session, create.view.db.as_deref())?;
    context::check_table_name(&create.view.name)?;
    let db = &state.databases[&db_id];
    let existing = db.table_named(&create.view.name).map(|table| (table.id(), table.as_olap().is_none()));
    match existing {
        Some((_, true)) if create.or_replace => return alter(cluster, state, session, create),
        Some(_) if create.if_not_exists => return Ok(()),
        Some(_) => return Err(SqlError::table_exists(&create.view.name)),
        None => {}
    }
    let query = create.query.as_deref().unwrap_or_default();
    let definition = qualify::columns(state, &db.name, &tables(query, &db.name)?);
    let compiled = check_names(cluster, state, session, &definition)?;
    let columns = view_columns(create, query, compiled.as_ref())?;
    let view_id = state.ids.allocate();
    let view = View {
        id: view_id,
        name: create.view.name.clone(),
        columns,
        definition,
        comment: create.comment.clone(),
    };
    let record = CreateTableRecord {
        commit_seq: 0,
        db_id,
        db_name: state.databases[&db_id].name.clone(),
        table_id: view_id,
        table_name: view.name.clone(),
        table_type: "VIEW".to_owned(),
        sql: create_view_text(&view),
        ..CreateTableRecord::default()
    };
    let db = state.databases.get_mut(&db_id).expect("the id was resolved");
    db.tables.insert(view_id, Table::View(Box::new(view)));
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::CREATE_TABLE, db_id, &[view_id], |commit_seq| {
        html_safe_json(&CreateTableRecord { commit_seq, ..record })
    });
    Ok(())
}

pub fn alter(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    alter: &CreateView,
) -> SqlResult<()> {
    let db_id = context::database_id(state, session, alter.view.db.as_deref())?;
    let db_name = state.databases[&db_id].name.clone();
    let definition = alter.query.as_deref().map(|query| tables(query, &db_name)).transpose()?;
    let definition = definition.map(|text| qualify::columns(state, &db_name, &text));
    let compiled = match &definition {
        Some(definition) => check_names(cluster, state, session, definition)?,
        None => None,
    };
    let db = state.databases.get_mut(&db_id).expect("the id was resolved");
    let view = match db.table_named_mut(&alter.view.name) {
        Some(Table::View(view)) => view,
        Some(Table::Olap(_)) => {
            let message = format!("'{db_name}.{}' is not VIEW.", alter.view.name);
            return Err(SqlError { code: 1347, state: "HY000", message });
        }
        None => return Err(SqlError::unknown_table(&db_name, &alter.view.name)),
    };
    let mut record =
        ModifyViewDefRecord { db_id, table_id: view.id, comment: Some(String::new()), ..Default::default() };
    if let (Some(query), Some(definition)) = (&alter.query, definition) {
        view.definition = definition;
        view.columns = view_columns(alter, query, compiled.as_ref())?;
        record.inline_view_def.clone_from(&view.definition);
        record.new_full_schema = view.columns.iter().map(records::column).collect();
        if !alter.comment.is_empty() {
            view.comment.clone_from(&alter.comment);
            record.comment = Some(view.comment.clone());
        }
    } else {
        // A change of the comment alone tells no definition.
        view.comment.clone_from(&alter.comment);
        record.comment = Some(view.comment.clone());
    }
    let view_id = view.id;
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::MODIFY_VIEW_DEF, db_id, &[view_id], |_| html_safe_json(&record));
    Ok(())
}

/// Refuses a query that names a database, table or column that is not there. What only this emulator cannot
/// run is let through, and nothing is told of it.
fn check_names(
    cluster: &ClusterInner,
    state: &FeState,
    session: &Session,
    definition: &str,
) -> SqlResult<Option<Compiled>> {
    const MISSING: [u16; 3] = [1049, 1054, 1109];
    let Ok(query) = parse_query(definition) else { return Ok(None) };
    let no_rows = BTreeMap::new();
    let mut compiler = Compiler::new(state, session, now(cluster), &no_rows);
    match compiler.query(None, &query) {
        // Tables of the system are found by who runs the query.
        Err(error) if compiler.wanted.is_empty() && MISSING.contains(&error.code) => Err(error),
        Ok(compiled) => Ok(Some(compiled)),
        Err(_) => Ok(None),
    }
}

/// What a pair of parentheses of a query holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// A query, the outermost one without parentheses; `in_from`: between FROM and the next clause.
    Query { in_from: bool },
    /// Joined tables.
    Joins,
    /// Arguments, lists and expressions, in which FROM and commas stand before no table.
    Other,
}

impl Level {
    fn in_from(self) -> bool {
        matches!(self, Level::Joins | Level::Query { in_from: true })
    }
}

/// Words behind which no table follows a comma. Conditions of joins are none: another table may follow them.
const CLAUSES: [&str; 11] = [
    "except",
    "group",
    "having",
    "intersect",
    "lateral",
    "limit",
    "minus",
    "order",
    "select",
    "union",
    "where",
];

/// Puts `internal`.`db` before every table of a query that lacks them.
pub fn tables(query: &str, db: &str) -> SqlResult<String> {
    let tokens = tokenize(query)?;
    let ctes = common_table_names(&tokens);
    let mut text = String::new();
    let mut copied = 0;
    let mut at = 0;
    let mut levels = vec![Level::Query { in_from: false }];
    // Whether the last token was one that a table follows.
    let mut is_table_next = false;
    while at < tokens.len() {
        let token = &tokens[at];
        let level = levels.last_mut().expect("the outermost level stays");
        let was_next = std::mem::take(&mut is_table_next);
        if token.is_symbol('(') {
            let is_query =
                tokens.get(at + 1).is_some_and(|next| next.is_word("select") || next.is_word("with"));
            is_table_next = was_next && !is_query;
            levels.push(match (is_query, was_next) {
                (true, _) => Level::Query { in_from: false },
                (false, true) => Level::Joins,
                (false, false) => Level::Other,
            });
        } else if token.is_symbol(')') {
            if levels.len() > 1 {
                levels.pop();
            }
        } else if *level != Level::Other {
            // `IS DISTINCT FROM` compares.
            let is_from = token.is_word("from") && (at == 0 || !tokens[at - 1].is_word("distinct"));
            is_table_next = is_from || token.is_word("join") || (level.in_from() && token.is_symbol(','));
            if is_from {
                *level = Level::Query { in_from: true };
            } else if CLAUSES.iter().any(|word| token.is_word(word)) {
                *level = Level::Query { in_from: false };
            }
        }
        at += 1;
        if !is_table_next {
            continue;
        }
        let (end, parts) = dotted_name(&tokens, at);
        let is_function = tokens.get(end).is_some_and(|next| next.is_symbol('('));
        let is_cte = parts.len() == 1 && ctes.iter().any(|cte| cte.eq_ignore_ascii_case(&parts[0]));
        if !parts.is_empty() && !is_function && !is_cte {
            let mut full = parts;
            if full.len() == 1 {
                full.insert(0, db.to_owned());
            }
            if full.len() == 2 {
                full.insert(0, "internal".to_owned());
            }
            text.push_str(&query[copied..tokens[at].start]);
            text.push_str(&full.iter().map(|part| quote_identifier(part)).collect::<Vec<_>>().join("."));
            copied = tokens[end - 1].end;
            at = end;
            is_table_next = false;
        }
    }
    text.push_str(&query[copied..]);
    Ok(text)
}

/// Names that a WITH clause defines: `name AS (`.
fn common_table_names(tokens: &[Token]) -> Vec<String> {
    if !tokens.first().is_some_and(|token| token.is_word("with")) {
        return Vec::new();
    }
    tokens
        .windows(3)
        .filter(|window| window[1].is_word("as") && window[2].is_symbol('('))
        .filter_map(|window| name_of(&window[0]))
        .collect()
}

/// The parts of `a.b.c` and the position behind them.
fn dotted_name(tokens: &[Token], mut at: usize) -> (usize, Vec<String>) {
    let mut parts = Vec::new();
    while let Some(name) = tokens.get(at).and_then(name_of) {
        parts.push(name);
        at += 1;
        if !tokens.get(at).is_some_and(|token| token.is_symbol('.')) {
            break;
        }
        at += 1;
    }
    (at, parts)
}

fn name_of(token: &Token) -> Option<String> {
    match &token.kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name.clone()),
        TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => None,
    }
}

/// The named columns, or those of the query, with its types. A query that this emulator cannot run tells
/// what its select list names, and all of it is text.
fn view_columns(create: &CreateView, query: &str, compiled: Option<&Compiled>) -> SqlResult<Vec<Column>> {
    let mut named = create.columns.clone();
    if named.is_empty() {
        let names = match compiled {
            Some(compiled) => compiled_names(compiled),
            None => select_list_names(query)?,
        };
        named = names.into_iter().map(|name| (name, String::new())).collect();
    }
    let columns = named.into_iter().enumerate().map(|(at, (name, comment))| Column {
        name,
        data_type: compiled.and_then(|compiled| column_type(compiled, at)).unwrap_or(DataType::String),
        is_key: false,
        nullable: compiled.is_none_or(|compiled| is_nullable(compiled, at)),
        aggregate: None,
        default: None,
        comment,
        unique_id: i32::try_from(at).unwrap_or(i32::MAX),
        visible: true,
        auto_increment: None,
        generated: None,
        on_update: None,
        define: None,
    });
    Ok(columns.collect())
}

fn compiled_names(compiled: &Compiled) -> Vec<String> {
    let columns = compiled.columns.iter().enumerate();
    columns.map(|(at, (name, _))| create_as_select::output_name(name, at)).collect()
}

fn column_type(compiled: &Compiled, at: usize) -> Option<DataType> {
    let origin = compiled.origins.get(at).and_then(Option::as_deref);
    match compiled.columns.get(at)?.1 {
        Type::Text if origin.is_none() => Some(DataType::String),
        // No column but the first of a table is turned into a varchar.
        ty => create_as_select::data_type(ty, origin, 1).ok(),
    }
}

fn is_nullable(compiled: &Compiled, at: usize) -> bool {
    compiled.origins.get(at).and_then(Option::as_deref).is_none_or(|origin| origin.nullable)
}

/// The last name of each item of a select list; none at all when one item has no name.
fn select_list_names(query: &str) -> SqlResult<Vec<String>> {
    let tokens = tokenize(query)?;
    if !tokens.first().is_some_and(|token| token.is_word("select")) {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    let mut depth = 0usize;
    let mut last = None;
    for token in &tokens[1..] {
        depth += usize::from(token.is_symbol('('));
        if depth == 0 && (token.is_symbol(',') || token.is_word("from") || token.kind == TokenKind::End) {
            match last.take() {
                Some(name) => names.push(name),
                None => return Ok(Vec::new()),
            }
            if !token.is_symbol(',') {
                break;
            }
        } else {
            last = name_of(token);
        }
        depth = depth.saturating_sub(usize::from(token.is_symbol(')')));
    }
    Ok(names)
}
