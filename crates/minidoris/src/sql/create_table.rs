//! CREATE TABLE with all its clauses, and CREATE MATERIALIZED VIEW.

use super::ast::{ColumnDef, CreateTable, IndexDef, Properties, RollupDef, Statement};
use super::lexer::{Token, TokenKind};
use super::parser::Parser;
use crate::error::{SqlError, SqlResult};
use crate::model::{AggregateKind, DataType, DefaultValue, KeysType};

/// What a column's default may call.
const DEFAULT_FUNCTIONS: [&str; 5] = ["CURRENT_TIMESTAMP", "CURRENT_DATE", "BITMAP_EMPTY", "PI", "E"];

impl Parser<'_> {
    /// Behind CREATE TABLE.
    pub(super) fn create_table(&mut self) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists();
        let table = self.table_name()?;
        if self.accept_word("like") {
            return self.create_table_like(table, if_not_exists);
        }
        let mut create = CreateTable {
            table,
            temporary: false,
            if_not_exists,
            columns: Vec::new(),
            indexes: Vec::new(),
            keys: None,
            cluster_by: Vec::new(),
            comment: String::new(),
            partitioning: None,
            distribution: None,
            rollups: Vec::new(),
            properties: Properties::new(),
            as_select: None,
            select_names: Vec::new(),
        };
        // A list of bare names is for the columns of a query.
        if self.at_symbol('(') && (self.peek_at(2).is_symbol(',') || self.peek_at(2).is_symbol(')')) {
            create.select_names = self.name_list()?;
        } else if self.accept_symbol('(') {
            self.table_elements(&mut create)?;
        }
        if self.accept_word("engine") {
            self.accept_symbol('=');
            let engine = self.name()?;
            if !engine.eq_ignore_ascii_case("olap") {
                return Err(SqlError::general(format!("do not support table with engine name = {engine}")));
            }
        }
        create.keys = self.optional_keys()?;
        if self.accept_words(&["cluster", "by"]) {
            create.cluster_by = self.name_list()?;
        }
        create.comment = self.optional_comment()?;
        let is_auto = self.at_words(&["auto", "partition"]) && self.accept_word("auto");
        if self.accept_words(&["partition", "by"]) {
            create.partitioning = Some(self.partitioning(is_auto)?);
        }
        create.distribution = self.optional_distribution()?;
        if self.accept_word("rollup") {
            self.expect_symbol('(')?;
            create.rollups = self.comma_list(')', Self::rollup_def)?;
        }
        create.properties = self.optional_properties()?;
        if self.accept_word("broker") {
            self.accept_word("properties");
            self.property_list()?;
        }
        if self.accept_word("as") || self.at_word("select") || self.at_word("with") {
            create.as_select = Some(self.rest_text());
        } else if create.columns.is_empty() {
            return Err(self.unexpected("'('"));
        }
        Ok(Statement::CreateTable(Box::new(create)))
    }

    fn optional_keys(&mut self) -> SqlResult<Option<(KeysType, Vec<String>)>> {
        for keys_type in [KeysType::Duplicate, KeysType::Unique, KeysType::Aggregate] {
            if self.accept_words(&[keys_type.keyword(), "key"]) {
                return Ok(Some((keys_type, self.name_list()?)));
            }
        }
        if self.accept_words(&["agg", "key"]) {
            return Ok(Some((KeysType::Aggregate, self.name_list()?)));
        }
        Ok(None)
    }

    fn table_elements(&mut self, create: &mut CreateTable) -> SqlResult<()> {
        while !self.accept_symbol(')') {
            if self.at_index_def() {
                self.advance();
                let index = self.index_def()?;
                create.indexes.push(index);
            } else {
                let column = self.column_def()?;
                create.columns.push(column);
            }
            if !self.accept_symbol(',') {
                self.expect_symbol(')')?;
                break;
            }
        }
        let names: Vec<(String, DataType)> =
            create.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect();
        for column in &mut create.columns {
            if let Some(expression) = &column.generated {
                column.generated = Some(print_expression(expression, &names)?);
            }
        }
        Ok(())
    }

    /// `INDEX i (c …` starts an index; `index int(11)` is a column of that name.
    fn at_index_def(&self) -> bool {
        if !self.at_word("index") {
            return false;
        }
        if self.peek_at(1).is_word("if") {
            return true;
        }
        self.peek_at(2).is_symbol('(') && !matches!(self.peek_at(3).kind, TokenKind::Number(_))
    }

    /// `[IF NOT EXISTS] i (cols) [USING kind] [PROPERTIES (…)] [COMMENT 'x']`.
    pub(super) fn index_def(&mut self) -> SqlResult<IndexDef> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let columns = self.name_list()?;
        Ok(IndexDef { if_not_exists, ..self.index_tail(name, columns)? })
    }

    pub(super) fn index_tail(&mut self, name: String, columns: Vec<String>) -> SqlResult<IndexDef> {
        let mut kind = "INVERTED".to_owned();
        if self.accept_word("using") {
            kind = self.name()?.to_uppercase();
            if !["INVERTED", "NGRAM_BF", "BITMAP", "ANN"].contains(&kind.as_str()) {
                return Err(SqlError::general(format!(
                    "mismatched input '{kind}' expecting {{'BITMAP', 'INVERTED', 'NGRAM_BF'}}"
                )));
            }
        }
        let properties = self.optional_properties()?;
        let comment = self.optional_comment()?;
        Ok(IndexDef { name, if_not_exists: false, columns, kind, properties, comment })
    }

    /// `name type` and whatever describes the column, in any order.
    pub(super) fn column_def(&mut self) -> SqlResult<ColumnDef> {
        let name = self.name()?;
        let data_type = self.data_type()?;
        let mut column = ColumnDef {
            name,
            data_type,
            is_key: false,
            aggregate: None,
            nullable: None,
            default: None,
            auto_increment: None,
            generated: None,
            on_update: None,
            comment: String::new(),
        };
        while self.column_option(&mut column)? {}
        Ok(column)
    }

    fn column_option(&mut self, column: &mut ColumnDef) -> SqlResult<bool> {
        if self.accept_word("key") {
            column.is_key = true;
        } else if self.accept_words(&["not", "null"]) {
            column.nullable = Some(false);
        } else if self.accept_word("null") {
            column.nullable = Some(true);
        } else if self.accept_word("auto_increment") {
            column.auto_increment = Some(1);
            if self.accept_symbol('(') {
                column.auto_increment = Some(self.integer()?);
                self.expect_symbol(')')?;
            }
        } else if self.accept_word("default") {
            column.default = Some(self.default_value()?);
        } else if self.accept_words(&["on", "update"]) {
            column.on_update = Some(self.function_text()?);
        } else if self.at_word("comment") {
            column.comment = self.optional_comment()?;
        } else if self.accept_words(&["generated", "always", "as"]) || self.at_generated() {
            column.generated = Some(self.parenthesised_text()?);
        } else if let Some(kind) = self.aggregate() {
            self.advance();
            column.aggregate = Some(kind);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// `AS (` of the printed form of a generated column.
    fn at_generated(&mut self) -> bool {
        self.peek_at(1).is_symbol('(') && self.accept_word("as")
    }

    fn aggregate(&self) -> Option<AggregateKind> {
        match &self.peek().kind {
            TokenKind::Word(word) => AggregateKind::from_keyword(word),
            TokenKind::Quoted(_)
            | TokenKind::Text(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_)
            | TokenKind::End => None,
        }
    }

    fn default_value(&mut self) -> SqlResult<DefaultValue> {
        if self.accept_word("null") {
            return Ok(DefaultValue::Null);
        }
        let negative = self.accept_symbol('-');
        match self.peek().kind.clone() {
            TokenKind::Number(number) => {
                self.advance();
                Ok(DefaultValue::Literal(if negative { format!("-{number}") } else { number }))
            }
            TokenKind::Text(text) if !negative => {
                self.advance();
                Ok(DefaultValue::Literal(text))
            }
            TokenKind::Word(word)
                if !negative && DEFAULT_FUNCTIONS.iter().any(|name| word.eq_ignore_ascii_case(name)) =>
            {
                self.function_text().map(DefaultValue::Function)
            }
            TokenKind::Symbol('[') if self.peek_at(1).is_symbol(']') => {
                self.advance();
                self.advance();
                Ok(DefaultValue::Literal("[]".to_owned()))
            }
            TokenKind::Text(_)
            | TokenKind::Word(_)
            | TokenKind::Quoted(_)
            | TokenKind::Symbol(_)
            | TokenKind::End => Err(self.unexpected("a default value")),
        }
    }

    /// `CURRENT_TIMESTAMP`, `CURRENT_TIMESTAMP(3)`, `BITMAP_EMPTY`; empty parentheses are dropped.
    fn function_text(&mut self) -> SqlResult<String> {
        let mut text = self.name()?.to_uppercase();
        if self.accept_symbol('(') {
            if !self.at_symbol(')') {
                text = format!("{text}({})", self.integer()?);
            }
            self.expect_symbol(')')?;
        }
        Ok(text)
    }

    /// `r (cols) [DUPLICATE KEY (cols)] [FROM base] [PROPERTIES (…)]`.
    pub(super) fn rollup_def(&mut self) -> SqlResult<RollupDef> {
        let name = self.name()?;
        let columns = self.name_list()?;
        let keys = if self.accept_words(&["duplicate", "key"]) { self.name_list()? } else { Vec::new() };
        let base = if self.accept_word("from") { Some(self.name()?) } else { None };
        Ok(RollupDef { name, columns, keys, base, properties: self.optional_properties()? })
    }
}

/// Prints an expression as Doris would: column names in back quotes, an operation in parentheses. The
/// result prints as itself.
fn print_expression(expression: &str, columns: &[(String, DataType)]) -> SqlResult<String> {
    let tokens = super::lexer::tokenize(expression)?;
    let mut text = String::new();
    let mut depth = 0usize;
    let mut has_operator = false;
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1);
        let piece = match &token.kind {
            TokenKind::End => break,
            TokenKind::Word(word) if column_type(token, next, columns).is_some() => {
                as_decimal(format!("`{word}`"), &tokens, at, columns)
            }
            TokenKind::Word(word) => word.clone(),
            TokenKind::Quoted(name) => {
                as_decimal(format!("`{}`", name.replace('`', "``")), &tokens, at, columns)
            }
            TokenKind::Text(value) => format!("'{}'", value.replace('\'', "''")),
            TokenKind::Number(number) => number.clone(),
            TokenKind::Symbol(symbol) => {
                match symbol {
                    '(' => depth += 1,
                    ')' => depth = depth.saturating_sub(1),
                    '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' if depth == 0 => has_operator = true,
                    _ => {}
                }
                symbol.to_string()
            }
        };
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let earlier = at.checked_sub(2).and_then(|earlier| tokens.get(earlier));
        if needs_blank(before.map(|before| (before, earlier)), token) {
            text.push(' ');
        }
        text.push_str(&piece);
    }
    Ok(if has_operator { format!("({text})") } else { text })
}

/// The type of the column that a token names.
fn column_type<'c>(
    token: &Token,
    next: Option<&Token>,
    columns: &'c [(String, DataType)],
) -> Option<&'c DataType> {
    let (TokenKind::Word(name) | TokenKind::Quoted(name)) = &token.kind else { return None };
    if next.is_some_and(|token| token.is_symbol('(')) {
        return None;
    }
    columns.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)).map(|(_, data_type)| data_type)
}

/// An integer column that is combined with a decimal one is cast to a decimal of its width.
fn as_decimal(text: String, tokens: &[Token], at: usize, columns: &[(String, DataType)]) -> String {
    let digits = match column_type(&tokens[at], tokens.get(at + 1), columns) {
        Some(DataType::TinyInt) => 3,
        Some(DataType::SmallInt) => 5,
        Some(DataType::Int) => 10,
        Some(DataType::BigInt) => 20,
        Some(DataType::LargeInt) => 38,
        Some(_) | None => return text,
    };
    let is_operator = |token: Option<&Token>| {
        token.is_some_and(|token| ['+', '-', '*', '/', '%'].iter().any(|symbol| token.is_symbol(*symbol)))
    };
    let is_decimal = |at: Option<usize>| {
        let token = at.and_then(|at| Some((tokens.get(at)?, tokens.get(at + 1))));
        token.is_some_and(|(token, next)| {
            matches!(column_type(token, next, columns), Some(DataType::Decimal { .. }))
        })
    };
    let behind =
        is_operator(at.checked_sub(1).and_then(|before| tokens.get(before))) && is_decimal(at.checked_sub(2));
    let before = is_operator(tokens.get(at + 1)) && is_decimal(Some(at + 2));
    if behind || before { format!("CAST({text} AS decimalv3({digits},0))") } else { text }
}

/// `before` comes with the token before it.
fn needs_blank(before: Option<(&Token, Option<&Token>)>, token: &Token) -> bool {
    let Some((before, earlier)) = before else { return false };
    // The parts of `<=` stay together, `(` and `.` hold on to their neighbours.
    let glued = matches!(
        (&before.kind, &token.kind),
        (TokenKind::Symbol('(' | '.' | '['), _)
            | (_, TokenKind::Symbol(')' | ',' | '.' | '[' | ']'))
            | (TokenKind::Word(_), TokenKind::Symbol('('))
            | (TokenKind::Symbol('<' | '>' | '!'), TokenKind::Symbol('=' | '>'))
    );
    // Arguments of types such as decimalv3(10,0) are printed without a blank.
    let numbers = matches!((&before.kind, &token.kind), (TokenKind::Symbol(','), TokenKind::Number(_)));
    let adjoins = numbers && before.end == token.start;
    // A sign, not a subtraction.
    let is_sign = before.is_symbol('-')
        && earlier.is_none_or(
            |earlier| matches!(earlier.kind, TokenKind::Symbol(symbol) if symbol != ')' && symbol != ']'),
        );
    !glued && !adjoins && !is_sign
}
