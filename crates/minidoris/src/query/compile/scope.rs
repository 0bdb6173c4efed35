//! Which names a query sees.

use std::sync::Arc;

use sqlparser::ast::Ident;

use super::{Typed, quote_name};
use crate::error::{SqlError, SqlResult};
use crate::query::types::Type;

/// One item of FROM.
#[derive(Debug, Clone)]
pub struct Relation {
    pub alias: String,
    /// Name, SQLite expression, type; hidden columns are not part of `*`.
    pub columns: Vec<RelationColumn>,
}

#[derive(Debug, Clone)]
pub struct RelationColumn {
    pub name: String,
    pub value: Typed,
    pub visible: bool,
    /// Why it may not be read.
    pub forbidden: Option<Arc<str>>,
}

impl RelationColumn {
    /// Its value, unless it may not be read.
    pub fn read(&self) -> SqlResult<Typed> {
        match &self.forbidden {
            None => Ok(self.value.clone()),
            Some(why) => Err(SqlError::general(why.as_ref())),
        }
    }
}

/// The relations of one SELECT and, for subqueries, of those around it.
#[derive(Debug, Default)]
pub struct Scope<'p> {
    pub relations: Vec<Relation>,
    /// Select items by alias, for GROUP BY, HAVING and ORDER BY.
    pub aliases: Vec<(String, Typed)>,
    pub parent: Option<&'p Scope<'p>>,
}

impl Relation {
    /// A relation whose columns are read as `alias.name`.
    pub fn of_columns<'a>(alias: &str, columns: impl IntoIterator<Item = (&'a str, Type, bool)>) -> Self {
        let column = |(name, ty, visible): (&str, Type, bool)| RelationColumn {
            name: name.to_owned(),
            value: Typed::new(format!("{}.{}", quote_name(alias), quote_name(name)), ty),
            visible,
            forbidden: None,
        };
        Self { alias: alias.to_owned(), columns: columns.into_iter().map(column).collect() }
    }
}

impl Scope<'_> {
    /// Resolves `column`, `table.column` or a longer dotted name.
    pub fn resolve(&self, parts: &[Ident]) -> SqlResult<Typed> {
        let mut scope = Some(self);
        while let Some(current) = scope {
            if let Some(found) = current.find(parts)? {
                return Ok(found);
            }
            scope = current.parent;
        }
        let shown: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        Err(SqlError {
            code: 1054,
            state: "42S22",
            message: format!("Unknown column '{}' in 'table list'", shown.join(".")),
        })
    }

    fn find(&self, parts: &[Ident]) -> SqlResult<Option<Typed>> {
        let Some((column, qualifier)) = parts.split_last() else { return Ok(None) };
        let relation_name = qualifier.last();
        let mut found = None;
        for relation in &self.relations {
            if relation_name.is_some_and(|name| !name.value.eq_ignore_ascii_case(&relation.alias)) {
                continue;
            }
            let hit = relation.columns.iter().find(|known| known.name.eq_ignore_ascii_case(&column.value));
            if let Some(hit) = hit {
                if found.is_some() {
                    return Err(SqlError::general(format!("{} is ambiguous", column.value)));
                }
                found = Some(hit.read()?);
            }
        }
        if found.is_none() && qualifier.is_empty() {
            found = self.alias(&column.value).cloned();
        }
        Ok(found)
    }

    /// The select item of that alias.
    pub fn alias(&self, name: &str) -> Option<&Typed> {
        self.aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}
