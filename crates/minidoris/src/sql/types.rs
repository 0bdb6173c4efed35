//! Type names and their parameters.

use super::lexer::TokenKind;
use super::parser::Parser;
use crate::error::{SqlError, SqlResult};
use crate::model::DataType;
use crate::show::plain_name;

const MAX_VARCHAR: u32 = 65533;
const MAX_CHAR: u32 = 255;

/// Parses a type as written in a column definition or printed by the emulator.
pub fn parse_data_type(text: &str) -> SqlResult<DataType> {
    let mut parser = Parser::new(text)?;
    let data_type = parser.data_type()?;
    if parser.at_end() { Ok(data_type) } else { Err(parser.unexpected("<EOF>")) }
}

impl Parser<'_> {
    pub(super) fn data_type(&mut self) -> SqlResult<DataType> {
        let name = self.name()?.to_ascii_lowercase();
        let data_type = match name.as_str() {
            "boolean" | "bool" => DataType::Boolean,
            "tinyint" => self.integer_type(DataType::TinyInt)?,
            "smallint" => self.integer_type(DataType::SmallInt)?,
            "int" | "integer" => self.integer_type(DataType::Int)?,
            "bigint" => self.integer_type(DataType::BigInt)?,
            "largeint" => self.integer_type(DataType::LargeInt)?,
            "float" => DataType::Float,
            "double" => {
                self.accept_word("precision");
                DataType::Double
            }
            "decimal" | "decimalv2" | "decimalv3" | "numeric" => self.decimal_type()?,
            "date" | "datev1" | "datev2" => DataType::Date,
            "datetime" | "datetimev1" | "datetimev2" => {
                let scale = self.parameters(1)?.first().copied().unwrap_or(0);
                let scale = u8::try_from(scale).ok().filter(|scale| *scale <= 6).ok_or_else(|| {
                    SqlError::general(format!(
                        "Scale of Datetime/Time must between 0 and 6. Scale was set to: {scale}"
                    ))
                })?;
                DataType::DateTime { scale }
            }
            "char" | "character" => {
                let length = self.parameters(1)?.first().copied().unwrap_or(1);
                if !(1..=MAX_CHAR).contains(&length) {
                    return Err(SqlError::general(format!("Char size must be between 1 and 255: {length}")));
                }
                DataType::Char { length }
            }
            "varchar" => {
                let length = if self.at_symbol('(') && self.peek_at(1).is_symbol('*') {
                    self.skip_parentheses()?;
                    MAX_VARCHAR
                } else {
                    self.parameters(1)?.first().copied().unwrap_or(MAX_VARCHAR)
                };
                if length == 0 || length > MAX_VARCHAR {
                    return Err(SqlError::general(format!(
                        "Varchar size must be <= {MAX_VARCHAR}: {length}"
                    )));
                }
                DataType::Varchar { length }
            }
            "string" | "text" => {
                self.parameters(1)?;
                DataType::String
            }
            "json" | "jsonb" => DataType::Json,
            "variant" => {
                if self.at_symbol('<') {
                    self.angle_text()?;
                }
                DataType::Variant
            }
            "hll" => {
                self.parameters(1)?;
                DataType::Hll
            }
            "bitmap" => DataType::Bitmap,
            "quantile_state" => DataType::QuantileState,
            "array" | "map" | "struct" => DataType::Complex(format!("{name}<{}>", self.inner_types(&name)?)),
            "agg_state" => DataType::Complex(format!("agg_state<{}>", self.angle_text()?)),
            "ipv4" | "ipv6" | "time" | "timev2" => DataType::Complex(name),
            _ => return Err(SqlError::general(format!("Unsupported data type: {}", name.to_uppercase()))),
        };
        Ok(data_type)
    }

    /// An integer type takes a display width and a sign, which mean nothing.
    fn integer_type(&mut self, data_type: DataType) -> SqlResult<DataType> {
        self.parameters(1)?;
        let _ = self.accept_word("signed") || self.accept_word("unsigned");
        Ok(data_type)
    }

    fn decimal_type(&mut self) -> SqlResult<DataType> {
        let (precision, scale) = match self.parameters(2)?.as_slice() {
            [] => (38, 9),
            [precision] => (*precision, 0),
            [precision, scale, ..] => (*precision, *scale),
        };
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(precision @ 1..=76), Ok(scale)) if scale <= precision => {
                Ok(DataType::Decimal { precision, scale })
            }
            _ => Err(SqlError::general(format!(
                "DecimalV3 precision and scale must be valid: precision {precision}, scale {scale}"
            ))),
        }
    }

    /// `(n, …)` when it is there, at most `limit` numbers.
    fn parameters(&mut self, limit: usize) -> SqlResult<Vec<u32>> {
        if !self.accept_symbol('(') {
            return Ok(Vec::new());
        }
        let numbers = self.comma_list(')', |parser| {
            let number = parser.integer()?;
            u32::try_from(number).map_err(|_| SqlError::general(format!("Invalid type parameter: {number}")))
        })?;
        if numbers.len() > limit {
            return Err(self.unexpected("')'"));
        }
        Ok(numbers)
    }

    /// The element types of a complex type, normalised.
    fn inner_types(&mut self, name: &str) -> SqlResult<String> {
        self.expect_symbol('<')?;
        let parts = self.comma_list('>', |parser| {
            let mut text = String::new();
            if name == "struct" {
                text = format!("{}:", plain_name(&parser.name()?));
                parser.accept_symbol(':');
            }
            text.push_str(&parser.data_type()?.to_string());
            if parser.accept_word("comment") {
                parser.text()?;
            }
            Ok(text)
        })?;
        Ok(parts.join(","))
    }

    /// The text between balanced angle brackets, in lower case and without the blanks that it can spare.
    fn angle_text(&mut self) -> SqlResult<String> {
        self.expect_symbol('<')?;
        let mut depth = 1usize;
        let mut text = String::new();
        // `int not null` and `decimal(10,2) null` keep theirs.
        let mut takes_blank = false;
        loop {
            let token = self.advance();
            match &token.kind {
                TokenKind::End => return Err(self.unexpected("'>'")),
                TokenKind::Symbol('<') => depth += 1,
                TokenKind::Symbol('>') => depth -= 1,
                TokenKind::Symbol(_)
                | TokenKind::Word(_)
                | TokenKind::Quoted(_)
                | TokenKind::Text(_)
                | TokenKind::Number(_) => {}
            }
            if depth == 0 {
                return Ok(text);
            }
            if takes_blank && matches!(token.kind, TokenKind::Word(_)) {
                text.push(' ');
            }
            takes_blank = matches!(token.kind, TokenKind::Word(_) | TokenKind::Symbol(')' | '>'));
            text.push_str(&self.sql[token.start..token.end].to_ascii_lowercase());
        }
    }
}
