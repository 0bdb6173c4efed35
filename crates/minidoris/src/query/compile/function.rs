//! Functions and aggregates.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments,
};

use super::convert::{convert, to_text};
use super::expression::{compare, unify};
use super::{
    Compiler, Scope, Typed, agg_state, element, name_parts, nested, quote_text, temporal, unsupported,
};
use crate::access::check;
use crate::data::Value;
use crate::data::calendar::usual_format;
use crate::error::{SqlError, SqlResult};
use crate::query::types::Type;

impl Compiler<'_> {
    pub(super) fn function(&mut self, scope: &Scope<'_>, function: &Function) -> SqlResult<Typed> {
        let mut parts = name_parts(&function.name)?;
        let name = parts.pop().unwrap_or_default().to_ascii_lowercase();
        let db = parts.pop();
        if function.filter.is_some() {
            return Err(unsupported(function));
        }
        let (arguments, distinct) = match &function.args {
            FunctionArguments::None => (Vec::new(), false),
            FunctionArguments::Subquery(_) => return Err(unsupported(function)),
            FunctionArguments::List(list) => {
                let separator = list.clauses.iter().find_map(|clause| match clause {
                    FunctionArgumentClause::Separator(value) => Some(value.clone()),
                    _ => None,
                });
                if separator.is_none() && !list.clauses.is_empty() && name != "group_concat" {
                    return Err(unsupported(function));
                }
                (list.args.clone(), list.duplicate_treatment == Some(DuplicateTreatment::Distinct))
            }
        };
        if name == "count"
            && matches!(arguments.as_slice(), [] | [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)])
        {
            let window = function.over.as_ref().map(|window| self.over(scope, window)).transpose()?;
            return Ok(Typed::new(format!("count(*){}", window.unwrap_or_default()), Type::BigInt));
        }
        if matches!(name.as_str(), "date_add" | "date_sub" | "adddate" | "subdate") {
            return self.date_function(scope, &name, &arguments);
        }
        let mut values = Vec::new();
        for argument in &arguments {
            values.push(self.expression(scope, unnamed(argument)?)?);
        }
        if let Some(window) = &function.over {
            if distinct {
                return Err(unsupported(function));
            }
            let window = self.over(scope, window)?;
            return super::window::call(function, &name, &values, &window);
        }
        if let Some(db) = &db {
            let found = self.user_function(Some(db), &name, &values);
            return found.unwrap_or_else(|| Err(unknown_function(&name)));
        }
        if let Some(found) = agg_state::call(&name, &values, distinct) {
            return found;
        }
        match aggregate(&name, &values, distinct) {
            Some(typed) => Ok(typed),
            None if distinct => Err(unsupported(function)),
            None => self.scalar(&name, &values),
        }
    }

    fn date_function(
        &mut self,
        scope: &Scope<'_>,
        name: &str,
        arguments: &[FunctionArg],
    ) -> SqlResult<Typed> {
        let [at, by] = arguments else { return Err(wrong_arguments(name)) };
        let backwards = name.ends_with("sub") || name == "subdate";
        let at = self.expression(scope, unnamed(at)?)?;
        match unnamed(by)? {
            Expr::Interval(interval) => self.shift(scope, &at, interval, backwards),
            other => {
                let days = self.expression(scope, other)?;
                temporal::shift_by(&at, &days, "day", backwards)
            }
        }
    }

    pub(super) fn scalar(&mut self, name: &str, values: &[Typed]) -> SqlResult<Typed> {
        let text = |at: usize| -> SqlResult<String> {
            let value = values.get(at).ok_or_else(|| wrong_arguments(name))?;
            Ok(to_text(&value.sql, value.ty))
        };
        let all_texts =
            || -> Vec<String> { values.iter().map(|value| to_text(&value.sql, value.ty)).collect() };
        let arg = |at: usize| values.get(at).ok_or_else(|| wrong_arguments(name));
        let int = |at: usize| -> SqlResult<String> { Ok(convert(arg(at)?, Type::BigInt).sql) };
        let real = |at: usize| -> SqlResult<String> { Ok(convert(arg(at)?, Type::Double).sql) };
        let typed = |sql: String, ty: Type| Ok(Typed::new(sql, ty));
        match name {
            "now" | "current_timestamp" | "localtime" | "localtimestamp" | "sysdate" => {
                let scale =
                    values.first().and_then(|value| value.literal.as_ref()?.parse().ok()).unwrap_or(0).min(6);
                let shown = Value::DateTime(self.now.with_scale(0)).to_sql_text(0).unwrap_or_default();
                match scale {
                    0 => typed(quote_text(&shown), Type::DateTime { scale }),
                    _ => {
                        let shown = Value::DateTime(self.now).to_sql_text(scale).unwrap_or_default();
                        typed(quote_text(&shown), Type::DateTime { scale })
                    }
                }
            }
            "unix_timestamp" if values.is_empty() => {
                let shown = Value::DateTime(self.now).to_sql_text(0).unwrap_or_default();
                typed(format!("CAST(strftime('%s', {}) AS INTEGER)", quote_text(&shown)), Type::BigInt)
            }
            "unix_timestamp" if values.len() == 2 => {
                let at = format!("str_to_date({}, {}, 0)", text(0)?, text(1)?);
                typed(format!("CAST(strftime('%s', {at}) AS INTEGER)"), Type::BigInt)
            }
            "from_unixtime" => {
                let (seconds, format) =
                    (int(0)?, values.get(1).map_or(Ok("'%Y-%m-%d %H:%i:%s'".to_owned()), |_| text(1))?);
                typed(format!("from_unixtime({seconds}, {format})"), Type::Text)
            }
            "str_to_date" => {
                let format = arg(1)?.literal.as_deref().map(usual_format).unwrap_or("%T%f");
                let has =
                    |letters: &str| letters.chars().any(|letter| format.contains(&format!("%{letter}")));
                let ty = match (has("f"), has("HkhIlisSTrp")) {
                    (true, _) => Type::DateTime { scale: 6 },
                    (false, true) => Type::DateTime { scale: 0 },
                    (false, false) => Type::Date,
                };
                let scale = if ty == Type::Date { -1 } else { i32::from(ty.datetime_scale()) };
                typed(format!("str_to_date({}, {}, {scale})", text(0)?, text(1)?), ty)
            }
            // The clusters live in UTC.
            "unix_timestamp" => {
                let at = convert(arg(0)?, Type::DateTime { scale: 0 }).sql;
                typed(format!("CAST(strftime('%s', {at}) AS INTEGER)"), Type::BigInt)
            }
            "curdate" | "current_date" => typed(quote_text(&self.now.date().to_string()), Type::Date),
            "database" | "schema" => match &self.database {
                Some(name) => typed(quote_text(name), Type::Text),
                None => Ok(Typed::new("NULL", Type::Text)),
            },
            "version" => typed(quote_text(crate::mysql::SERVER_VERSION), Type::Text),
            "connection_id" => typed(self.session.connection_id.to_string(), Type::BigInt),
            "user" | "current_user" | "session_user" => {
                typed(quote_text(&check::identity_of(self.session).to_string()), Type::Text)
            }
            "current_catalog" => typed("'internal'".to_owned(), Type::Text),
            "pi" => typed("3.141592653589793".to_owned(), Type::Double),
            "e" => typed("2.718281828459045".to_owned(), Type::Double),
            "year" | "month" | "day" | "dayofmonth" | "hour" | "minute" | "second" | "quarter"
            | "dayofyear" | "dayofweek" | "weekday" => temporal::extract(name, arg(0)?),
            "to_date" | "date" => Ok(convert(arg(0)?, Type::Date)),
            "datediff" => {
                let (a, b) = (convert(arg(0)?, Type::Date).sql, convert(arg(1)?, Type::Date).sql);
                typed(format!("CAST(julianday({a}) - julianday({b}) AS INTEGER)"), Type::Int)
            }
            "date_trunc" => {
                let ty = if arg(0)?.ty == Type::Date { Type::Date } else { Type::DateTime { scale: 0 } };
                let at = convert(arg(0)?, ty).sql;
                typed(format!("date_floor({at}, {}, 0)", text(1)?), ty)
            }
            "date_format" => {
                let at = convert(arg(0)?, Type::DateTime { scale: 6 }).sql;
                typed(format!("date_text({at}, {})", text(1)?), Type::Text)
            }
            "years_add" | "months_add" | "weeks_add" | "days_add" | "hours_add" | "minutes_add"
            | "seconds_add" | "years_sub" | "months_sub" | "weeks_sub" | "days_sub" | "hours_sub"
            | "minutes_sub" | "seconds_sub" => {
                let unit = name.split("s_").next().unwrap_or(name);
                temporal::shift_by(arg(0)?, arg(1)?, unit, name.ends_with("sub"))
            }
            "length" => typed(format!("octet_length({})", text(0)?), Type::Int),
            "char_length" | "character_length" => typed(format!("length({})", text(0)?), Type::Int),
            "upper" | "ucase" => typed(format!("upper({})", text(0)?), Type::Text),
            "lower" | "lcase" => typed(format!("lower({})", text(0)?), Type::Text),
            "reverse" => typed(format!("text_reverse({})", text(0)?), Type::Text),
            "ltrim" | "rtrim" | "trim" => typed(format!("{name}({})", all_texts().join(", ")), Type::Text),
            "concat" => typed(format!("({})", all_texts().join(" || ")), Type::Text),
            "concat_ws" => typed(format!("concat_ws({})", all_texts().join(", ")), Type::Text),
            "replace" => typed(format!("replace({})", all_texts().join(", ")), Type::Text),
            "repeat" => typed(format!("text_repeat({}, {})", text(0)?, int(1)?), Type::Text),
            "lpad" | "rpad" => {
                typed(format!("text_{name}({}, {}, {})", text(0)?, int(1)?, text(2)?), Type::Text)
            }
            "substr" | "substring" | "mid" => {
                let mut parts = vec![text(0)?, int(1)?];
                if values.len() > 2 {
                    parts.push(int(2)?);
                }
                typed(format!("substr({})", parts.join(", ")), Type::Text)
            }
            "left" => typed(format!("substr({}, 1, {})", text(0)?, int(1)?), Type::Text),
            "right" => typed(format!("substr({}, -{})", text(0)?, int(1)?), Type::Text),
            "instr" => typed(format!("instr({}, {})", text(0)?, text(1)?), Type::Int),
            "locate" => typed(format!("instr({}, {})", text(1)?, text(0)?), Type::Int),
            "split_part" => typed(format!("split_part({}, {}, {})", text(0)?, text(1)?, int(2)?), Type::Text),
            "md5" => typed(format!("md5_hex({})", text(0)?), Type::Text),
            "uuid" => typed("uuid()".to_owned(), Type::Text),
            "rand" | "random" => typed(
                "((random() + 9223372036854775808.0) / 18446744073709551616.0)".to_owned(),
                Type::Double,
            ),
            "abs" => {
                let value = arg(0)?;
                match value.ty {
                    Type::Decimal { .. } => typed(format!("abs({})", value.sql), value.ty),
                    ty if ty.is_integer() => typed(format!("abs({})", value.sql), Type::BigInt),
                    _ => typed(format!("abs({})", real(0)?), Type::Double),
                }
            }
            "mod" => {
                let (a, b) = (int(0)?, int(1)?);
                typed(format!("({a} % {b})"), Type::BigInt)
            }
            "ceil" | "ceiling" | "floor" | "round" | "truncate" => round(name, values),
            "sqrt" | "exp" | "ln" => typed(format!("real_{name}({})", real(0)?), Type::Double),
            "pow" | "power" => typed(format!("real_pow({}, {})", real(0)?, real(1)?), Type::Double),
            "if" => {
                let [test, yes, no] = values else { return Err(wrong_arguments(name)) };
                let ty = unify([yes, no].into_iter());
                let (yes, no) = (convert(yes, ty).sql, convert(no, ty).sql);
                typed(format!("CASE WHEN {} THEN {yes} ELSE {no} END", test.sql), ty)
            }
            "ifnull" | "nvl" | "coalesce" => {
                let ty = unify(values.iter());
                let parts: Vec<String> = values.iter().map(|value| convert(value, ty).sql).collect();
                match parts.as_slice() {
                    [] => Err(wrong_arguments(name)),
                    [one] => typed(one.clone(), ty),
                    many => typed(format!("coalesce({})", many.join(", ")), ty),
                }
            }
            "nullif" => {
                let (a, b) = (arg(0)?, arg(1)?);
                typed(format!("CASE WHEN {} THEN NULL ELSE {} END", compare(a, "=", b), a.sql), a.ty)
            }
            "greatest" | "least" => {
                let ty = unify(values.iter());
                let parts: Vec<String> = values.iter().map(|value| convert(value, ty).sql).collect();
                let function = if name == "greatest" { "max" } else { "min" };
                typed(format!("{function}({})", parts.join(", ")), ty)
            }
            "isnull" => typed(format!("({} IS NULL)", arg(0)?.sql), Type::Bool),
            "json_extract" | "get_json_string" | "json_extract_string" | "get_json_int" => {
                typed(format!("json_extract({}, {})", text(0)?, text(1)?), Type::Json)
            }
            "element_at" | "struct_element" => element::element(arg(0)?, arg(1)?),
            "to_bitmap" | "bitmap_from_string" | "bitmap_hash" => {
                let function = if name == "bitmap_hash" { "bitmap_hash" } else { "bitmap_of" };
                typed(format!("{function}({})", text(0)?), Type::Object)
            }
            // The form of materialised views, which refuse what is no bitmap.
            "to_bitmap_with_check" => typed(format!("bitmap_of_checked({})", text(0)?), Type::Object),
            "bitmap_empty" | "hll_empty" => typed("''".to_owned(), Type::Object),
            "bitmap_or" => typed(format!("bitmap_or({}, {})", text(0)?, text(1)?), Type::Object),
            "bitmap_count" | "bitmap_to_string" | "hll_cardinality" => {
                let ty = if name == "bitmap_to_string" { Type::Text } else { Type::BigInt };
                typed(format!("{name}({})", text(0)?), ty)
            }
            "hll_hash" => typed(format!("hll_hash({})", text(0)?), Type::Object),
            "to_quantile_state" => typed(text(0)?, Type::Object),
            "match_any"
            | "match_all"
            | "match_phrase"
            | "match_phrase_prefix"
            | "match_phrase_edge"
            | "match_regexp" => self.matching(name, arg(0)?, arg(1)?),
            other => nested::call(other, values)
                .or_else(|| self.user_function(None, other, values))
                .unwrap_or_else(|| Err(unknown_function(other))),
        }
    }

    pub(super) fn round(&mut self, scope: &Scope<'_>, expr: &Expr, name: &str) -> SqlResult<Typed> {
        let value = self.expression(scope, expr)?;
        round(name, &[value])
    }
}

/// Several values as one that is NULL when any of them is, as COUNT takes them.
fn tuple(values: &[Typed]) -> String {
    let any_null: Vec<_> = values.iter().map(|value| format!("({}) IS NULL", value.sql)).collect();
    let quoted: Vec<_> = values.iter().map(|value| format!("quote({})", value.sql)).collect();
    format!("CASE WHEN {} THEN NULL ELSE {} END", any_null.join(" OR "), quoted.join(" || ',' || "))
}

/// Aggregates; `None` when the name is none.
pub(super) fn aggregate(name: &str, values: &[Typed], distinct: bool) -> Option<Typed> {
    let one = values.first()?;
    let word = if distinct { "DISTINCT " } else { "" };
    let x = &one.sql;
    Some(match name {
        "count" if values.len() > 1 => Typed::new(format!("count({word}{})", tuple(values)), Type::BigInt),
        "count" => Typed::new(format!("count({word}{x})"), Type::BigInt),
        "ndv" | "approx_count_distinct" => Typed::new(format!("count(DISTINCT {x})"), Type::BigInt),
        "sum" => match one.ty {
            Type::Decimal { .. } => Typed::new(format!("sum({word}{x})"), one.ty),
            Type::Wide { scale, .. } => Typed::new(format!("wide_sum({word}{x}, {scale})"), one.ty),
            ty if ty.is_integer() => Typed::new(format!("sum({word}{x})"), Type::BigInt),
            _ => Typed::new(format!("sum({word}{})", convert(one, Type::Double).sql), Type::Double),
        },
        "avg" => match one.ty {
            Type::Decimal { scale } => {
                let shown = scale.max(4);
                let sql = format!("dec_div(sum({word}{x}), {scale}, count({word}{x}), 0, {shown})");
                Typed::new(sql, Type::Decimal { scale: shown })
            }
            _ => Typed::new(format!("avg({word}{})", convert(one, Type::Double).sql), Type::Double),
        },
        "min" | "max" => Typed::new(format!("{name}({x})"), one.ty),
        "any_value" | "any" => Typed::new(format!("min({x})"), one.ty),
        "group_concat" => {
            let value = to_text(x, one.ty);
            let separator =
                values.get(1).map_or_else(|| "', '".to_owned(), |separator| separator.sql.clone());
            match distinct {
                true => Typed::new(
                    format!("replace(group_concat(DISTINCT {value}), ',', {separator})"),
                    Type::Text,
                ),
                false => Typed::new(format!("group_concat({value}, {separator})"), Type::Text),
            }
        }
        "bitmap_union_count" | "bitmap_union_int" => {
            let union = format!("bitmap_union({})", to_text(x, one.ty));
            Typed::new(format!("bitmap_count(coalesce({union}, ''))"), Type::BigInt)
        }
        "bitmap_union" => Typed::new(format!("bitmap_union({x})"), Type::Object),
        "hll_union_agg" => Typed::new(format!("hll_cardinality(coalesce(hll_union({x}), ''))"), Type::BigInt),
        "hll_union" | "hll_raw_agg" => Typed::new(format!("hll_union({x})"), Type::Object),
        _ => return None,
    })
}

fn round(name: &str, values: &[Typed]) -> SqlResult<Typed> {
    let value = values.first().ok_or_else(|| wrong_arguments(name))?;
    let digits = match values.get(1) {
        None => 0,
        Some(digits) => digits
            .literal
            .as_ref()
            .and_then(|text| text.parse::<u8>().ok())
            .ok_or_else(|| unsupported(format!("{name} with a computed number of digits")))?,
    };
    if let Type::Decimal { scale } = value.ty {
        let target = digits.min(scale);
        let sql = match name {
            "round" => format!("dec_scale({}, {scale}, {target})", value.sql),
            _ => format!("dec_cut({}, {scale}, {target}, {})", value.sql, quote_text(name)),
        };
        return Ok(Typed::new(sql, Type::Decimal { scale: target }));
    }
    if value.ty.is_integer() {
        return Ok(Typed::new(value.sql.clone(), Type::BigInt));
    }
    let x = convert(value, Type::Double).sql;
    Ok(match name {
        "round" => Typed::new(format!("round({x}, {digits})"), Type::Double),
        _ => Typed::new(format!("real_cut({x}, {digits}, {})", quote_text(name)), Type::Double),
    })
}

fn unnamed(argument: &FunctionArg) -> SqlResult<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
        other => Err(unsupported(other)),
    }
}

fn unknown_function(name: &str) -> SqlError {
    SqlError::general(format!("Can not found function '{}'", name.to_ascii_uppercase()))
}

fn wrong_arguments(name: &str) -> SqlError {
    SqlError::general(format!("Can not found function '{name}' which has this number of arguments"))
}
