//! Doris's dialect: MySQL's, with the infix predicates over inverted indexes and temporary partitions.

use std::any::TypeId;
use std::borrow::Cow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    Statement,
};
use sqlparser::dialect::{Dialect, MySqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token as SqlToken;

use crate::sql::lexer::{Token, TokenKind, tokenize};

/// `c MATCH_ANY 'x y'` and its relatives, as the functions that they become.
const MATCHES: [(&str, &str); 7] = [
    ("MATCH", "match_any"),
    ("MATCH_ANY", "match_any"),
    ("MATCH_ALL", "match_all"),
    ("MATCH_PHRASE", "match_phrase"),
    ("MATCH_PHRASE_PREFIX", "match_phrase_prefix"),
    ("MATCH_PHRASE_EDGE", "match_phrase_edge"),
    ("MATCH_REGEXP", "match_regexp"),
];

#[derive(Debug)]
pub struct DorisDialect;

static MYSQL: MySqlDialect = MySqlDialect {};

/// The function behind the word that comes next, when it is one of [`MATCHES`].
fn next_match(parser: &Parser<'_>) -> Option<&'static str> {
    let SqlToken::Word(word) = &parser.peek_token_ref().token else { return None };
    if word.quote_style.is_some() {
        return None;
    }
    MATCHES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word.value)).map(|(_, function)| *function)
}

fn call(function: &str, left: Expr, right: Expr) -> Expr {
    let args = [left, right].map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).to_vec();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(function)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Stands before the names of temporary partitions, which MySQL does not have.
pub const TEMPORARY: &str = "temporary partitions";

/// Stands before the name of the index that a query asks for, which MySQL cannot say.
pub const INDEX: &str = "index scan";

/// Where the name of a table stands before `INDEX i`, the name of an index of the table to be read.
fn asks_for_index(tokens: &[Token], at: usize) -> bool {
    const CLAUSES: [&str; 17] = [
        "where",
        "group",
        "order",
        "having",
        "limit",
        "join",
        "left",
        "right",
        "inner",
        "full",
        "cross",
        "on",
        "using",
        "union",
        "partition",
        "partitions",
        "as",
    ];
    let is_name = |token: &Token| match &token.kind {
        TokenKind::Quoted(_) => true,
        TokenKind::Word(word) => !CLAUSES.iter().any(|clause| clause.eq_ignore_ascii_case(word)),
        TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => false,
    };
    let Some(next) = tokens.get(at + 1) else { return false };
    if !tokens[at].is_word("index") || !is_name(next) || at < 2 || !is_name(&tokens[at - 1]) {
        return false;
    }
    let mut first = at - 1;
    while first >= 2 && tokens[first - 1].is_symbol('.') {
        first -= 2;
    }
    first > 0 && (tokens[first - 1].is_word("from") || tokens[first - 1].is_word("join"))
}

/// Writes `PARTITION p`, `PARTITIONS (…)`, `TEMPORARY PARTITION (…)` and `INDEX i` as the `PARTITION (…)` of
/// MySQL.
pub fn plain_partitions(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("partition") && !lower.contains("index") {
        return Cow::Borrowed(text);
    }
    // What is no sequence of tokens is refused by the parser.
    let Ok(tokens) = tokenize(text) else { return Cow::Borrowed(text) };
    let is_partition = |token: &Token| token.is_word("partition") || token.is_word("partitions");
    let is_name = |token: &Token| match &token.kind {
        TokenKind::Quoted(_) => true,
        TokenKind::Word(word) => !word.eq_ignore_ascii_case("by"),
        TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => false,
    };
    let mut out = String::new();
    let mut copied = 0;
    for at in 1..tokens.len().saturating_sub(1) {
        let (word, next) = (&tokens[at], &tokens[at + 1]);
        if asks_for_index(&tokens, at) {
            out.push_str(&text[copied..word.start]);
            out.push_str(&format!("PARTITION (`{INDEX}`, {})", &text[next.start..next.end]));
            copied = next.end;
            continue;
        }
        let follows_table = is_name(&tokens[at - 1]);
        if !is_partition(word) || !follows_table || !(next.is_symbol('(') || is_name(next)) {
            continue;
        }
        let is_temporary = at > 1 && tokens[at - 1].is_word("temporary") && is_name(&tokens[at - 2]);
        let start = if is_temporary { tokens[at - 1].start } else { word.start };
        out.push_str(&text[copied..start]);
        out.push_str("PARTITION (");
        if is_temporary {
            out.push_str(&format!("`{TEMPORARY}`, "));
        }
        if next.is_symbol('(') {
            copied = next.end;
        } else {
            out.push_str(&format!("{})", &text[next.start..next.end]));
            copied = next.end;
        }
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Answers as MySQL's dialect does.
macro_rules! as_mysql {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool {
            MYSQL.$name()
        })*
    };
}

impl Dialect for DorisDialect {
    /// The parser asks for MySQL's dialect by its type in many places.
    fn dialect(&self) -> TypeId {
        MYSQL.dialect()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        MYSQL.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        MYSQL.is_identifier_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        MYSQL.is_delimited_identifier_start(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        MYSQL.identifier_quote_style(identifier)
    }

    fn is_table_factor_alias(&self, explicit: bool, keyword: &Keyword, parser: &mut Parser<'_>) -> bool {
        MYSQL.is_table_factor_alias(explicit, keyword, parser)
    }

    fn parse_statement(&self, parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
        MYSQL.parse_statement(parser)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let Some(function) = next_match(parser) else { return MYSQL.parse_infix(parser, expr, precedence) };
        parser.advance_token();
        Some(parser.parse_subexpr(precedence).map(|right| call(function, expr.clone(), right)))
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match next_match(parser) {
            Some(_) => Some(Ok(self.prec_value(Precedence::Like))),
            None => MYSQL.get_next_precedence(parser),
        }
    }

    as_mysql!(
        supports_string_literal_backslash_escape,
        supports_string_literal_concatenation,
        ignores_wildcard_escapes,
        supports_numeric_prefix,
        require_interval_qualifier,
        supports_limit_comma,
        supports_create_table_select,
        supports_insert_set,
        supports_user_host_grantee,
        supports_table_hints,
        requires_single_line_comment_whitespace,
        supports_match_against,
        supports_set_names,
        supports_comma_separated_set_assignments,
        supports_data_type_signed_suffix,
        supports_cross_join_constraint,
    );
}
