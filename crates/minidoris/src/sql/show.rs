//! SHOW statements and what may follow each of them.

use super::lexer::TokenKind;
use super::parser::Parser;
use super::show_ast::{AlterJobKind, Condition, Operator, OrderBy, Predicate, Show, ShowFilter, ShowKind};
use crate::error::SqlResult;

/// Statements that never have rows here: leading words and Doris's columns.
const EMPTY: [(&[&str], &[&str]); 12] = [
    (&["warnings"], &["Level", "Code", "Message"]),
    (&["errors"], &["Level", "Code", "Message"]),
    (&["load"], &["JobId", "Label", "State", "Progress", "Type", "EtlInfo", "TaskInfo", "ErrorMsg"]),
    (&["routine", "load"], &["Id", "Name", "CreateTime", "State"]),
    (&["export"], &["JobId", "Label", "State", "Progress"]),
    (&["plugins"], &["Name", "Type", "Description", "Version", "Status"]),
    (&["triggers"], &["Trigger", "Event", "Table", "Statement", "Timing", "Created"]),
    (&["events"], &["Db", "Name", "Definer", "Time", "Type"]),
    (&["procedure", "status"], &["Db", "Name", "Type", "Definer", "Modified", "Created"]),
    (&["status"], &["Variable_name", "Value"]),
    (&["open", "tables"], &["Database", "Table", "In_use", "Name_locked"]),
    (&["broker"], &["Name", "Host", "Port", "Alive", "LastStartTime", "LastUpdateTime", "ErrMsg"]),
];

fn constant(columns: &[&'static str], rows: &[&[&'static str]]) -> ShowKind {
    ShowKind::Constant { columns: columns.to_vec(), rows: rows.iter().map(|row| row.to_vec()).collect() }
}

impl Parser<'_> {
    pub(super) fn show(&mut self) -> SqlResult<Show> {
        self.expect_word("show")?;
        let kind = self.show_kind()?;
        let filter = self.show_filter()?;
        Ok(Show { kind, filter })
    }

    fn show_kind(&mut self) -> SqlResult<ShowKind> {
        if self.accept_word("databases") || self.accept_word("schemas") {
            self.optional_from()?;
            return Ok(ShowKind::Databases);
        }
        if self.accept_word("create") {
            return self.show_create();
        }
        if self.accept_word("alter") {
            return self.show_alter();
        }
        if self.accept_word("catalogs") {
            return Ok(constant(
                &["CatalogId", "CatalogName", "Type", "IsCurrent", "CreateTime", "LastUpdateTime", "Comment"],
                &[&["0", "internal", "internal", "yes", "UNRECORDED", "NULL", "Doris internal catalog"]],
            ));
        }
        if let Some((words, columns)) = EMPTY.iter().find(|(words, _)| self.at_words(words)) {
            self.accept_words(words);
            self.optional_from()?;
            return Ok(constant(columns, &[]));
        }
        if let Some(functions) = self.show_functions()? {
            return Ok(functions);
        }
        if self.accept_word("resources") {
            return Ok(ShowKind::Resources);
        }
        if self.accept_words(&["storage", "policy"]) {
            return Ok(ShowKind::StoragePolicies);
        }
        if self.accept_words(&["dynamic", "partition", "tables"]) {
            return Ok(ShowKind::DynamicPartitions { db: self.optional_from()? });
        }
        let full = self.accept_word("full");
        if self.accept_word("tables") {
            return Ok(ShowKind::Tables { full, db: self.optional_from()? });
        }
        if self.accept_word("columns") || self.accept_word("fields") {
            return Ok(ShowKind::Columns { full, table: self.table_in_from()? });
        }
        if self.accept_word("views") {
            return Ok(ShowKind::Views { db: self.optional_from()? });
        }
        if self.accept_word("processlist") {
            return Ok(ShowKind::ProcessList { full });
        }
        if self.accept_words(&["table", "status"]) {
            return Ok(ShowKind::TableStatus { db: self.optional_from()? });
        }
        if self.accept_word("table") {
            return Ok(ShowKind::TableById(self.integer()?));
        }
        if self.accept_word("view") {
            return Ok(ShowKind::ViewsOf(self.table_in_from()?));
        }
        if self.accept_word("partitions") {
            return Ok(ShowKind::Partitions { temporary: false, table: self.table_in_from()? });
        }
        if self.accept_words(&["temporary", "partitions"]) {
            return Ok(ShowKind::Partitions { temporary: true, table: self.table_in_from()? });
        }
        if self.accept_word("tablets") {
            return Ok(ShowKind::Tablets(self.table_in_from()?));
        }
        if self.accept_word("tablet") {
            return Ok(ShowKind::Tablet(self.integer()?));
        }
        if self.accept_word("index")
            || self.accept_word("indexes")
            || self.accept_word("key")
            || self.accept_word("keys")
        {
            return Ok(ShowKind::Index(self.table_in_from()?));
        }
        if self.accept_word("data") {
            let table = if self.accept_word("from") { Some(self.table_name()?) } else { None };
            return Ok(ShowKind::Data { table });
        }
        self.show_cluster()
    }

    /// `[GLOBAL] [FULL] [BUILTIN] FUNCTIONS [FROM d]`; `None`, and no step, when something else follows.
    fn show_functions(&mut self) -> SqlResult<Option<ShowKind>> {
        let start = self.position();
        let is_global = self.accept_word("global");
        let is_full = self.accept_word("full");
        let is_builtin = self.accept_word("builtin");
        if !self.accept_word("functions") {
            self.rewind(start);
            return Ok(None);
        }
        let db = self.optional_from()?;
        Ok(Some(if is_builtin {
            constant(&["Function Name"], &[])
        } else {
            ShowKind::Functions { is_global, is_full, db }
        }))
    }

    fn show_cluster(&mut self) -> SqlResult<ShowKind> {
        if self.accept_word("frontends") {
            return Ok(ShowKind::Frontends);
        }
        if self.accept_word("backends") {
            return Ok(ShowKind::Backends);
        }
        if self.accept_word("proc") {
            return Ok(ShowKind::Proc(self.text()?));
        }
        if self.accept_words(&["frontend", "config"]) {
            return Ok(ShowKind::FrontendConfig);
        }
        if self.accept_words(&["backend", "config"]) {
            // FROM may stand before or behind LIKE.
            let backend = if self.accept_word("from") { Some(self.integer()?) } else { None };
            return Ok(ShowKind::BackendConfig { backend });
        }
        if self.accept_words(&["build", "index"]) {
            return Ok(ShowKind::BuildIndex { db: self.optional_from()? });
        }
        if self.accept_word("transaction") || self.accept_word("transactions") {
            return Ok(ShowKind::Transaction { db: self.optional_from()? });
        }
        if self.accept_word("backup") {
            return Ok(ShowKind::Backup { db: self.optional_from()? });
        }
        let brief = self.accept_word("brief");
        if self.accept_word("restore") {
            return Ok(ShowKind::Restore { db: self.optional_from()?, brief });
        }
        if self.accept_word("repositories") {
            return Ok(ShowKind::Repositories);
        }
        if self.accept_word("snapshot") {
            self.expect_word("on")?;
            return Ok(ShowKind::Snapshot { repository: self.name_or_text()? });
        }
        if self.accept_words(&["catalog", "recycle", "bin"]) {
            return Ok(ShowKind::CatalogRecycleBin);
        }
        let global = self.accept_word("global");
        if !global {
            let _ = self.accept_word("session") || self.accept_word("local");
        }
        if self.accept_word("variables") {
            return Ok(ShowKind::Variables { global });
        }
        if self.accept_word("status") {
            return Ok(constant(&["Variable_name", "Value"], &[]));
        }
        if self.accept_words(&["all", "grants"]) {
            return Ok(ShowKind::Grants { all: true, user: None });
        }
        if self.accept_word("grants") {
            let user = if self.accept_word("for") { Some(self.user()?) } else { None };
            return Ok(ShowKind::Grants { all: false, user });
        }
        if self.accept_word("roles") {
            return Ok(ShowKind::Roles);
        }
        if self.at_word("engines")
            || self.at_word("storage")
            || self.at_word("collation")
            || self.at_word("character")
            || self.at_word("charset")
        {
            return self.show_constant();
        }
        Err(self.unexpected(
            "{'ALTER', 'BACKENDS', 'BACKUP', 'COLUMNS', 'CREATE', 'DATABASES', 'FRONTENDS', 'TABLES', …}",
        ))
    }

    fn show_constant(&mut self) -> SqlResult<ShowKind> {
        if self.accept_word("collation") {
            return Ok(constant(
                &["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"],
                &[&["utf8mb4_0900_bin", "utf8mb4", "309", "Yes", "Yes", "1"]],
            ));
        }
        if self.accept_words(&["character", "set"]) || self.accept_word("charset") {
            return Ok(constant(
                &["Charset", "Description", "Default collation", "Maxlen"],
                &[&["utf8mb4", "utf8mb4", "utf8mb4_0900_bin", "4"]],
            ));
        }
        self.accept_word("storage");
        self.expect_word("engines")?;
        Ok(constant(
            &["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"],
            &[&["Olap engine", "YES", "Default storage engine of palo", "NO", "NO", "NO"]],
        ))
    }

    fn show_create(&mut self) -> SqlResult<ShowKind> {
        if self.accept_word("database") || self.accept_word("schema") {
            return Ok(ShowKind::CreateDatabase(self.table_name()?.name));
        }
        if self.accept_word("view") {
            return Ok(ShowKind::CreateView(self.table_name()?));
        }
        if let Some((_, is_global)) = self.function_words() {
            let mut function = self.function_name(is_global)?;
            if let Some(db) = self.optional_from()? {
                function.db = Some(db);
            }
            return Ok(ShowKind::CreateFunction(function));
        }
        if self.accept_words(&["repository", "for"]) {
            return Ok(ShowKind::CreateRepository(self.name_or_text()?));
        }
        if self.accept_words(&["materialized", "view"]) {
            let view = self.table_name()?;
            if self.accept_word("on") {
                return Ok(ShowKind::CreateMaterializedView { view: view.name, table: self.table_name()? });
            }
            return Ok(ShowKind::CreateAsyncView(view));
        }
        self.accept_word("brief");
        self.expect_word("table")?;
        Ok(ShowKind::CreateTable(self.table_name()?))
    }

    fn show_alter(&mut self) -> SqlResult<ShowKind> {
        self.expect_word("table")?;
        let kind = if self.accept_word("column") {
            AlterJobKind::Column
        } else if self.accept_word("rollup") {
            AlterJobKind::Rollup
        } else {
            self.expect_word("materialized")?;
            self.expect_word("view")?;
            AlterJobKind::MaterializedView
        };
        Ok(ShowKind::AlterTable { kind, db: self.optional_from()? })
    }

    /// `FROM t [FROM d]`.
    fn table_in_from(&mut self) -> SqlResult<super::ast::TableName> {
        if !self.accept_word("in") {
            self.expect_word("from")?;
        }
        let mut table = self.table_name()?;
        if self.accept_word("from") || self.accept_word("in") {
            table.db = Some(self.table_name()?.name);
        }
        Ok(table)
    }

    fn show_filter(&mut self) -> SqlResult<ShowFilter> {
        let mut filter = ShowFilter::default();
        if self.accept_word("like") {
            filter.like = Some(self.text()?);
        }
        if self.accept_word("from") {
            // ADMIN SHOW BACKEND CONFIG LIKE 'p' FROM be: the pattern narrows enough for one backend.
            let value = self.integer()?.to_string();
            let (column, operator) = ("BackendId".to_owned(), Operator::Equal);
            filter.predicate =
                Some(Predicate::Compare(Condition { column, operator, value, is_text: false }));
        }
        if self.accept_word("where") {
            filter.predicate = Some(self.alternatives()?);
        }
        if self.accept_words(&["order", "by"]) {
            loop {
                let column = self.name_or_text()?;
                let descending = self.accept_word("desc");
                if !descending {
                    self.accept_word("asc");
                }
                filter.order_by.push(OrderBy { column, descending });
                if !self.accept_symbol(',') {
                    break;
                }
            }
        }
        if self.accept_word("limit") {
            let first = self.count()?;
            filter.limit = Some(if self.accept_symbol(',') {
                (first, self.count()?)
            } else if self.accept_word("offset") {
                (self.count()?, first)
            } else {
                (0, first)
            });
        }
        Ok(filter)
    }

    fn count(&mut self) -> SqlResult<usize> {
        let number = self.integer()?;
        usize::try_from(number).map_err(|_| self.unexpected("INTEGER_VALUE"))
    }

    fn alternatives(&mut self) -> SqlResult<Predicate> {
        let first = self.conjunction()?;
        if !self.at_word("or") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.accept_word("or") {
            parts.push(self.conjunction()?);
        }
        Ok(Predicate::Any(parts))
    }

    fn conjunction(&mut self) -> SqlResult<Predicate> {
        let first = self.negation()?;
        if !self.at_word("and") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.accept_word("and") {
            parts.push(self.negation()?);
        }
        Ok(Predicate::All(parts))
    }

    fn negation(&mut self) -> SqlResult<Predicate> {
        if self.accept_word("not") {
            return Ok(Predicate::Not(Box::new(self.negation()?)));
        }
        if self.accept_symbol('(') {
            let inner = self.alternatives()?;
            self.expect_symbol(')')?;
            return Ok(inner);
        }
        self.condition()
    }

    fn condition(&mut self) -> SqlResult<Predicate> {
        let column = self.name_or_text()?;
        if self.accept_word("is") {
            let negated = self.accept_word("not");
            self.expect_word("null")?;
            return Ok(Predicate::IsNull { column, negated });
        }
        let negated = self.at_words(&["not", "in"]);
        if negated {
            self.advance();
        }
        if self.accept_word("in") {
            self.expect_symbol('(')?;
            let values = self.comma_list(')', |parser| Ok(parser.compared()?.0))?;
            return Ok(Predicate::In { column, values, negated });
        }
        let operator = self.operator()?;
        let (value, is_text) = self.compared()?;
        Ok(Predicate::Compare(Condition { column, operator, value, is_text }))
    }

    /// A value, and whether it is a text.
    fn compared(&mut self) -> SqlResult<(String, bool)> {
        match self.peek().kind.clone() {
            TokenKind::Text(value) | TokenKind::Word(value) | TokenKind::Quoted(value) => {
                self.advance();
                Ok((value, true))
            }
            TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => {
                Ok((self.integer()?.to_string(), false))
            }
        }
    }

    fn operator(&mut self) -> SqlResult<Operator> {
        if self.accept_word("like") {
            return Ok(Operator::Like);
        }
        if self.accept_words(&["not", "like"]) {
            return Ok(Operator::NotLike);
        }
        if self.accept_symbol('=') {
            self.accept_symbol('=');
            return Ok(Operator::Equal);
        }
        if self.accept_symbol('!') {
            self.expect_symbol('=')?;
            return Ok(Operator::NotEqual);
        }
        if self.accept_symbol('<') {
            if self.accept_symbol('>') {
                return Ok(Operator::NotEqual);
            }
            return Ok(if self.accept_symbol('=') { Operator::LessOrEqual } else { Operator::Less });
        }
        self.expect_symbol('>')?;
        Ok(if self.accept_symbol('=') { Operator::GreaterOrEqual } else { Operator::Greater })
    }
}
