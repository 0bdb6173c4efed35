//! PARTITION BY and DISTRIBUTED BY clauses.

use super::ast::{PartitionDef, PartitionValues, Partitioning, Properties};
use super::lexer::TokenKind;
use super::parser::Parser;
use crate::error::SqlResult;
use crate::model::{Distribution, DistributionKind, PartitionValue};

/// `BUCKETS` of a table that names none, and of automatic ones without an estimated size.
pub const DEFAULT_BUCKETS: u32 = 10;

impl Parser<'_> {
    /// `[AUTO] PARTITION BY RANGE | LIST (…) [( … )]`, behind an accepted PARTITION BY.
    pub(super) fn partitioning(&mut self, is_auto: bool) -> SqlResult<Partitioning> {
        let is_list = self.accept_word("list");
        if !is_list {
            self.accept_word("range");
        }
        let (columns, auto_expr) = self.partition_columns()?;
        let mut partitions = Vec::new();
        if self.accept_symbol('(') {
            partitions = self.comma_list(')', |parser| {
                if parser.at_word("from") {
                    return parser.partition_step();
                }
                parser.expect_word("partition")?;
                parser.partition_def()
            })?;
        }
        Ok(Partitioning { is_list, is_auto, columns, auto_expr, partitions })
    }

    /// Columns, or the one column of an expression with its printed form.
    fn partition_columns(&mut self) -> SqlResult<(Vec<String>, Option<String>)> {
        // Older texts leave the parentheses around the expression out.
        let wrapped = self.accept_symbol('(');
        let mut columns = Vec::new();
        let mut expression = None;
        loop {
            if self.peek_at(1).is_symbol('(') {
                let function = self.name()?.to_ascii_lowercase();
                self.expect_symbol('(')?;
                let column = self.name()?;
                let mut arguments = format!("`{column}`");
                while self.accept_symbol(',') {
                    let argument = match self.peek().kind.clone() {
                        TokenKind::Text(text) => format!("'{text}'"),
                        TokenKind::Word(text) | TokenKind::Quoted(text) | TokenKind::Number(text) => text,
                        TokenKind::Symbol(_) | TokenKind::End => {
                            return Err(self.unexpected("STRING_LITERAL"));
                        }
                    };
                    self.advance();
                    arguments.push_str(&format!(", {argument}"));
                }
                self.expect_symbol(')')?;
                columns.push(column);
                expression = Some(format!("{function}({arguments})"));
            } else {
                columns.push(self.name()?);
            }
            if !wrapped || !self.accept_symbol(',') {
                break;
            }
        }
        if wrapped {
            self.expect_symbol(')')?;
        }
        Ok((columns, expression))
    }

    /// `[IF NOT EXISTS] p [VALUES …] [( properties )]`.
    pub(super) fn partition_def(&mut self) -> SqlResult<PartitionDef> {
        let if_not_exists = self.if_not_exists();
        let name = self.name_or_text()?;
        let mut values = PartitionValues::None;
        if self.accept_word("values") {
            values = self.partition_values()?;
        }
        let properties = if self.at_symbol('(') { self.property_list()? } else { Properties::new() };
        Ok(PartitionDef { name, if_not_exists, values, properties })
    }

    fn partition_values(&mut self) -> SqlResult<PartitionValues> {
        if self.accept_words(&["less", "than"]) {
            if self.accept_word("maxvalue") {
                return Ok(PartitionValues::LessThan(vec![PartitionValue::MaxValue]));
            }
            return self.value_list().map(PartitionValues::LessThan);
        }
        if self.accept_symbol('[') {
            let lower = self.value_list()?;
            self.expect_symbol(',')?;
            let upper = self.value_list()?;
            self.expect_symbol(')')?;
            return Ok(PartitionValues::Fixed { lower, upper });
        }
        if self.accept_word("in") {
            self.expect_symbol('(')?;
            return self
                .comma_list(')', |parser| {
                    if parser.at_symbol('(') {
                        parser.value_list()
                    } else {
                        Ok(vec![parser.partition_value()?])
                    }
                })
                .map(PartitionValues::In);
        }
        Err(self.unexpected("{'[', 'IN', 'LESS'}"))
    }

    /// `FROM (a) TO (b) INTERVAL n [unit]`.
    pub(super) fn partition_step(&mut self) -> SqlResult<PartitionDef> {
        self.expect_word("from")?;
        let from = self.value_list()?;
        self.expect_word("to")?;
        let to = self.value_list()?;
        self.expect_word("interval")?;
        let interval = self.integer()?;
        let unit = match &self.peek().kind {
            TokenKind::Word(word) => Some(word.to_ascii_lowercase()),
            TokenKind::Quoted(_)
            | TokenKind::Text(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_)
            | TokenKind::End => None,
        };
        if unit.is_some() {
            self.advance();
        }
        Ok(PartitionDef {
            name: String::new(),
            if_not_exists: false,
            values: PartitionValues::Step { from, to, interval, unit },
            properties: Properties::new(),
        })
    }

    fn value_list(&mut self) -> SqlResult<Vec<PartitionValue>> {
        self.expect_symbol('(')?;
        self.comma_list(')', Self::partition_value)
    }

    fn partition_value(&mut self) -> SqlResult<PartitionValue> {
        if self.accept_word("maxvalue") {
            return Ok(PartitionValue::MaxValue);
        }
        if self.accept_word("minvalue") {
            return Ok(PartitionValue::MinValue);
        }
        if self.accept_word("null") {
            return Ok(PartitionValue::Null);
        }
        let negative = self.accept_symbol('-');
        match self.peek().kind.clone() {
            TokenKind::Number(value) => {
                self.advance();
                Ok(PartitionValue::Value(if negative { format!("-{value}") } else { value }))
            }
            TokenKind::Text(value) | TokenKind::Word(value) if !negative => {
                self.advance();
                Ok(PartitionValue::Value(value))
            }
            TokenKind::Text(_)
            | TokenKind::Word(_)
            | TokenKind::Quoted(_)
            | TokenKind::Symbol(_)
            | TokenKind::End => Err(self.unexpected("{'MAXVALUE', 'NULL', STRING_LITERAL, INTEGER_VALUE}")),
        }
    }

    /// `DISTRIBUTED BY HASH (…) | RANDOM [BUCKETS n | AUTO]` when it is there.
    pub(super) fn optional_distribution(&mut self) -> SqlResult<Option<Distribution>> {
        if !self.accept_words(&["distributed", "by"]) {
            return Ok(None);
        }
        let kind = if self.accept_word("random") {
            DistributionKind::Random
        } else {
            self.expect_word("hash")?;
            DistributionKind::Hash(self.name_list()?)
        };
        let mut distribution = Distribution { kind, buckets: DEFAULT_BUCKETS, auto_bucket: false };
        if self.accept_word("buckets") {
            if self.accept_word("auto") {
                distribution.auto_bucket = true;
            } else {
                let number = self.integer()?;
                distribution.buckets = u32::try_from(number).map_err(|_| self.unexpected("INTEGER_VALUE"))?;
            }
        }
        Ok(Some(distribution))
    }
}
