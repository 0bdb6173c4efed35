//! CREATE TABLE and CREATE VIEW as CREATE_TABLE records carry them.
//!
//! The statement is the text of SHOW CREATE TABLE: the parts come in a fixed order, each clause is found at
//! the top level by its keyword, so a column named `properties` or a comment that looks like a clause does not
//! mislead.

use std::collections::BTreeMap;

use super::RewriteError;
use super::edit::{DottedName, Statement};
use super::properties::{PropertyGroup, item};
use super::view::rewrite_qualifiers;
use crate::sql::{TokenKind, quote_identifier, unquote_string};

/// Where a table or a partition lives, `HDD` or `SSD`.
pub const STORAGE_MEDIUM: &str = "storage_medium";

/// Properties that name resources or groups of the source cluster.
pub const REMOVED_PROPERTIES: [&str; 4] =
    [STORAGE_MEDIUM, "storage_policy", "dynamic_partition.storage_policy", "colocate_with"];

const REPLICATION_NUM: &str = "replication_num";
const REPLICATION_ALLOCATION: &str = "replication_allocation";
const DYNAMIC: &str = "dynamic_partition.";

/// What to change in a CREATE statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRewrite {
    /// The database that references in a view's body are qualified with.
    pub source_db: String,
    /// Qualifies the created name, and takes the source database's place in a view's body.
    pub target_db: Option<String>,
    /// The created name; the recorded one when absent.
    pub target_table: Option<String>,
    pub if_not_exists: bool,
    /// Keys to remove from the table's properties and from those of each partition.
    pub properties_to_remove: Vec<String>,
    /// Table properties to set, whether present or not. Setting `replication_num` or `replication_allocation`
    /// removes the other spelling and makes dynamic partitions follow, where those name replicas.
    pub property_overrides: BTreeMap<String, String>,
}

impl CreateRewrite {
    /// The rewriting that replication needs: [`REMOVED_PROPERTIES`] gone, `IF NOT EXISTS` added, names kept.
    pub fn new(source_db: impl Into<String>) -> Self {
        Self {
            source_db: source_db.into(),
            target_db: None,
            target_table: None,
            if_not_exists: true,
            properties_to_remove: REMOVED_PROPERTIES.map(str::to_owned).to_vec(),
            property_overrides: BTreeMap::new(),
        }
    }
}

/// Makes a recorded CREATE TABLE or CREATE VIEW fit for the target.
///
/// # Errors
/// When the text is no such statement or its clauses cannot be read.
pub fn rewrite_create_table(sql: &str, rewrite: &CreateRewrite) -> Result<String, RewriteError> {
    let mut statement = Statement::new("CREATE TABLE", sql)?;
    let head = Head::parse(&statement)?;
    head.rewrite(&mut statement, rewrite);
    if head.is_view {
        if let Some(target_db) = &rewrite.target_db {
            rewrite_qualifiers(&mut statement, head.name.next, &rewrite.source_db, target_db);
        }
    } else {
        rewrite_table_clauses(&mut statement, head.name.next, rewrite)?;
    }
    Ok(statement.finish())
}

/// `CREATE [OR REPLACE] [EXTERNAL | TEMPORARY] TABLE | VIEW [IF NOT EXISTS] name`.
pub(super) struct Head {
    pub is_view: bool,
    has_condition: bool,
    pub name: DottedName,
}

impl Head {
    pub fn parse(statement: &Statement<'_>) -> Result<Self, RewriteError> {
        let mut at = statement.expect_word(0, "CREATE")?;
        let or_replace = statement.are_words(at, &["OR", "REPLACE"]);
        if or_replace {
            at += 2;
        }
        if statement.is_word(at, "EXTERNAL") || statement.is_word(at, "TEMPORARY") {
            at += 1;
        }
        let is_view = statement.is_word(at, "VIEW");
        if !is_view && !statement.is_word(at, "TABLE") {
            return Err(statement.unexpected(at, "TABLE or VIEW"));
        }
        let name_at = statement.skip_if_exists(at + 1);
        let name = statement.dotted_name(name_at)?;
        // OR REPLACE and IF NOT EXISTS exclude each other.
        Ok(Self { is_view, has_condition: or_replace || name_at > at + 1, name })
    }

    fn rewrite(&self, statement: &mut Statement<'_>, rewrite: &CreateRewrite) {
        let first = self.name.parts[0];
        let last = self.name.parts[self.name.parts.len() - 1];
        if rewrite.if_not_exists && !self.has_condition {
            statement.insert(statement.tokens[first].start, "IF NOT EXISTS ");
        }
        let recorded = statement.identifier(last);
        let table = quote_identifier(rewrite.target_table.as_deref().unwrap_or(&recorded));
        if let Some(db) = &rewrite.target_db {
            let bytes = statement.bytes(first, last);
            statement.replace(bytes, format!("{}.{table}", quote_identifier(db)));
        } else if rewrite.target_table.is_some() {
            let bytes = statement.bytes(last, last);
            statement.replace(bytes, table);
        }
    }
}

/// Where a token at the top level stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clause {
    Other,
    RangePartitions,
    ListPartitions,
}

fn rewrite_table_clauses(
    statement: &mut Statement<'_>,
    start: usize,
    rewrite: &CreateRewrite,
) -> Result<(), RewriteError> {
    let is_removed = |key: &str| rewrite.properties_to_remove.iter().any(|removed| removed == key);
    let mut clause = Clause::Other;
    let mut depth = 0_isize;
    let mut has_properties = false;
    let mut at = start;
    while at < statement.tokens.len() {
        if depth == 0 {
            if statement.are_words(at, &["PARTITION", "BY"]) {
                clause = partition_clause(statement, at + 2);
            } else if ["DISTRIBUTED", "ROLLUP", "BROKER"].iter().any(|word| statement.is_word(at, word)) {
                clause = Clause::Other;
            } else if statement.is_word(at, "PROPERTIES") && statement.is_mark(at + 1, '(') {
                at = rewrite_properties(statement, at, rewrite)?;
                clause = Clause::Other;
                has_properties = true;
                continue;
            }
        }
        if depth > 0 && clause != Clause::Other && PropertyGroup::starts_at(statement, at) {
            let group = PropertyGroup::parse(statement, at)?;
            match group.render(statement.sql, is_removed, &BTreeMap::new()) {
                Some(text) => statement.replace(group.bytes.clone(), text),
                // The blank in front goes with it.
                None => statement.replace(statement.tokens[at - 1].end()..group.bytes.end, ""),
            }
            at = group.close + 1;
            continue;
        }
        if depth > 0 && clause == Clause::RangePartitions && is_quoted_maximum(statement, at) {
            // Columns of range partitions are numbers and dates, so the word cannot be a value.
            let bytes = statement.bytes(at, at);
            statement.replace(bytes, "MAXVALUE");
        }
        depth += statement.depth_change(at);
        at += 1;
    }
    if !has_properties {
        add_properties(statement, rewrite);
    }
    Ok(())
}

/// `RANGE(…)` or `LIST(…)` behind PARTITION BY.
fn partition_clause(statement: &Statement<'_>, at: usize) -> Clause {
    if statement.is_word(at, "LIST") { Clause::ListPartitions } else { Clause::RangePartitions }
}

fn is_quoted_maximum(statement: &Statement<'_>, at: usize) -> bool {
    let token = &statement.tokens[at];
    token.kind == TokenKind::String
        && unquote_string(token.text).is_some_and(|value| value.eq_ignore_ascii_case("MAXVALUE"))
}

/// Rewrites the table's properties and returns the index of the first token behind them.
fn rewrite_properties(
    statement: &mut Statement<'_>,
    keyword: usize,
    rewrite: &CreateRewrite,
) -> Result<usize, RewriteError> {
    let group = PropertyGroup::parse(statement, keyword + 1)?;
    let set = table_overrides(&group, &rewrite.property_overrides);
    let is_removed = |key: &str| {
        rewrite.properties_to_remove.iter().any(|removed| removed == key)
            || is_replaced_replication(key, &rewrite.property_overrides)
    };
    match group.render(statement.sql, is_removed, &set) {
        Some(text) => statement.replace(group.bytes.clone(), text),
        None => statement.replace(statement.tokens[keyword - 1].end()..group.bytes.end, ""),
    }
    Ok(group.close + 1)
}

/// The overrides, with those of dynamic partitions added when the text states their replicas.
fn table_overrides(group: &PropertyGroup, overrides: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut set = overrides.clone();
    let states_replicas = group.items.iter().any(|item| {
        item.key
            .strip_prefix(DYNAMIC)
            .is_some_and(|key| key == REPLICATION_NUM || key == REPLICATION_ALLOCATION)
    });
    if states_replicas {
        for key in [REPLICATION_NUM, REPLICATION_ALLOCATION] {
            if let Some(value) = overrides.get(key) {
                set.entry(format!("{DYNAMIC}{key}")).or_insert_with(|| value.clone());
            }
        }
    }
    set
}

/// Whether the key states replicas that an override states in another way.
fn is_replaced_replication(key: &str, overrides: &BTreeMap<String, String>) -> bool {
    let plain = key.strip_prefix(DYNAMIC).unwrap_or(key);
    (plain == REPLICATION_NUM || plain == REPLICATION_ALLOCATION)
        && (overrides.contains_key(REPLICATION_NUM) || overrides.contains_key(REPLICATION_ALLOCATION))
}

fn add_properties(statement: &mut Statement<'_>, rewrite: &CreateRewrite) {
    if rewrite.property_overrides.is_empty() {
        return;
    }
    let items: Vec<String> = rewrite.property_overrides.iter().map(|(key, value)| item(key, value)).collect();
    let end = statement
        .tokens
        .iter()
        .rev()
        .find(|token| !token.is_punctuation(';'))
        .map_or(statement.sql.len(), |last| last.end());
    statement.insert(end, format!("\nPROPERTIES (\n{}\n)", items.join(",\n")));
}
