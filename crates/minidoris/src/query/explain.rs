//! EXPLAIN: which index of each table a query would scan.
//!
//! Queries are answered from the base index here, whose rows are those of every index. What EXPLAIN tells is
//! what Doris would choose: the narrowest rollup or synchronous materialised view that holds everything that
//! the query needs.

use sqlparser::ast::Query;

use super::compile::Compiled;
use super::covers::covers;
use super::engine::TableSource;
use crate::cluster::ClusterInner;
use crate::model::{IndexSchema, IndexState, KeysType, OlapTable, Table};
use crate::session::ResultSet;
use crate::sql::lexer::{Token, TokenKind, tokenize};

/// Aggregate functions that a rollup of an aggregate table can answer.
const ADDITIVE: [&str; 9] = [
    "sum",
    "min",
    "max",
    "count",
    "hll_union_agg",
    "hll_union",
    "bitmap_union",
    "bitmap_union_count",
    "bitmap_count",
];

/// The text behind EXPLAIN and its options.
pub fn explained(sql: &str) -> &str {
    const OPTIONS: [&str; 14] = [
        "explain",
        "desc",
        "describe",
        "parsed",
        "analyzed",
        "rewritten",
        "logical",
        "optimized",
        "physical",
        "shape",
        "memo",
        "distributed",
        "all",
        "plan",
    ];
    let Ok(tokens) = tokenize(sql) else { return sql };
    let is_option = |token: &Token| {
        ["verbose", "tree", "graph", "process", "dump"].iter().chain(&OPTIONS).any(|word| token.is_word(word))
    };
    match tokens.iter().find(|token| !is_option(token)) {
        Some(token) => &sql[token.start..],
        None => "",
    }
}

/// The plan of a compiled query, a row per line.
pub fn plan(cluster: &ClusterInner, query: &Query, compiled: &Compiled, tables: &[TableSource]) -> ResultSet {
    let mut lines = vec!["PLAN FRAGMENT 0".to_owned(), "  OUTPUT EXPRS:".to_owned()];
    let outputs = compiled.columns.iter().enumerate();
    lines.extend(outputs.map(|(at, (name, _))| format!("    {name}[#{at}]")));
    lines.extend(
        [
            "  PARTITION: UNPARTITIONED",
            "",
            "  HAS_COLO_PLAN_NODE: false",
            "",
            "  VRESULT SINK",
            "     MYSQL_PROTOCOL",
        ]
        .map(str::to_owned),
    );
    let tokens = tokenize(&query.to_string()).unwrap_or_default();
    let state = cluster.fe.lock();
    for (at, source) in tables.iter().enumerate() {
        let found = state.databases.values().find_map(|db| Some((db, db.tables.get(&source.table_id())?)));
        let Some((db, Table::Olap(table))) = found else { continue };
        let named = table.indexes.get(&source.index_id()).filter(|index| index.id != table.base_index_id);
        let index = named.unwrap_or_else(|| chosen_index(table, query, &tokens));
        let partitions: Vec<_> =
            table.partitions.values().filter(|partition| source.reads(partition.id)).collect();
        let names: Vec<&str> = partitions.iter().map(|partition| partition.name.as_str()).collect();
        let tablets: Vec<String> = partitions
            .iter()
            .filter_map(|partition| partition.indexes.get(&index.id))
            .flat_map(|index| index.tablets.iter().map(|tablet| tablet.id.to_string()))
            .collect();
        let aggregates = if table.keys_type == KeysType::Duplicate { "ON" } else { "OFF. Reason: null" };
        lines.push(String::new());
        lines.push(format!("  {at}:VOlapScanNode({at})"));
        lines.push(format!(
            "     TABLE: {}.{}({}), PREAGGREGATION: {aggregates}",
            db.name, table.name, index.name
        ));
        lines.push(format!(
            "     partitions={}/{} ({})",
            names.len(),
            table.partitions.len(),
            names.join(",")
        ));
        lines.push(format!(
            "     tablets={0}/{0}, tabletList={1}",
            tablets.len(),
            tablets.iter().take(3).cloned().collect::<Vec<_>>().join(",")
        ));
        lines.push("     cardinality=1, avgRowSize=0.0, numNodes=1".to_owned());
        lines.push("     pushAggOp=NONE".to_owned());
    }
    text(lines)
}

/// The plan of a statement that writes: nothing of it depends on indexes.
pub fn write_plan() -> ResultSet {
    text(
        ["PLAN FRAGMENT 0", "  OUTPUT EXPRS:", "  PARTITION: UNPARTITIONED", "", "  OLAP TABLE SINK"]
            .map(str::to_owned)
            .to_vec(),
    )
}

fn text(lines: Vec<String>) -> ResultSet {
    let mut answer = ResultSet::new(&["Explain String(Nereids Planner)"]);
    answer.rows = lines.into_iter().map(|line| vec![Some(line)]).collect();
    answer
}

/// The narrowest index that covers the query; the base index if none does.
fn chosen_index<'a>(table: &'a OlapTable, query: &Query, tokens: &[Token]) -> &'a IndexSchema {
    let base = table.base_index();
    let names = |name: &str| {
        tokens.iter().any(|token| match &token.kind {
            TokenKind::Word(word) | TokenKind::Quoted(word) => word.eq_ignore_ascii_case(name),
            TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => false,
        })
    };
    // A star that does not follow an opening parenthesis or an operand stands for all columns.
    let reads_all = tokens.windows(2).any(|pair| {
        pair[1].is_symbol('*')
            && (pair[0].is_word("select") || pair[0].is_symbol('.') || pair[0].is_symbol(','))
    });
    let used: Vec<&str> = base
        .columns
        .iter()
        .filter(|column| column.visible && (reads_all || names(&column.name)))
        .map(|column| column.name.as_str())
        .collect();
    let has = |index: &IndexSchema, name: &str| index.column_of(name).is_some();
    let aggregates = ADDITIVE.iter().any(|function| names(function)) || names("group");
    let fits = |index: &&IndexSchema| {
        let keeps_rows = base.columns.iter().filter(|column| column.is_key).all(|key| has(index, &key.name));
        let keeps = match table.keys_type {
            KeysType::Duplicate => index.keys_type == KeysType::Duplicate,
            KeysType::Unique => keeps_rows,
            KeysType::Aggregate => keeps_rows || aggregates,
        };
        let has_all_rows = index.view.as_ref().is_none_or(|view| view.filter.is_none());
        let holds_columns = used.iter().all(|name| has(index, name));
        let is_narrower = !used.is_empty() && index.columns.len() < base.columns.len();
        (keeps && has_all_rows && holds_columns && is_narrower)
            || (index.view.is_some() && covers(table, index, query))
    };
    let others =
        table.indexes.values().filter(|index| index.id != base.id && index.state == IndexState::Normal);
    // What is aggregated before has fewer rows, however wide it is.
    others
        .filter(fits)
        .min_by_key(|index| (index.keys_type == table.keys_type, index.columns.len()))
        .unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::explained;

    #[test]
    fn options_are_stepped_over() {
        for text in
            ["explain select 1", "EXPLAIN VERBOSE select 1", "desc select 1", "explain shape plan select 1"]
        {
            assert_eq!(explained(text), "select 1", "{text}");
        }
    }
}
