//! Statements about asynchronous materialised views.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ast::{AlterOperation, AlterTable, Properties, Statement, TableName};
use super::parser::Parser;
use crate::error::SqlResult;
use crate::model::Distribution;

#[derive(Debug, Clone, PartialEq)]
pub enum AsyncViewStatement {
    Create(Box<CreateAsyncView>),
    Refresh {
        view: TableName,
        how: RefreshRequest,
    },
    Pause(TableName),
    Resume(TableName),
    CancelTask {
        view: TableName,
        task_id: i64,
    },
    Rename {
        view: TableName,
        new_name: String,
    },
    /// ALTER … REFRESH: what is named changes.
    Reschedule {
        view: TableName,
        method: Option<RefreshMethod>,
        trigger: Option<RefreshTrigger>,
    },
    Set {
        view: TableName,
        properties: Properties,
    },
    Drop {
        view: TableName,
        if_exists: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateAsyncView {
    pub view: TableName,
    pub if_not_exists: bool,
    /// Name and comment; empty when the query names the columns.
    pub columns: Vec<(String, String)>,
    pub refresh: RefreshInfo,
    /// Of DUPLICATE KEY; empty when not given.
    pub keys: Vec<String>,
    pub comment: String,
    /// As written between the parentheses.
    pub partition_by: Option<String>,
    pub distribution: Option<Distribution>,
    pub properties: Properties,
    pub query: String,
}

/// When and how a view is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshInfo {
    /// BUILD IMMEDIATE, not DEFERRED.
    pub is_immediate: bool,
    pub method: RefreshMethod,
    pub trigger: RefreshTrigger,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshMethod {
    Complete,
    /// Only when a base table has changed.
    Auto,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshTrigger {
    Manual,
    /// After every load of a base table.
    Commit,
    Schedule {
        every: i64,
        /// `MINUTE`, `HOUR`, `DAY` or `WEEK`.
        unit: String,
        starts: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshRequest {
    Method(RefreshMethod),
    Partitions(Vec<String>),
}

impl fmt::Display for RefreshMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "COMPLETE",
            Self::Auto => "AUTO",
        })
    }
}

impl fmt::Display for RefreshInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = if self.is_immediate { "IMMEDIATE" } else { "DEFERRED" };
        write!(f, "BUILD {build} REFRESH {} ON ", self.method)?;
        match &self.trigger {
            RefreshTrigger::Manual => f.write_str("MANUAL"),
            RefreshTrigger::Commit => f.write_str("COMMIT"),
            RefreshTrigger::Schedule { every, unit, starts } => {
                write!(f, "SCHEDULE EVERY {every} {unit}")?;
                starts.as_ref().map_or(Ok(()), |starts| write!(f, " STARTS \"{starts}\""))
            }
        }
    }
}

impl Parser<'_> {
    /// At MATERIALIZED VIEW behind CREATE. A synchronous one has nothing between its name and AS but
    /// properties.
    pub(super) fn create_materialized_view(&mut self) -> SqlResult<Statement> {
        self.expect_word("materialized")?;
        self.expect_word("view")?;
        let if_not_exists = self.if_not_exists();
        let view = self.table_name()?;
        let columns = self.view_columns()?;
        let mut is_async = !columns.is_empty();
        let mut is_immediate = true;
        if self.accept_word("build") {
            is_async = true;
            is_immediate = self.accept_word("immediate");
            if !is_immediate {
                self.expect_word("deferred")?;
            }
        }
        let (mut method, mut trigger) = (None, None);
        if self.accept_word("refresh") {
            is_async = true;
            (method, trigger) = self.refresh_clause()?;
        }
        let mut keys = Vec::new();
        if self.accept_words(&["duplicate", "key"]) || self.accept_word("key") {
            is_async = true;
            keys = self.name_list()?;
        }
        let comment = self.optional_comment()?;
        let mut partition_by = None;
        if self.accept_words(&["partition", "by"]) {
            is_async = true;
            partition_by = Some(self.parenthesised_text()?);
        }
        let distribution = self.optional_distribution()?;
        is_async |= distribution.is_some();
        let properties = self.optional_properties()?;
        self.expect_word("as")?;
        let query = self.rest_text();
        if !is_async {
            let text = self.sql.trim().trim_end_matches(';').to_owned();
            return Ok(Statement::CreateMaterializedView { name: view, if_not_exists, query, text });
        }
        let refresh = RefreshInfo {
            is_immediate,
            method: method.unwrap_or(RefreshMethod::Auto),
            trigger: trigger.unwrap_or(RefreshTrigger::Manual),
        };
        Ok(Statement::AsyncView(AsyncViewStatement::Create(Box::new(CreateAsyncView {
            view,
            if_not_exists,
            columns,
            refresh,
            keys,
            comment,
            partition_by,
            distribution,
            properties,
            query,
        }))))
    }

    /// `[COMPLETE | AUTO] [ON MANUAL | COMMIT | SCHEDULE EVERY n unit [STARTS "time"]]`.
    fn refresh_clause(&mut self) -> SqlResult<(Option<RefreshMethod>, Option<RefreshTrigger>)> {
        let method = self.refresh_method();
        if !self.accept_word("on") {
            return Ok((method, None));
        }
        if self.accept_word("manual") {
            return Ok((method, Some(RefreshTrigger::Manual)));
        }
        if self.accept_word("commit") {
            return Ok((method, Some(RefreshTrigger::Commit)));
        }
        self.expect_word("schedule")?;
        self.expect_word("every")?;
        let every = self.integer()?;
        let unit = ["minute", "hour", "day", "week"].into_iter().find(|unit| self.accept_word(unit));
        let Some(unit) = unit else { return Err(self.unexpected("{'DAY', 'HOUR', 'MINUTE', 'WEEK'}")) };
        let starts = if self.accept_word("starts") { Some(self.text()?) } else { None };
        Ok((method, Some(RefreshTrigger::Schedule { every, unit: unit.to_uppercase(), starts })))
    }

    fn refresh_method(&mut self) -> Option<RefreshMethod> {
        if self.accept_word("complete") {
            return Some(RefreshMethod::Complete);
        }
        self.accept_word("auto").then_some(RefreshMethod::Auto)
    }

    /// `REFRESH MATERIALIZED VIEW v AUTO | COMPLETE | PARTITIONS (…)`; other REFRESH statements are about
    /// external catalogs.
    pub(super) fn refresh(&mut self) -> SqlResult<Statement> {
        if !self.peek_at(1).is_word("materialized") {
            return Ok(self.accepted());
        }
        self.advance();
        self.expect_word("materialized")?;
        self.expect_word("view")?;
        let view = self.table_name()?;
        let how = match self.refresh_method() {
            Some(method) => RefreshRequest::Method(method),
            None => match self.optional_partitions()? {
                Some(names) => RefreshRequest::Partitions(names),
                None => return Err(self.unexpected("{'AUTO', 'COMPLETE', 'PARTITION', 'PARTITIONS'}")),
            },
        };
        Ok(Statement::AsyncView(AsyncViewStatement::Refresh { view, how }))
    }

    /// `PAUSE | RESUME MATERIALIZED VIEW JOB ON v`.
    pub(super) fn pause_or_resume(&mut self) -> SqlResult<Statement> {
        if !self.peek_at(1).is_word("materialized") {
            return Ok(self.accepted());
        }
        let pauses = self.accept_word("pause");
        if !pauses {
            self.expect_word("resume")?;
        }
        for word in ["materialized", "view", "job", "on"] {
            self.expect_word(word)?;
        }
        let view = self.table_name()?;
        Ok(Statement::AsyncView(match pauses {
            true => AsyncViewStatement::Pause(view),
            false => AsyncViewStatement::Resume(view),
        }))
    }

    /// `TASK n ON v`, behind `CANCEL MATERIALIZED VIEW`.
    pub(super) fn cancel_view_task(&mut self) -> SqlResult<Statement> {
        self.expect_word("task")?;
        let task_id = self.integer()?;
        self.expect_word("on")?;
        Ok(Statement::AsyncView(AsyncViewStatement::CancelTask { view: self.table_name()?, task_id }))
    }

    /// `v RENAME n | REFRESH … | SET (…)`, behind `ALTER MATERIALIZED VIEW`.
    pub(super) fn alter_async_view(&mut self) -> SqlResult<Statement> {
        let view = self.table_name()?;
        let statement = if self.accept_word("rename") {
            AsyncViewStatement::Rename { view, new_name: self.name()? }
        } else if self.accept_word("refresh") {
            let (method, trigger) = self.refresh_clause()?;
            AsyncViewStatement::Reschedule { view, method, trigger }
        } else if self.accept_word("set") {
            AsyncViewStatement::Set { view, properties: self.property_list()? }
        } else if self.accept_words(&["replace", "with", "materialized", "view"]) {
            // Two tables change their names, whatever they hold.
            let with = self.name()?;
            let properties = self.optional_properties()?;
            let swap = properties.get("swap").is_none_or(|swap| !swap.eq_ignore_ascii_case("false"));
            let operations = vec![AlterOperation::ReplaceTable { with, swap, force: false }];
            return Ok(Statement::AlterTable(AlterTable { table: view, operations }));
        } else {
            return Err(self.unexpected("{'REFRESH', 'RENAME', 'REPLACE', 'SET'}"));
        };
        Ok(Statement::AsyncView(statement))
    }

    /// At MATERIALIZED VIEW behind DROP. With ON it drops a synchronous view, a rollup of that table.
    pub(super) fn drop_materialized_view(&mut self) -> SqlResult<Statement> {
        self.expect_word("materialized")?;
        self.expect_word("view")?;
        let if_exists = self.if_exists();
        let view = self.table_name()?;
        if !self.accept_word("on") {
            return Ok(Statement::AsyncView(AsyncViewStatement::Drop { view, if_exists }));
        }
        let table = self.table_name()?;
        let operations = vec![AlterOperation::DropRollup { names: vec![view.name], if_exists }];
        Ok(Statement::AlterTable(AlterTable { table, operations }))
    }
}
