//! Entry point of DML and queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlparser::ast::Query;

use super::compile::{Compiled, Compiler, extraneous, parser, syntax_error};
use super::engine::TableSource;
use super::types::Type;
use super::{delete, explain, hint, insert, load, now, update};
use crate::cluster::ClusterInner;
use crate::data::Value;
use crate::error::{SqlError, SqlResult};
use crate::session::{Answer, ResultSet, Session};
use crate::show;

/// Rows with the names and types of their columns.
#[derive(Debug, Clone)]
pub struct Rows {
    pub columns: Vec<(String, Type)>,
    pub rows: Vec<Vec<Value>>,
}

/// Runs a SELECT, INSERT, DELETE, UPDATE or EXPLAIN.
pub async fn run(cluster: &Arc<ClusterInner>, session: &mut Session, sql: &str) -> SqlResult<Answer> {
    let sql = sql.trim().trim_end_matches(';');
    let word: String = skip_comments(sql).chars().take_while(char::is_ascii_alphabetic).collect();
    let word = word.to_ascii_lowercase();
    let mut plans = 1;
    loop {
        match run_once(cluster, session, sql, &word).await {
            Err(error) if load::is_outdated(&error) && plans < load::MAX_PLANS => plans += 1,
            outcome => return outcome,
        }
    }
}

async fn run_once(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    sql: &str,
    word: &str,
) -> SqlResult<Answer> {
    match word {
        "insert" => insert::run(cluster, session, sql).await,
        "delete" => delete::run(cluster, session, sql).await,
        "update" => update::run(cluster, session, sql).await,
        "explain" | "desc" | "describe" => {
            explain(cluster, session, explain::explained(sql)).map(Answer::Rows)
        }
        _ => {
            let query = parse_query(sql)?;
            let rows = match hint::session(session, sql) {
                Some(hinted) => select(cluster, &hinted, query).await?,
                None => select(cluster, session, query).await?,
            };
            Ok(Answer::Rows(result_set(&rows)))
        }
    }
}

fn explain(cluster: &ClusterInner, session: &Session, sql: &str) -> SqlResult<ResultSet> {
    let word: String = skip_comments(sql).chars().take_while(char::is_ascii_alphabetic).collect();
    if ["insert", "update", "delete"].contains(&word.to_ascii_lowercase().as_str()) {
        return Ok(explain::write_plan());
    }
    let query = parse_query(sql)?;
    let (compiled, tables, _) =
        compile_now(cluster, session, BTreeMap::new(), |compiler| compiler.query(None, &query))?;
    Ok(explain::plan(cluster, &query, &compiled, &tables))
}

/// Parses one query that fills the whole text.
pub fn parse_query(sql: &str) -> SqlResult<Query> {
    let mut parser = parser(sql)?;
    let query = parser.parse_query().map_err(|error| syntax_error(&error))?;
    let rest = parser.peek_token();
    match rest.token {
        sqlparser::tokenizer::Token::EOF | sqlparser::tokenizer::Token::SemiColon => Ok(*query),
        other => Err(extraneous(other)),
    }
}

fn skip_comments(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = match rest.get(..2) {
            Some("/*") => rest.split_once("*/").map(|(_, after)| after),
            Some("--") => rest.split_once('\n').map(|(_, after)| after),
            _ => return rest,
        };
        let Some(after) = after else { return rest };
        rest = after.trim_start();
    }
}

/// Runs a query and gives its typed rows.
pub async fn select(cluster: &Arc<ClusterInner>, session: &Session, query: Query) -> SqlResult<Rows> {
    let (cluster, session) = (Arc::clone(cluster), session.clone());
    let work = move || run_query(&cluster, &session, &query);
    // Copying tables and running SQLite keep a thread busy.
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(SqlError::general("the query was stopped")))
}

/// [`select`] on the calling thread.
pub fn run_query(cluster: &ClusterInner, session: &Session, query: &Query) -> SqlResult<Rows> {
    run_compiled(cluster, session, |compiler| compiler.query(None, query))
}

/// Compiles under the catalogue's lock, then runs without it.
pub fn run_compiled(
    cluster: &ClusterInner,
    session: &Session,
    compile: impl Fn(&mut Compiler<'_>) -> SqlResult<Compiled>,
) -> SqlResult<Rows> {
    run_over(cluster, session, BTreeMap::new(), compile)
}

/// [`run_compiled`] with further virtual tables, by the names under which FROM finds them.
pub fn run_over(
    cluster: &ClusterInner,
    session: &Session,
    given: BTreeMap<String, ResultSet>,
    compile: impl Fn(&mut Compiler<'_>) -> SqlResult<Compiled>,
) -> SqlResult<Rows> {
    let mut plans = 1;
    loop {
        let (compiled, tables, answers) = compile_now(cluster, session, given.clone(), &compile)?;
        tracing::trace!(sql = compiled.sql, "running a query");
        match cluster.queries.run(cluster, session, &tables, &answers, &compiled) {
            Err(_) if plans < load::MAX_PLANS && has_lost_partitions(cluster, &tables) => plans += 1,
            outcome => return outcome.map(|rows| Rows { columns: compiled.columns, rows }),
        }
    }
}

/// Whether a table or a partition that a query was to read has been replaced or dropped since it was compiled; its
/// data goes at once, where Doris keeps it for the queries that run.
fn has_lost_partitions(cluster: &ClusterInner, tables: &[TableSource]) -> bool {
    let state = cluster.fe.lock();
    tables.iter().any(|source| {
        let found = state.databases.values().find_map(|db| db.tables.get(&source.table_id())?.as_olap());
        found.is_none_or(|table| source.versions().keys().any(|id| table.any_partition(*id).is_none()))
    })
}

/// What a query would answer, without running it.
pub fn describe(cluster: &ClusterInner, session: &Session, query: &Query) -> SqlResult<Compiled> {
    compile_now(cluster, session, BTreeMap::new(), |compiler| compiler.query(None, query))
        .map(|(compiled, _, _)| compiled)
}

/// What a query would read: table to partition to version.
pub fn sources(
    cluster: &ClusterInner,
    session: &Session,
    query: &Query,
) -> SqlResult<BTreeMap<i64, BTreeMap<i64, i64>>> {
    let (_, tables, _) =
        compile_now(cluster, session, BTreeMap::new(), |compiler| compiler.query(None, query))?;
    Ok(tables.iter().map(|table| (table.table_id(), table.versions())).collect())
}

/// A compiled query with the tables and the answers of the system that it reads.
type Ready = (Compiled, Vec<TableSource>, Vec<(String, ResultSet)>);

fn compile_now(
    cluster: &ClusterInner,
    session: &Session,
    mut virtual_rows: BTreeMap<String, ResultSet>,
    compile: impl Fn(&mut Compiler<'_>) -> SqlResult<Compiled>,
) -> SqlResult<Ready> {
    loop {
        let (compiled, tables, answers, wanted) = {
            let state = cluster.fe.lock();
            let mut compiler = Compiler::new(&state, session, now(cluster), &virtual_rows);
            let compiled = compile(&mut compiler);
            (compiled, compiler.tables, compiler.answers, compiler.wanted)
        };
        let mut is_new = false;
        for name in wanted {
            if !virtual_rows.contains_key(&name)
                && let Some(rows) = show::virtual_table(cluster, session, &name)
            {
                virtual_rows.insert(name, rows);
                is_new = true;
            }
        }
        if is_new {
            continue;
        }
        return Ok((compiled?, tables, answers));
    }
}

fn result_set(rows: &Rows) -> ResultSet {
    let text = |(value, (_, ty)): (&Value, &(String, Type))| match ty {
        // Clients get NULL instead of object values.
        Type::Object => None,
        _ => value.to_sql_text(ty.datetime_scale()),
    };
    ResultSet {
        columns: rows.columns.iter().map(|(name, _)| name.clone()).collect(),
        types: rows.columns.iter().map(|(_, ty)| ty.column_type()).collect(),
        rows: rows.rows.iter().map(|row| row.iter().zip(&rows.columns).map(text).collect()).collect(),
    }
}
