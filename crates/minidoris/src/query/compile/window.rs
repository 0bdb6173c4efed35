//! Window functions: `f(…) OVER (PARTITION BY … ORDER BY … ROWS …)`.

use sqlparser::ast::{Function, OrderByExpr, WindowType};

use super::convert::convert;
use super::{Compiler, Scope, Typed, unsupported};
use crate::error::{SqlError, SqlResult};
use crate::query::types::Type;

impl Compiler<'_> {
    /// What follows the call of a window function.
    pub(super) fn over(&mut self, scope: &Scope<'_>, window: &WindowType) -> SqlResult<String> {
        let WindowType::WindowSpec(spec) = window else { return Err(unsupported("a named window")) };
        if spec.window_name.is_some() {
            return Err(unsupported("a named window"));
        }
        let mut parts = Vec::new();
        if !spec.partition_by.is_empty() {
            let mut keys = Vec::new();
            for key in &spec.partition_by {
                keys.push(self.window_key(scope, key)?);
            }
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        if !spec.order_by.is_empty() {
            let mut keys = Vec::new();
            for OrderByExpr { expr, options, .. } in &spec.order_by {
                let direction = match (options.asc, options.nulls_first) {
                    (Some(false), Some(true)) => " DESC NULLS FIRST",
                    (Some(false), _) => " DESC",
                    (_, Some(false)) => " NULLS LAST",
                    _ => "",
                };
                keys.push(format!("{}{direction}", self.window_key(scope, expr)?));
            }
            parts.push(format!("ORDER BY {}", keys.join(", ")));
        }
        if let Some(frame) = &spec.window_frame {
            // The words of a frame are the same in SQLite; its bounds are constants.
            parts.push(match &frame.end_bound {
                Some(end) => format!("{} BETWEEN {} AND {end}", frame.units, frame.start_bound),
                None => format!("{} {}", frame.units, frame.start_bound),
            });
        }
        Ok(format!(" OVER ({})", parts.join(" ")))
    }

    /// A constant in a window is no ordinal.
    fn window_key(&mut self, scope: &Scope<'_>, expr: &sqlparser::ast::Expr) -> SqlResult<String> {
        Ok(format!("({})", self.expression(scope, expr)?.sql))
    }
}

/// The call of a window function over `window`, what [`Compiler::over`] has made.
pub fn call(function: &Function, name: &str, values: &[Typed], window: &str) -> SqlResult<Typed> {
    let typed = |sql: String, ty: Type| Ok(Typed::new(format!("{sql}{window}"), ty));
    let needs_order = || match window.contains("ORDER BY") {
        true => Ok(()),
        false => Err(SqlError::general(format!("WindowFunction: {name} must have order by expression"))),
    };
    match (name, values) {
        ("row_number" | "rank" | "dense_rank", []) => {
            if name != "row_number" {
                needs_order()?;
            }
            typed(format!("{name}()"), Type::BigInt)
        }
        ("percent_rank" | "cume_dist", []) => {
            needs_order()?;
            typed(format!("{name}()"), Type::Double)
        }
        ("ntile", [buckets]) => typed(format!("ntile({})", buckets.sql), Type::BigInt),
        ("lag" | "lead", [value]) => {
            needs_order()?;
            typed(format!("{name}({})", value.sql), value.ty)
        }
        ("lag" | "lead", [value, offset]) => {
            needs_order()?;
            typed(format!("{name}({}, {})", value.sql, offset.sql), value.ty)
        }
        ("lag" | "lead", [value, offset, default]) => {
            needs_order()?;
            let default = convert(default, value.ty).sql;
            typed(format!("{name}({}, {}, {default})", value.sql, offset.sql), value.ty)
        }
        ("first_value" | "last_value", [value]) => typed(format!("{name}({})", value.sql), value.ty),
        ("count", [value]) => typed(format!("count({})", value.sql), Type::BigInt),
        ("min" | "max", [value]) => typed(format!("{name}({})", value.sql), value.ty),
        ("sum", [value]) => match value.ty {
            Type::Decimal { .. } => typed(format!("sum({})", value.sql), value.ty),
            Type::Wide { .. } => Err(unsupported(function)),
            ty if ty.is_integer() => typed(format!("sum({})", value.sql), Type::BigInt),
            _ => typed(format!("sum({})", convert(value, Type::Double).sql), Type::Double),
        },
        ("avg", [value]) => match value.ty {
            Type::Decimal { scale } => {
                let shown = scale.max(4);
                let x = &value.sql;
                let sql = format!("dec_div(sum({x}){window}, {scale}, count({x}){window}, 0, {shown})");
                Ok(Typed::new(sql, Type::Decimal { scale: shown }))
            }
            _ => typed(format!("avg({})", convert(value, Type::Double).sql), Type::Double),
        },
        _ => Err(unsupported(function)),
    }
}
