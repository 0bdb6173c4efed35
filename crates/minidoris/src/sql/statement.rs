//! The first words of a statement decide who parses the rest; short statements are parsed here.

use super::ast::{
    CreateResource, CreateTableLike, CreateView, Query, QueryKind, Recover, ResourceKind, SetItem, SetScope,
    Statement, TableName, Truncate,
};
use super::lexer::TokenKind;
use super::parser::Parser;
use super::show_ast::{Show, ShowFilter, ShowKind};
use crate::error::{SqlError, SqlResult};

const EXPECTED: &str =
    "{'ALTER', 'BACKUP', 'CANCEL', 'CREATE', 'DELETE', 'DROP', 'INSERT', 'SELECT', 'SHOW', 'USE', …}";

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> SqlResult<Statement> {
        let word = match &self.peek().kind {
            TokenKind::Symbol('(') => return Ok(self.query(QueryKind::Select)),
            TokenKind::Word(word) => word.to_ascii_lowercase(),
            TokenKind::Quoted(_)
            | TokenKind::Text(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_)
            | TokenKind::End => return Err(self.unexpected(EXPECTED)),
        };
        match word.as_str() {
            "select" | "with" | "values" => Ok(self.query(QueryKind::Select)),
            "insert" => Ok(self.query(QueryKind::Insert)),
            "delete" => Ok(self.query(QueryKind::Delete)),
            "update" => Ok(self.query(QueryKind::Update)),
            "explain" => Ok(self.query(QueryKind::Explain)),
            "create" => self.create(),
            "drop" => self.drop(),
            "alter" => self.alter(),
            "truncate" => self.truncate(),
            "recover" => self.recover(),
            "show" => self.show().map(Statement::Show),
            "desc" | "describe" => self.describe(),
            "use" => self.use_database(),
            "set" => self.set(),
            "admin" => self.admin(),
            "backup" => self.backup(),
            "restore" => self.restore(),
            "cancel" => self.cancel(),
            "build" => self.build_index(),
            "begin" | "start" => {
                self.advance();
                let label = if self.accept_words(&["with", "label"]) { Some(self.name()?) } else { None };
                self.rest_text();
                Ok(Statement::Begin { label })
            }
            "commit" => {
                self.rest_text();
                Ok(Statement::Commit)
            }
            "rollback" => {
                self.rest_text();
                Ok(Statement::Rollback)
            }
            "sync" => {
                self.advance();
                Ok(Statement::Sync)
            }
            "grant" => self.grant(false),
            "revoke" => self.grant(true),
            "refresh" => self.refresh(),
            "pause" | "resume" => self.pause_or_resume(),
            "kill" => self.kill(),
            "analyze" | "unset" | "clean" | "stop" | "lock" | "unlock" | "install" | "uninstall" | "warm" => {
                Ok(self.accepted())
            }
            _ => Err(self.unexpected(EXPECTED)),
        }
    }

    fn query(&mut self, kind: QueryKind) -> Statement {
        Statement::Query(Query { kind, text: self.rest_text() })
    }

    /// `KILL [CONNECTION | QUERY] n`. A query that is named by its text id is over when it could be asked for.
    fn kill(&mut self) -> SqlResult<Statement> {
        if !matches!(self.peek_at(1).kind, TokenKind::Number(_))
            && !matches!(self.peek_at(2).kind, TokenKind::Number(_))
        {
            return Ok(self.accepted());
        }
        self.advance();
        let only_query = self.accept_word("query");
        if !only_query {
            self.accept_word("connection");
        }
        let id = self.integer()?;
        Ok(Statement::Kill { id: u32::try_from(id).unwrap_or(u32::MAX), only_query })
    }

    /// A statement that is taken as it is; its first two words name it.
    pub(super) fn accepted(&mut self) -> Statement {
        let text = self.rest_text();
        Statement::Accepted(text.split_whitespace().take(2).collect::<Vec<_>>().join(" ").to_uppercase())
    }

    fn create(&mut self) -> SqlResult<Statement> {
        let start = self.position();
        self.expect_word("create")?;
        let or_replace = self.accept_words(&["or", "replace"]);
        if self.at_words(&["temporary", "table"]) {
            self.advance();
            self.advance();
            let Statement::CreateTable(mut create) = self.create_table()? else {
                return Err(SqlError::general("a temporary table is not created like another one"));
            };
            create.temporary = true;
            return Ok(Statement::CreateTable(create));
        }
        let external = self.accept_word("external");
        if self.accept_word("database") || self.accept_word("schema") {
            let if_not_exists = self.if_not_exists();
            let name = self.database_name()?;
            return Ok(Statement::CreateDatabase {
                name,
                if_not_exists,
                properties: self.optional_properties()?,
            });
        }
        if self.accept_word("table") {
            return self.create_table();
        }
        if self.accept_word("view") {
            return self.view(or_replace).map(Statement::CreateView);
        }
        if self.accept_word("user") {
            return self.create_user();
        }
        if self.accept_word("role") {
            return self.create_role();
        }
        if self.accept_word("index") {
            return self.create_index();
        }
        if self.at_words(&["materialized", "view"]) && !external {
            return self.create_materialized_view();
        }
        let is_read_only = self.accept_words(&["read", "only"]);
        if self.accept_word("repository") {
            return self.create_repository(is_read_only);
        }
        if let Some((kind, is_global)) = self.function_words() {
            return self.create_function(&kind, is_global);
        }
        if let Some(kind) = self.resource_kind() {
            let if_not_exists = self.if_not_exists();
            let name = self.name_or_text()?;
            let properties = self.optional_properties()?;
            return Ok(Statement::CreateResource(CreateResource { kind, name, if_not_exists, properties }));
        }
        self.rewind(start);
        if [
            "catalog",
            "workload",
            "encryptkey",
            "job",
            "sql_block_rule",
            "row",
            "file",
            "stage",
            "dictionary",
        ]
        .iter()
        .any(|word| self.peek_at(1).is_word(word))
        {
            return Ok(self.accepted());
        }
        self.advance();
        Err(self.unexpected("{'DATABASE', 'INDEX', 'MATERIALIZED', 'TABLE', 'USER', 'VIEW', …}"))
    }

    fn drop(&mut self) -> SqlResult<Statement> {
        let start = self.position();
        self.expect_word("drop")?;
        if self.accept_word("database") || self.accept_word("schema") {
            let if_exists = self.if_exists();
            let name = self.database_name()?;
            return Ok(Statement::DropDatabase { name, if_exists, force: self.accept_word("force") });
        }
        if self.accept_word("table") {
            let if_exists = self.if_exists();
            let table = self.table_name()?;
            return Ok(Statement::DropTable { table, if_exists, force: self.accept_word("force") });
        }
        if self.accept_word("view") {
            let if_exists = self.if_exists();
            return Ok(Statement::DropView { view: self.table_name()?, if_exists });
        }
        if self.accept_word("user") {
            return self.drop_user();
        }
        if self.accept_word("role") {
            return self.drop_role();
        }
        if self.accept_word("index") {
            return self.drop_index();
        }
        if self.at_words(&["materialized", "view"]) {
            return self.drop_materialized_view();
        }
        if self.accept_word("repository") {
            return self.drop_repository();
        }
        if let Some((_, is_global)) = self.function_words() {
            return self.drop_function(is_global);
        }
        if let Some(kind) = self.resource_kind() {
            let if_exists = self.if_exists();
            return Ok(Statement::DropResource { kind, name: self.name_or_text()?, if_exists });
        }
        self.rewind(start);
        if [
            "catalog",
            "workload",
            "encryptkey",
            "job",
            "sql_block_rule",
            "row",
            "file",
            "stats",
            "analyze",
            "stage",
            "dictionary",
        ]
        .iter()
        .any(|word| self.peek_at(1).is_word(word))
        {
            return Ok(self.accepted());
        }
        self.advance();
        Err(self.unexpected("{'DATABASE', 'INDEX', 'MATERIALIZED', 'TABLE', 'USER', 'VIEW', …}"))
    }

    fn alter(&mut self) -> SqlResult<Statement> {
        let start = self.position();
        self.expect_word("alter")?;
        if self.accept_word("database") || self.accept_word("schema") {
            let name = self.database_name()?;
            if self.accept_word("rename") {
                return Ok(Statement::RenameDatabase { name, new_name: self.name()? });
            }
            self.expect_word("set")?;
            if self.accept_word("properties") {
                return Ok(Statement::AlterDatabaseProperties { name, properties: self.property_list()? });
            }
            if self.accept_words(&["transaction", "quota"]) {
                return Ok(Statement::SetTransactionQuota { name, quota: self.integer()? });
            }
            return Ok(self.accepted());
        }
        if self.accept_word("table") {
            return self.alter_table();
        }
        if self.accept_word("view") {
            return self.alter_view().map(Statement::AlterView);
        }
        if self.accept_word("user") {
            return self.alter_user();
        }
        if self.accept_words(&["materialized", "view"]) {
            return self.alter_async_view();
        }
        if self.accept_word("repository") {
            return self.alter_repository();
        }
        if self.accept_word("system")
            && let Some(statement) = self.alter_system()?
        {
            return Ok(statement);
        }
        self.rewind(start);
        if [
            "resource",
            "storage",
            "system",
            "catalog",
            "routine",
            "workload",
            "role",
            "job",
            "colocate",
            "sql_block_rule",
        ]
        .iter()
        .any(|word| self.peek_at(1).is_word(word))
        {
            return Ok(self.accepted());
        }
        self.advance();
        Err(self.unexpected("{'DATABASE', 'TABLE', 'VIEW', …}"))
    }

    fn resource_kind(&mut self) -> Option<ResourceKind> {
        if self.accept_word("resource") {
            return Some(ResourceKind::Resource);
        }
        self.accept_words(&["storage", "policy"]).then_some(ResourceKind::StoragePolicy)
    }

    /// `[internal.]d`.
    fn database_name(&mut self) -> SqlResult<String> {
        Ok(self.table_name()?.name)
    }

    pub(super) fn create_table_like(
        &mut self,
        table: TableName,
        if_not_exists: bool,
    ) -> SqlResult<Statement> {
        let source = self.table_name()?;
        let with_rollups = if self.accept_words(&["with", "rollup"]) {
            Some(if self.at_symbol('(') { self.name_list()? } else { Vec::new() })
        } else {
            None
        };
        Ok(Statement::CreateTableLike(CreateTableLike { table, if_not_exists, source, with_rollups }))
    }

    fn view(&mut self, or_replace: bool) -> SqlResult<CreateView> {
        let if_not_exists = self.if_not_exists();
        let view = self.table_name()?;
        let columns = self.view_columns()?;
        let comment = self.optional_comment()?;
        self.expect_word("as")?;
        let query = Some(self.rest_text());
        Ok(CreateView { view, if_not_exists, or_replace, columns, comment, query })
    }

    fn alter_view(&mut self) -> SqlResult<CreateView> {
        let view = self.table_name()?;
        if self.accept_word("modify") {
            self.expect_word("comment")?;
            let comment = self.text()?;
            return Ok(CreateView {
                view,
                if_not_exists: false,
                or_replace: false,
                columns: Vec::new(),
                comment,
                query: None,
            });
        }
        let columns = self.view_columns()?;
        let comment = self.optional_comment()?;
        self.expect_word("as")?;
        let query = Some(self.rest_text());
        Ok(CreateView { view, if_not_exists: false, or_replace: false, columns, comment, query })
    }

    pub(super) fn view_columns(&mut self) -> SqlResult<Vec<(String, String)>> {
        if !self.accept_symbol('(') {
            return Ok(Vec::new());
        }
        self.comma_list(')', |parser| Ok((parser.name()?, parser.optional_comment()?)))
    }

    fn truncate(&mut self) -> SqlResult<Statement> {
        self.expect_word("truncate")?;
        self.expect_word("table")?;
        let table = self.table_name()?;
        let partitions = self.optional_partitions()?;
        Ok(Statement::Truncate(Truncate { table, partitions, force: self.accept_word("force") }))
    }

    /// `PARTITION[S] (a, b)` or `PARTITION a`.
    pub(super) fn optional_partitions(&mut self) -> SqlResult<Option<Vec<String>>> {
        if !self.accept_word("partition") && !self.accept_word("partitions") {
            return Ok(None);
        }
        if self.at_symbol('(') {
            return self.name_list().map(Some);
        }
        Ok(Some(vec![self.name()?]))
    }

    fn recover(&mut self) -> SqlResult<Statement> {
        self.expect_word("recover")?;
        let recover = if self.accept_word("database") {
            let name = self.name()?;
            let (id, new_name) = self.recover_tail()?;
            Recover::Database { name, id, new_name }
        } else if self.accept_word("table") {
            let table = self.table_name()?;
            let (id, new_name) = self.recover_tail()?;
            Recover::Table { table, id, new_name }
        } else {
            self.expect_word("partition")?;
            let partition = self.name()?;
            let (id, new_name) = self.recover_tail()?;
            self.expect_word("from")?;
            Recover::Partition { partition, id, new_name, table: self.table_name()? }
        };
        Ok(Statement::Recover(recover))
    }

    fn recover_tail(&mut self) -> SqlResult<(Option<i64>, Option<String>)> {
        let id = if matches!(self.peek().kind, TokenKind::Number(_)) { Some(self.integer()?) } else { None };
        let new_name = if self.accept_word("as") { Some(self.name()?) } else { None };
        Ok((id, new_name))
    }

    fn use_database(&mut self) -> SqlResult<Statement> {
        self.expect_word("use")?;
        // `d@cluster` names a compute group behind the database.
        let name = self.database_name()?;
        Ok(Statement::Use(name.split('@').next().unwrap_or_default().to_owned()))
    }

    fn describe(&mut self) -> SqlResult<Statement> {
        let start = self.position();
        self.advance();
        if ["select", "with", "insert", "delete", "update"].iter().any(|word| self.at_word(word)) {
            self.rewind(start);
            return Ok(self.query(QueryKind::Explain));
        }
        let _ = self.accept_word("table");
        let table = self.table_name()?;
        let all = self.accept_word("all");
        let kind = ShowKind::Describe { table, all };
        Ok(Statement::Show(Show { kind, filter: ShowFilter::default() }))
    }

    fn set(&mut self) -> SqlResult<Statement> {
        self.expect_word("set")?;
        if self.at_word("password") && !self.peek_at(1).is_symbol('@') {
            self.advance();
            return self.set_password();
        }
        // SET [SESSION | GLOBAL] TRANSACTION …: there is one isolation level.
        if ["session", "global", "local"].iter().any(|scope| self.at_words(&[scope, "transaction"])) {
            self.rest_text();
            return Ok(Statement::Set(Vec::new()));
        }
        if ["names", "property", "transaction", "ldap_admin_password", "default", "character", "charset"]
            .iter()
            .any(|word| self.at_word(word))
            && !self.peek_at(1).is_symbol('=')
        {
            self.rest_text();
            return Ok(Statement::Set(Vec::new()));
        }
        let mut items = Vec::new();
        loop {
            // NAMES may stand among others.
            if self.at_word("names") && !self.peek_at(1).is_symbol('=') {
                self.advance();
                self.set_value()?;
            } else {
                items.push(self.set_item()?);
            }
            if !self.accept_symbol(',') {
                return Ok(Statement::Set(items));
            }
        }
    }

    fn set_item(&mut self) -> SqlResult<SetItem> {
        let mut scope = if self.accept_word("global") { SetScope::Global } else { SetScope::Session };
        let _ = self.accept_word("session") || self.accept_word("local");
        // @`x`, @'x' or @"x".
        let mut name =
            if self.accept_word("@") { format!("@{}", self.name_or_text()?) } else { self.name()? };
        // `@@session.x`, `@@x`, `@x`.
        if self.accept_symbol('.') {
            if name.eq_ignore_ascii_case("@@global") {
                scope = SetScope::Global;
            }
            name = self.name()?;
        } else if let Some(system) = name.strip_prefix("@@") {
            name = system.to_owned();
        } else if let Some(user) = name.strip_prefix('@') {
            scope = SetScope::User;
            name = user.to_owned();
        }
        self.accept_symbol(':');
        self.expect_symbol('=')?;
        let (value, is_text) = self.set_value()?;
        Ok(SetItem { scope, name, value, is_text })
    }

    /// The value up to a comma outside parentheses; a lone string loses its quotes.
    fn set_value(&mut self) -> SqlResult<(String, bool)> {
        if let TokenKind::Text(text) = self.peek().kind.clone()
            && (matches!(self.peek_at(1).kind, TokenKind::End)
                || self.peek_at(1).is_symbol(',')
                || self.peek_at(1).is_symbol(';'))
        {
            self.advance();
            return Ok((text, true));
        }
        let start = self.peek().start;
        let mut end = start;
        let mut depth = 0usize;
        while !self.at_end() && !self.at_symbol(';') && (depth > 0 || !self.at_symbol(',')) {
            let token = self.advance();
            depth += usize::from(token.is_symbol('('));
            depth = depth.saturating_sub(usize::from(token.is_symbol(')')));
            end = token.end;
        }
        if start == end {
            return Err(self.unexpected("a value"));
        }
        Ok((self.sql[start..end].to_owned(), false))
    }

    fn admin(&mut self) -> SqlResult<Statement> {
        let start = self.position();
        self.expect_word("admin")?;
        if self.at_word("show")
            && (self.peek_at(1).is_word("frontend") || self.peek_at(1).is_word("backend"))
            && self.peek_at(2).is_word("config")
        {
            return self.show().map(Statement::Show);
        }
        if self.accept_words(&["set", "frontend", "config"])
            || self.accept_words(&["set", "all", "frontends", "config"])
        {
            let properties = self.property_list()?;
            self.accept_word("all");
            return Ok(Statement::AdminSetFrontendConfig(properties));
        }
        if self.at_word("show") {
            return Err(self.unexpected("{'SET'}"));
        }
        self.rewind(start);
        Ok(self.accepted())
    }
}
