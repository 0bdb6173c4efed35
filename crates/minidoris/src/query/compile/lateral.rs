//! LATERAL VIEW: for each row so many rows as a table function makes of it.
//!
//! SQLite lets a table function read the row before it, and its own `json_each` is one. It counts here, and what
//! stands at each place is looked up like any other element.

use sqlparser::ast::LateralView;

use super::convert::{convert, to_text};
use super::element::element;
use super::{Compiler, Relation, RelationColumn, Scope, Typed, quote_name, unsupported};
use crate::error::{SqlError, SqlResult};
use crate::query::definition;
use crate::query::types::Type;

impl Compiler<'_> {
    /// Adds the relation of a lateral view and gives its join.
    pub(super) fn lateral_view(&mut self, scope: &mut Scope<'_>, view: &LateralView) -> SqlResult<String> {
        let Some(call) = definition::call(&view.lateral_view) else {
            return Err(unsupported(&view.lateral_view));
        };
        let mut arguments = Vec::new();
        for argument in &call.arguments {
            let argument = argument.ok_or_else(|| unsupported(&view.lateral_view))?;
            arguments.push(self.expression(scope, argument)?);
        }
        let alias = view.lateral_view_name.to_string().trim_matches('`').to_owned();
        let place = Typed::new(format!("{}.value", quote_name(&alias)), Type::BigInt);
        let (name, keeps_rows) = match call.name.strip_suffix("_outer") {
            Some(name) => (name, true),
            None => (call.name.as_str(), view.outer),
        };
        let (count, value) = match (name, arguments.as_slice()) {
            ("explode", [array]) => {
                let text = to_text(&array.sql, array.ty);
                (format!("nested_size({text})"), element(array, &place)?)
            }
            ("explode_numbers", [count]) => {
                let value = Typed::new(format!("({} - 1)", place.sql), Type::Int);
                (convert(count, Type::BigInt).sql, value)
            }
            ("explode_split", [text, separator]) => {
                let (text, separator) = (to_text(&text.sql, text.ty), to_text(&separator.sql, separator.ty));
                let value = Typed::new(format!("split_part({text}, {separator}, {})", place.sql), Type::Text);
                (format!("split_size({text}, {separator})"), value)
            }
            _ => return Err(SqlError::general(format!("Can not found table function '{}'", call.name))),
        };
        let [column] = view.lateral_col_alias.as_slice() else {
            return Err(unsupported("a lateral view of several columns"));
        };
        let column = RelationColumn { name: column.value.clone(), value, visible: true, forbidden: None };
        scope.relations.push(Relation { alias: alias.clone(), columns: vec![column] });
        let join = if keeps_rows { "LEFT JOIN" } else { "JOIN" };
        Ok(format!(" {join} json_each(count_to({count})) AS {} ON 1", quote_name(&alias)))
    }
}
