//! Expressions.

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr, TrimWhereField, UnaryOperator, Value as Literal};

use super::convert::{common, convert, number, to_text};
use super::element::field;
use super::variable::is_variable;
use super::{Compiler, Scope, Typed, quote_text, unsupported};
use crate::error::{SqlError, SqlResult};
use crate::query::types::Type;
use crate::sql;

impl Compiler<'_> {
    pub fn expression(&mut self, scope: &Scope<'_>, expr: &Expr) -> SqlResult<Typed> {
        self.enter()?;
        let typed = self.expression_inner(scope, expr);
        self.leave();
        typed
    }

    fn expression_inner(&mut self, scope: &Scope<'_>, expr: &Expr) -> SqlResult<Typed> {
        Ok(match expr {
            Expr::Identifier(name) if is_variable(name) => self.variable(std::slice::from_ref(name))?,
            Expr::CompoundIdentifier(parts) if parts.first().is_some_and(is_variable) => {
                self.variable(parts)?
            }
            Expr::Identifier(name) => match scope.resolve(std::slice::from_ref(name)) {
                Err(_) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("current_user") => {
                    self.scalar("current_user", &[])?
                }
                // In this dialect a double-quoted word may arrive as a name.
                Err(_) if name.quote_style == Some('"') => Typed::text_literal(&name.value),
                found => found?,
            },
            Expr::CompoundIdentifier(parts) => field(scope, parts)?,
            Expr::Nested(inner) => {
                let inner = self.expression(scope, inner)?;
                Typed { sql: format!("({})", inner.sql), ..inner }
            }
            Expr::Value(value) => literal(&value.value)?,
            Expr::TypedString(typed) => {
                let text = value_text(&typed.value.value)?;
                self.cast_to(&Typed::text_literal(&text), &typed.data_type.to_string())?
            }
            Expr::Cast { expr, data_type, .. } => {
                let value = self.expression(scope, expr)?;
                self.cast_to(&value, &data_type.to_string())?
            }
            Expr::Convert { expr, data_type: Some(data_type), charset: None, .. } => {
                let value = self.expression(scope, expr)?;
                self.cast_to(&value, &data_type.to_string())?
            }
            Expr::UnaryOp { op, expr } => self.unary(scope, *op, expr)?,
            Expr::BinaryOp { left, op, right } => self.binary(scope, left, op, right)?,
            Expr::IsNull(inner) => self.test(scope, inner, "IS NULL")?,
            Expr::IsNotNull(inner) => self.test(scope, inner, "IS NOT NULL")?,
            Expr::IsTrue(inner) => self.test(scope, inner, "IS TRUE")?,
            Expr::IsNotTrue(inner) => self.test(scope, inner, "IS NOT TRUE")?,
            Expr::IsFalse(inner) => self.test(scope, inner, "IS FALSE")?,
            Expr::IsNotFalse(inner) => self.test(scope, inner, "IS NOT FALSE")?,
            Expr::Between { expr, negated, low, high } => {
                let value = self.expression(scope, expr)?;
                let (low, high) = (self.expression(scope, low)?, self.expression(scope, high)?);
                let above = compare(&value, ">=", &low);
                let below = compare(&value, "<=", &high);
                Typed::new(format!("{}({above} AND {below})", not(*negated)), Type::Bool)
            }
            Expr::InList { expr, list, negated } => {
                let value = self.expression(scope, expr)?;
                let mut tests = Vec::new();
                for item in list {
                    tests.push(compare(&value, "=", &self.expression(scope, item)?));
                }
                Typed::new(format!("{}({})", not(*negated), tests.join(" OR ")), Type::Bool)
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let value = self.expression(scope, expr)?;
                let inner = self.query(Some(scope), subquery)?;
                let ty = inner.columns.first().map_or(Type::Null, |(_, ty)| *ty);
                let value =
                    if value.ty.is_integer() && ty.is_integer() { value } else { convert(&value, ty) };
                Typed::new(format!("({} {}IN ({}))", value.sql, not(*negated), inner.sql), Type::Bool)
            }
            Expr::Exists { subquery, negated } => {
                let inner = self.query(Some(scope), subquery)?;
                Typed::new(format!("({}EXISTS ({}))", not(*negated), inner.sql), Type::Bool)
            }
            Expr::Subquery(query) => {
                let inner = self.query(Some(scope), query)?;
                let ty = inner.columns.first().map_or(Type::Null, |(_, ty)| *ty);
                Typed::new(format!("({})", inner.sql), ty)
            }
            Expr::Like { negated, expr, pattern, any: false, escape_char } => {
                let value = self.text(scope, expr)?;
                let pattern = self.text(scope, pattern)?;
                let escape = match escape_char {
                    Some(escape) => value_text(escape)?,
                    None => "\\".to_owned(),
                };
                let test =
                    format!("({value} {}LIKE {pattern} ESCAPE {})", not(*negated), quote_text(&escape));
                Typed::new(test, Type::Bool)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(scope, operand.as_deref(), conditions, else_result.as_deref())?
            }
            Expr::Extract { field, expr, .. } => {
                let value = self.expression(scope, expr)?;
                super::temporal::extract(&field.to_string(), &value)?
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.text(scope, expr)?];
                for part in [substring_from, substring_for].into_iter().flatten() {
                    arguments.push(self.expression(scope, part)?.sql);
                }
                Typed::new(format!("substr({})", arguments.join(", ")), Type::Text)
            }
            Expr::Trim { expr, trim_where, trim_what, trim_characters: None } => {
                let mut arguments = vec![self.text(scope, expr)?];
                if let Some(what) = trim_what {
                    arguments.push(self.text(scope, what)?);
                }
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "trim",
                };
                Typed::new(format!("{name}({})", arguments.join(", ")), Type::Text)
            }
            Expr::Ceil { expr, .. } => self.round(scope, expr, "ceil")?,
            Expr::Floor { expr, .. } => self.round(scope, expr, "floor")?,
            Expr::Position { expr, r#in } => {
                let (part, whole) = (self.text(scope, expr)?, self.text(scope, r#in)?);
                Typed::new(format!("instr({whole}, {part})"), Type::Int)
            }
            Expr::Function(function) => self.function(scope, function)?,
            Expr::CompoundFieldAccess { root, access_chain } => self.subscript(scope, root, access_chain)?,
            other => return Err(unsupported(other)),
        })
    }

    /// The expression as text.
    pub(super) fn text(&mut self, scope: &Scope<'_>, expr: &Expr) -> SqlResult<String> {
        let value = self.expression(scope, expr)?;
        Ok(to_text(&value.sql, value.ty))
    }

    fn test(&mut self, scope: &Scope<'_>, expr: &Expr, test: &str) -> SqlResult<Typed> {
        let value = self.expression(scope, expr)?;
        Ok(Typed::new(format!("({} {test})", value.sql), Type::Bool))
    }

    pub(super) fn cast_to(&mut self, value: &Typed, type_text: &str) -> SqlResult<Typed> {
        // Names that only casts use.
        let target = match type_text.to_ascii_lowercase().as_str() {
            "signed" | "signed int" | "signed integer" => Type::BigInt,
            "unsigned" | "unsigned int" | "unsigned integer" => Type::Wide { scale: 0, is_large: true },
            "text" | "char" | "varchar" | "string" => Type::Text,
            "decimal" => Type::Decimal { scale: 0 },
            _ => Type::of(&sql::parse_data_type(type_text)?),
        };
        Ok(convert(value, target))
    }

    fn unary(&mut self, scope: &Scope<'_>, op: UnaryOperator, expr: &Expr) -> SqlResult<Typed> {
        let value = self.expression(scope, expr)?;
        Ok(match op {
            UnaryOperator::Not => Typed::new(format!("(NOT {})", value.sql), Type::Bool),
            UnaryOperator::Plus => value,
            UnaryOperator::Minus if matches!(value.ty, Type::Wide { .. }) => {
                let literal = value.literal.filter(|text| !text.starts_with('-'));
                match literal.map(|text| format!("-{text}")) {
                    Some(text) => {
                        let mut negative = convert(&Typed::text_literal(&text), value.ty);
                        negative.literal = Some(text);
                        negative
                    }
                    None => Typed::new(format!("(- {})", to_real(&value.sql, value.ty)), Type::Double),
                }
            }
            UnaryOperator::Minus => {
                let literal = value.literal.clone().filter(|text| !text.starts_with('-'));
                let literal = literal.map(|text| format!("-{text}"));
                let ty = if value.ty.is_numeric() { value.ty } else { Type::Double };
                Typed { sql: format!("(- {})", number(&value)), ty, literal, column: None }
            }
            other => return Err(unsupported(other)),
        })
    }

    fn binary(
        &mut self,
        scope: &Scope<'_>,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
    ) -> SqlResult<Typed> {
        if matches!(op, BinaryOperator::Plus | BinaryOperator::Minus) {
            if let Expr::Interval(interval) = right {
                let at = self.expression(scope, left)?;
                return self.shift(scope, &at, interval, matches!(op, BinaryOperator::Minus));
            }
            if let (Expr::Interval(interval), BinaryOperator::Plus) = (left, op) {
                let at = self.expression(scope, right)?;
                return self.shift(scope, &at, interval, false);
            }
        }
        let a = self.expression(scope, left)?;
        let b = self.expression(scope, right)?;
        let test = |operator: &str| Ok(Typed::new(compare(&a, operator, &b), Type::Bool));
        match op {
            BinaryOperator::And => Ok(Typed::new(format!("({} AND {})", a.sql, b.sql), Type::Bool)),
            BinaryOperator::Or => Ok(Typed::new(format!("({} OR {})", a.sql, b.sql), Type::Bool)),
            BinaryOperator::Xor => {
                Ok(Typed::new(format!("(({} <> 0) <> ({} <> 0))", a.sql, b.sql), Type::Bool))
            }
            BinaryOperator::Eq => test("="),
            BinaryOperator::NotEq => test("<>"),
            BinaryOperator::Lt => test("<"),
            BinaryOperator::LtEq => test("<="),
            BinaryOperator::Gt => test(">"),
            BinaryOperator::GtEq => test(">="),
            BinaryOperator::Spaceship => test("IS"),
            BinaryOperator::Plus => Ok(additive(&a, "+", &b)),
            BinaryOperator::Minus => Ok(additive(&a, "-", &b)),
            BinaryOperator::Multiply => Ok(multiply(&a, &b)),
            BinaryOperator::Divide => Ok(divide(&a, &b)),
            BinaryOperator::MyIntegerDivide => {
                let (a, b) = (convert(&a, Type::BigInt), convert(&b, Type::BigInt));
                Ok(Typed::new(format!("({} / {})", a.sql, b.sql), Type::BigInt))
            }
            BinaryOperator::Modulo => Ok(additive(&a, "%", &b)),
            BinaryOperator::BitwiseAnd | BinaryOperator::BitwiseOr => {
                let (a, b) = (convert(&a, Type::BigInt), convert(&b, Type::BigInt));
                Ok(Typed::new(format!("({} {op} {})", a.sql, b.sql), Type::BigInt))
            }
            BinaryOperator::StringConcat => Ok(Typed::new(
                format!("({} || {})", to_text(&a.sql, a.ty), to_text(&b.sql, b.ty)),
                Type::Text,
            )),
            other => Err(unsupported(other)),
        }
    }

    fn case(
        &mut self,
        scope: &Scope<'_>,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> SqlResult<Typed> {
        let operand = operand.map(|expr| self.expression(scope, expr)).transpose()?;
        let mut branches = Vec::new();
        for when in conditions {
            let condition = self.expression(scope, &when.condition)?;
            let test = match &operand {
                Some(value) => compare(value, "=", &condition),
                None => condition.sql,
            };
            branches.push((Some(test), self.expression(scope, &when.result)?));
        }
        if let Some(expr) = otherwise {
            branches.push((None, self.expression(scope, expr)?));
        }
        let ty = unify(branches.iter().map(|(_, value)| value));
        let mut sql = "CASE".to_owned();
        for (test, value) in &branches {
            let value = convert(value, ty).sql;
            sql.push_str(&match test {
                Some(test) => format!(" WHEN {test} THEN {value}"),
                None => format!(" ELSE {value}"),
            });
        }
        sql.push_str(" END");
        Ok(Typed::new(sql, ty))
    }
}

fn to_real(sql: &str, ty: Type) -> String {
    convert(&Typed::new(sql, ty), Type::Double).sql
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

/// The type that all of these can take.
pub fn unify<'t>(values: impl Iterator<Item = &'t Typed>) -> Type {
    let mut all = Typed::null();
    for value in values {
        let ty = common(&all, value);
        all = Typed { sql: String::new(), ty, literal: None, column: None };
    }
    all.ty
}

/// A comparison in the common type of both sides.
pub fn compare(a: &Typed, operator: &str, b: &Typed) -> String {
    let ty = common(a, b);
    // Integers of different width need no conversion, and decimals are scaled only where they differ.
    let (a, b) = if a.ty.is_integer() && b.ty.is_integer() {
        (a.sql.clone(), b.sql.clone())
    } else {
        (convert(a, ty).sql, convert(b, ty).sql)
    };
    format!("({a} {operator} {b})")
}

fn additive(a: &Typed, operator: &str, b: &Typed) -> Typed {
    let ty = arithmetic_type(a, b);
    Typed::new(format!("({} {operator} {})", convert(a, ty).sql, convert(b, ty).sql), ty)
}

/// The type of a sum: decimals keep the larger scale, anything that is no exact number becomes a double.
fn arithmetic_type(a: &Typed, b: &Typed) -> Type {
    let exact = |value: &Typed| match value.ty {
        Type::Decimal { scale } | Type::Wide { scale, .. } => Some(scale),
        ty if ty.is_integer() => Some(0),
        _ => None,
    };
    match (exact(a), exact(b)) {
        (Some(_), Some(_)) if a.ty.is_integer() && b.ty.is_integer() => Type::BigInt,
        (Some(x), Some(y)) => Type::Decimal { scale: x.max(y) },
        _ => Type::Double,
    }
}

fn multiply(a: &Typed, b: &Typed) -> Typed {
    let ty = arithmetic_type(a, b);
    let Type::Decimal { .. } = ty else {
        return Typed::new(format!("({} * {})", convert(a, ty).sql, convert(b, ty).sql), ty);
    };
    let scale = |value: &Typed| match value.ty {
        Type::Decimal { scale } | Type::Wide { scale, .. } => scale,
        _ => 0,
    };
    let factor = |value: &Typed| match value.ty {
        Type::Wide { scale, .. } => convert(value, Type::Decimal { scale }).sql,
        _ => value.sql.clone(),
    };
    let sum = scale(a).saturating_add(scale(b));
    Typed::new(format!("({} * {})", factor(a), factor(b)), Type::Decimal { scale: sum })
}

/// Extra digits of a decimal quotient (`div_precision_increment`).
const DIVISION_DIGITS: u8 = 4;

fn divide(a: &Typed, b: &Typed) -> Typed {
    let ty = arithmetic_type(a, b);
    let Type::Decimal { .. } = ty else {
        return Typed::new(
            format!("({} / {})", convert(a, Type::Double).sql, convert(b, Type::Double).sql),
            Type::Double,
        );
    };
    let exact = |value: &Typed| match value.ty {
        Type::Decimal { scale } => (value.sql.clone(), scale),
        Type::Wide { scale, .. } => (convert(value, Type::Decimal { scale }).sql, scale),
        _ => (convert(value, Type::Decimal { scale: 0 }).sql, 0),
    };
    let ((a, x), (b, y)) = (exact(a), exact(b));
    let scale = x + DIVISION_DIGITS;
    Typed::new(format!("dec_div({a}, {x}, {b}, {y}, {scale})"), Type::Decimal { scale })
}

fn literal(value: &Literal) -> SqlResult<Typed> {
    Ok(match value {
        Literal::Null => Typed::null(),
        Literal::Boolean(flag) => Typed::new(if *flag { "1" } else { "0" }, Type::Bool),
        Literal::Number(text, _) => number_literal(text),
        other => Typed::text_literal(&value_text(other)?),
    })
}

pub fn number_literal(text: &str) -> Typed {
    let literal = Some(text.to_owned());
    if let Ok(number) = text.parse::<i64>() {
        let ty = match number {
            -128..=127 => Type::TinyInt,
            -32_768..=32_767 => Type::SmallInt,
            -2_147_483_648..=2_147_483_647 => Type::Int,
            _ => Type::BigInt,
        };
        return Typed { sql: text.to_owned(), ty, literal, column: None };
    }
    if text.contains(['e', 'E']) {
        return Typed { sql: text.to_owned(), ty: Type::Double, literal, column: None };
    }
    let scale = text.split_once('.').map_or(0, |(_, digits)| u8::try_from(digits.len()).unwrap_or(u8::MAX));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let ty = match digits {
        0..=18 => Type::Decimal { scale },
        _ => Type::Wide { scale, is_large: scale == 0 },
    };
    let converted = convert(&Typed::text_literal(text), ty);
    Typed { sql: converted.sql, ty, literal, column: None }
}

/// The text of a string literal.
pub fn value_text(value: &Literal) -> SqlResult<String> {
    match value {
        Literal::SingleQuotedString(text)
        | Literal::DoubleQuotedString(text)
        | Literal::EscapedStringLiteral(text)
        | Literal::NationalStringLiteral(text) => Ok(text.clone()),
        Literal::Number(text, _) => Ok(text.clone()),
        other => Err(SqlError::general(format!("not supported: literal {other}"))),
    }
}
