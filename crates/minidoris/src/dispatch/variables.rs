//! System variables, and the SELECTs without a table that drivers send when they connect.
//!
//! Every SET is accepted and remembered for its session, whether or not Doris knows the variable (see
//! [`super::assign`]); only reading an unknown one is an error.

use crate::access::check::identity_of;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::mysql::SERVER_VERSION;
use crate::session::{ColumnType, ResultSet, Session};
use crate::sql::lexer::{Token, TokenKind, tokenize};
use crate::state::FeState;

/// Names and values that do not depend on the cluster, as SHOW VARIABLES prints them, sorted.
const DEFAULTS: &[(&str, &str)] = &[
    ("auto_increment_increment", "1"),
    ("autocommit", "true"),
    ("batch_size", "4064"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_database", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("collation_connection", "utf8mb4_0900_bin"),
    ("collation_database", "utf8mb4_0900_bin"),
    ("collation_server", "utf8mb4_0900_bin"),
    ("default_password_lifetime", "0"),
    ("default_rowset_type", "beta"),
    ("default_storage_engine", "olap"),
    ("div_precision_increment", "4"),
    ("enable_fallback_to_original_planner", "true"),
    ("enable_insert_strict", "true"),
    ("enable_match_without_inverted_index", "true"),
    ("enable_nereids_planner", "true"),
    ("enable_profile", "false"),
    ("enable_unique_key_partial_update", "false"),
    ("event_scheduler", "OFF"),
    ("exec_mem_limit", "2147483648"),
    ("group_commit", "off_mode"),
    ("init_connect", ""),
    ("insert_max_filter_ratio", "1.0"),
    ("insert_timeout", "14400"),
    ("insert_visible_timeout_ms", "60000"),
    ("interactive_timeout", "3600"),
    ("inverted_index_skip_threshold", "50"),
    ("language", "/palo/share/english/"),
    ("license", "Apache License, Version 2.0"),
    ("lower_case_table_names", "0"),
    ("max_allowed_packet", "16777216"),
    ("net_buffer_length", "16384"),
    ("net_read_timeout", "60"),
    ("net_write_timeout", "600"),
    ("parallel_pipeline_task_num", "0"),
    ("performance_schema", "OFF"),
    ("port", "9030"),
    ("query_cache_size", "1048576"),
    ("query_cache_type", "0"),
    ("query_timeout", "900"),
    ("require_sequence_in_insert", "true"),
    ("resource_group", ""),
    ("show_hidden_columns", "false"),
    ("socket", ""),
    ("sql_auto_is_null", "false"),
    ("sql_mode", "ONLY_FULL_GROUP_BY"),
    ("sql_safe_updates", "0"),
    ("sql_select_limit", "9223372036854775807"),
    ("storage_engine", "olap"),
    ("system_time_zone", "UTC"),
    ("time_zone", "UTC"),
    ("transaction_isolation", "REPEATABLE-READ"),
    ("transaction_read_only", "false"),
    ("tx_isolation", "REPEATABLE-READ"),
    ("tx_read_only", "false"),
    ("validate_password_policy", "NONE"),
    ("version", SERVER_VERSION),
    ("version_comment", ""),
    ("wait_timeout", "28800"),
];

fn default_value(cluster: &ClusterInner, name: &str) -> Option<String> {
    default_of(&cluster.options.version, name)
}

fn global_value(cluster: &ClusterInner, name: &str) -> Option<String> {
    let set = cluster.fe.lock().global_variables.get(name).cloned();
    set.or_else(|| default_value(cluster, name))
}

fn current_value(cluster: &ClusterInner, session: &Session, name: &str) -> Option<String> {
    session.variables.get(name).cloned().or_else(|| default_value(cluster, name))
}

/// SHOW [GLOBAL] VARIABLES: name, value, default value and whether it differs.
pub fn rows(cluster: &ClusterInner, session: &Session, global: bool) -> ResultSet {
    let mut result = ResultSet::new(&["Variable_name", "Value", "Default_Value", "Changed"]);
    for (name, _) in DEFAULTS {
        let default = default_value(cluster, name).unwrap_or_default();
        let value = if global { global_value(cluster, name) } else { current_value(cluster, session, name) };
        let value = value.unwrap_or_default();
        let changed = if value == default { "0" } else { "1" };
        let row = [(*name).to_owned(), value, default, changed.to_owned()];
        result.rows.push(row.map(Some).to_vec());
    }
    result
}

/// The value of `name`, `session.name` or `global.name`, with switches as SELECT prints them.
pub fn system(state: &FeState, session: &Session, name: &str) -> SqlResult<String> {
    let name = name.to_ascii_lowercase();
    let (scope, name) = name.rsplit_once('.').unwrap_or(("session", &name));
    let own = if scope == "global" { &state.global_variables } else { &session.variables };
    let version = state.release.version_text();
    let value = own.get(name).cloned().or_else(|| default_of(version, name));
    value.map(as_number).ok_or_else(|| unknown_variable(name))
}

/// SELECT prints the switches as numbers, SHOW VARIABLES as words.
fn as_number(value: String) -> String {
    match value.as_str() {
        "true" => "1".to_owned(),
        "false" => "0".to_owned(),
        _ => value,
    }
}

/// The default as SHOW VARIABLES prints it.
pub fn default_of(version: &str, name: &str) -> Option<String> {
    if name == "version_comment" {
        return Some(version.to_owned());
    }
    let at = DEFAULTS.binary_search_by(|(key, _)| (*key).cmp(name)).ok()?;
    Some(DEFAULTS[at].1.to_owned())
}

/// Answers a SELECT made only of `@@variables`, literals and functions about the session. `None` when it
/// is anything else, which is left to the query engine.
pub fn select(cluster: &ClusterInner, session: &Session, text: &str) -> Option<SqlResult<ResultSet>> {
    /// Longer texts are certainly queries, and need not be split into tokens here.
    const LONGEST: usize = 4096;
    if text.len() > LONGEST {
        return None;
    }
    let tokens = tokenize(text).ok()?;
    let mut items = Items { text, tokens: &tokens, at: 0 };
    items.word("select")?;
    let mut result = ResultSet::default();
    let mut row = Vec::new();
    loop {
        let start = items.peek().start;
        let (value, column_type) = match items.value(cluster, session)? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        let written = text[start..items.previous_end()].to_owned();
        result.columns.push(items.alias().unwrap_or(written));
        result.types.push(column_type);
        row.push(value);
        if !items.symbol(',') {
            break;
        }
    }
    if items.word("limit").is_some() {
        items.number()?;
    }
    items.symbol(';');
    if items.peek().kind != TokenKind::End {
        return None;
    }
    result.rows.push(row);
    Some(Ok(result))
}

/// Walks the select list.
struct Items<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
}

type Typed = (Option<String>, ColumnType);

impl Items<'_> {
    fn peek(&self) -> &Token {
        // The last token is `End` and is never stepped over.
        &self.tokens[self.at]
    }

    fn step(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn previous_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |at| self.tokens[at].end)
    }

    fn word(&mut self, keyword: &str) -> Option<()> {
        self.peek().is_word(keyword).then(|| self.step())
    }

    fn symbol(&mut self, symbol: char) -> bool {
        let found = self.peek().is_symbol(symbol);
        if found {
            self.step();
        }
        found
    }

    fn number(&mut self) -> Option<()> {
        matches!(self.peek().kind, TokenKind::Number(_)).then(|| self.step())
    }

    fn name(&mut self) -> Option<String> {
        let name = match &self.peek().kind {
            TokenKind::Word(name) | TokenKind::Quoted(name) => name.clone(),
            TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => return None,
        };
        self.step();
        Some(name)
    }

    /// `AS name`, or a bare name that is not the LIMIT.
    fn alias(&mut self) -> Option<String> {
        if self.word("as").is_some() {
            if let TokenKind::Text(text) = &self.peek().kind {
                let text = text.clone();
                self.step();
                return Some(text);
            }
            return self.name();
        }
        if self.peek().is_word("limit") || self.peek().is_word("from") {
            return None;
        }
        self.name()
    }

    fn value(&mut self, cluster: &ClusterInner, session: &Session) -> Option<SqlResult<Typed>> {
        match self.peek().kind.clone() {
            TokenKind::Symbol('@') => {
                self.step();
                self.variable(cluster, session)
            }
            // Some tokenizers keep the signs with the word.
            TokenKind::Word(word) if word.starts_with('@') => self.variable(cluster, session),
            TokenKind::Number(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.step();
                let column_type = if number.len() < 3 { ColumnType::TinyInt } else { ColumnType::BigInt };
                Some(Ok((Some(number), column_type)))
            }
            TokenKind::Text(text) => {
                self.step();
                Some(Ok((Some(text), ColumnType::Text)))
            }
            TokenKind::Word(word) => {
                self.step();
                if !(self.symbol('(') && self.symbol(')')) {
                    return None;
                }
                let text = |value: String| Some(Ok((Some(value), ColumnType::Text)));
                match word.to_ascii_lowercase().as_str() {
                    "database" | "schema" => Some(Ok((session.database.clone(), ColumnType::Text))),
                    "version" => text(SERVER_VERSION.to_owned()),
                    "user" | "session_user" => {
                        let host = session.address.as_deref().unwrap_or("%");
                        text(format!("'{}'@'{host}'", session.user))
                    }
                    "current_user" => text(identity_of(session).to_string()),
                    "connection_id" => {
                        Some(Ok((Some(session.connection_id.to_string()), ColumnType::BigInt)))
                    }
                    "current_catalog" => text("internal".to_owned()),
                    _ => None,
                }
            }
            TokenKind::Quoted(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => None,
        }
    }

    /// `@@[session.|global.]name`, or `@name`.
    fn variable(&mut self, cluster: &ClusterInner, session: &Session) -> Option<SqlResult<Typed>> {
        let mut system = self.symbol('@');
        let mut name = self.name()?;
        if let Some(bare) = name.strip_prefix("@@") {
            system = true;
            name = bare.to_owned();
        }
        let name_of_user = name.trim_start_matches('@').to_ascii_lowercase();
        let mut global = name.to_ascii_lowercase().starts_with("global.");
        if self.symbol('.') {
            global = name.eq_ignore_ascii_case("global");
            name = self.name()?;
        }
        let name = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        if !system {
            let value = session.user_variables.get(&name_of_user).cloned().unwrap_or_default();
            let column_type = match value.text.as_deref() {
                Some(number) if value.is_number && number.parse::<i64>().is_ok() => ColumnType::BigInt,
                Some(number) if value.is_number && number.contains(['e', 'E']) => ColumnType::Double,
                Some(_) if value.is_number => ColumnType::Decimal,
                Some(_) | None => ColumnType::Text,
            };
            return Some(Ok((value.text, column_type)));
        }
        let value =
            if global { global_value(cluster, &name) } else { current_value(cluster, session, &name) };
        let Some(value) = value else {
            return Some(Err(unknown_variable(&name)));
        };
        let value = as_number(value);
        let numeric = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let column_type = if numeric { ColumnType::BigInt } else { ColumnType::Text };
        debug_assert!(self.at < self.tokens.len() && self.previous_end() <= self.text.len());
        Some(Ok((Some(value), column_type)))
    }
}

fn unknown_variable(name: &str) -> SqlError {
    let stem = name.split('_').next().unwrap_or(name);
    let similar: Vec<&str> =
        DEFAULTS.iter().map(|(key, _)| *key).filter(|key| key.split('_').any(|part| part == stem)).collect();
    let message =
        format!("Unknown system variable '{name}',the similar variables are {{{}}}", similar.join(", "));
    SqlError { code: 1193, state: "HY000", message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ClusterOptions;

    fn select_row(text: &str) -> Option<Vec<Option<String>>> {
        let cluster = ClusterInner::new(ClusterOptions::default());
        let session = Session { user: "root".to_owned(), connection_id: 7, ..Session::default() };
        select(&cluster, &session, text).map(|result| result.unwrap().rows.remove(0))
    }

    #[test]
    fn defaults_are_sorted_for_the_search() {
        assert!(DEFAULTS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn start_up_selects_are_answered() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            select_row("SELECT @@socket, @@max_allowed_packet, @@wait_timeout"),
            Some(vec![some(""), some("16777216"), some("28800")])
        );
        assert_eq!(
            select_row("select @@version_comment limit 1"),
            Some(vec![some("doris-3.1.0-rc02-minidoris")])
        );
        assert_eq!(select_row("select @@session.autocommit as a, 1;"), Some(vec![some("1"), some("1")]));
        assert_eq!(select_row("select database(), connection_id()"), Some(vec![None, some("7")]));
        assert_eq!(select_row("select 1 from t"), None);
        assert_eq!(select_row("select a"), None);
    }

    #[test]
    fn an_unknown_variable_is_named_in_the_error() {
        let cluster = ClusterInner::new(ClusterOptions::default());
        let error = select(&cluster, &Session::default(), "select @@net_nothing").unwrap().unwrap_err();
        assert_eq!(error.code, 1193);
        assert!(error.message.contains("net_read_timeout"), "{error}");
    }
}
