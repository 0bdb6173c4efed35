//! Database qualifiers in the query of a view.
//!
//! The FE stores a view's query with every table written `` `internal`.`db`.`table` ``; older ones write
//! `` `db`.`table` ``. What looks like a database may be a table or an alias of that name, so a dotted name is
//! judged by where it stands: in a FROM clause two parts are database and table, in an expression they are
//! table and column.

use std::collections::BTreeSet;

use super::RewriteError;
use super::edit::{DottedName, Statement};
use crate::sql::{TokenKind, quote_identifier};

const INTERNAL_CATALOG: &str = "internal";

/// Points the references of a query from one database to another. References to other databases stay.
///
/// # Errors
/// When the text cannot be cut into tokens.
pub fn rewrite_view_query(sql: &str, source_db: &str, target_db: &str) -> Result<String, RewriteError> {
    let mut statement = Statement::new("view", sql)?;
    rewrite_qualifiers(&mut statement, 0, source_db, target_db);
    Ok(statement.finish())
}

/// The same for the tokens of a statement from `start` on.
pub(super) fn rewrite_qualifiers(
    statement: &mut Statement<'_>,
    start: usize,
    source_db: &str,
    target_db: &str,
) {
    let references = References::collect(statement, start);
    let scope = references.scope(statement, source_db);
    for reference in &references.found {
        if let Some(part) = reference.qualifier(statement, source_db, &scope) {
            let bytes = statement.bytes(part, part);
            statement.replace(bytes, quote_identifier(target_db));
        }
    }
}

/// Where a dotted name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a FROM clause, where a table is expected.
    Table,
    /// In front of a parenthesis.
    Call,
    Expression,
}

#[derive(Debug)]
struct Reference {
    name: DottedName,
    place: Place,
    /// Followed by `.*`.
    star: bool,
}

#[derive(Debug, Default)]
struct References {
    found: Vec<Reference>,
    aliases: BTreeSet<String>,
}

/// Names a query knows, to tell a database from a table of the same name.
struct Scope {
    /// The source database's name is also the name or alias of a table of the query.
    is_shadowed: bool,
    /// Tables that the query takes from the source database.
    tables: BTreeSet<String>,
}

impl Reference {
    /// The token that names the source database, if one does.
    fn qualifier(&self, statement: &Statement<'_>, source_db: &str, scope: &Scope) -> Option<usize> {
        let parts = &self.name.parts;
        let is = |part: usize, name: &str| {
            parts.get(part).is_some_and(|token| statement.identifier(*token) == name)
        };
        let length = parts.len() + usize::from(self.star);
        if length >= 3 && is(0, INTERNAL_CATALOG) && is(1, source_db) {
            return Some(parts[1]);
        }
        if !is(0, source_db) || parts.len() < 2 {
            return None;
        }
        let is_database = match self.place {
            Place::Table | Place::Call => parts.len() == 2,
            Place::Expression => {
                length >= 3 && (!scope.is_shadowed || scope.tables.contains(&statement.identifier(parts[1])))
            }
        };
        is_database.then_some(parts[0])
    }
}

impl References {
    fn collect(statement: &Statement<'_>, start: usize) -> Self {
        let mut references = Self::default();
        let mut walk = Walk { frames: vec![Frame::default()] };
        let mut at = start;
        while at < statement.tokens.len() {
            let token = &statement.tokens[at];
            if !token.is_identifier() {
                walk.mark(token.text);
                at += 1;
                continue;
            }
            let Ok(name) = statement.dotted_name(at) else { break };
            let star = statement.is_mark(name.next, '.') && statement.is_mark(name.next + 1, '*');
            at = name.next;
            if name.parts.len() == 1
                && !star
                && token.kind == TokenKind::Word
                && walk.keyword(statement, at - 1)
            {
                continue;
            }
            let is_call = statement.is_mark(name.next, '(');
            let is_table = walk.name(&mut references.aliases, || statement.identifier(name.parts[0]));
            let place = match (is_call, is_table) {
                (true, _) => Place::Call,
                (false, true) => Place::Table,
                (false, false) => Place::Expression,
            };
            references.found.push(Reference { name, place, star });
        }
        references
    }

    fn scope(&self, statement: &Statement<'_>, source_db: &str) -> Scope {
        let mut names = self.aliases.clone();
        let mut tables = BTreeSet::new();
        for reference in self.found.iter().filter(|reference| reference.place == Place::Table) {
            let parts: Vec<String> =
                reference.name.parts.iter().map(|part| statement.identifier(*part)).collect();
            let table = &parts[parts.len() - 1];
            names.insert(table.clone());
            if parts.len() >= 2 && parts[parts.len() - 2] == source_db {
                tables.insert(table.clone());
            }
        }
        Scope { is_shadowed: names.contains(source_db), tables }
    }
}

/// How far the FROM clause of one level of parentheses is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum FromClause {
    /// Outside: an expression.
    #[default]
    Outside,
    /// A table must follow.
    Table,
    /// A table came; an alias may follow.
    Alias,
    /// A join condition or anything else up to the next comma or JOIN.
    Condition,
}

#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    from: FromClause,
    /// Without a SELECT, FROM is a word of a function: `EXTRACT(YEAR FROM d)`.
    has_select: bool,
}

/// One frame per open parenthesis.
struct Walk {
    frames: Vec<Frame>,
}

impl Walk {
    fn top(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn mark(&mut self, mark: &str) {
        match mark {
            "(" => {
                let mut inner = Frame::default();
                let outer = self.top();
                if outer.from == FromClause::Table {
                    inner.from = FromClause::Table;
                    outer.from = FromClause::Alias;
                }
                self.frames.push(inner);
            }
            ")" => {
                self.frames.pop();
            }
            "," => {
                let frame = self.top();
                if frame.from != FromClause::Outside {
                    frame.from = FromClause::Table;
                }
            }
            _ => {}
        }
    }

    /// Reads a bare word; true when it is a keyword of a query's frame and so no name.
    fn keyword(&mut self, statement: &Statement<'_>, at: usize) -> bool {
        let word = statement.tokens[at].text.to_ascii_uppercase();
        let frame = self.top();
        match word.as_str() {
            "SELECT" => *frame = Frame { from: FromClause::Outside, has_select: true },
            "FROM" => {
                let is_comparison = at > 0 && statement.is_word(at - 1, "DISTINCT");
                if frame.has_select && !is_comparison {
                    frame.from = FromClause::Table;
                }
            }
            "JOIN" => {
                if frame.from != FromClause::Outside {
                    frame.from = FromClause::Table;
                }
            }
            "ON" | "USING" | "LATERAL" => {
                if frame.from != FromClause::Outside {
                    frame.from = FromClause::Condition;
                }
            }
            "WHERE" | "GROUP" | "HAVING" | "ORDER" | "LIMIT" | "QUALIFY" | "WINDOW" => {
                frame.from = FromClause::Outside;
            }
            "UNION" | "INTERSECT" | "EXCEPT" | "MINUS" => *frame = Frame::default(),
            "CROSS" | "INNER" | "LEFT" | "RIGHT" | "FULL" | "OUTER" | "SEMI" | "ANTI" | "NATURAL" | "AS"
            | "PARTITION" | "PARTITIONS" | "TABLET" | "TABLESAMPLE" | "FOR" => {
                // Functions of these names (LEFT, RIGHT) have parentheses and are names.
                return !statement.is_mark(at + 1, '(') || word.starts_with("PARTITION");
            }
            _ => return false,
        }
        true
    }

    /// Takes a name; true when it names a table of a FROM clause.
    fn name(&mut self, aliases: &mut BTreeSet<String>, text: impl FnOnce() -> String) -> bool {
        let frame = self.top();
        match frame.from {
            FromClause::Table => {
                frame.from = FromClause::Alias;
                true
            }
            FromClause::Alias => {
                aliases.insert(text());
                frame.from = FromClause::Condition;
                false
            }
            FromClause::Outside | FromClause::Condition => false,
        }
    }
}
