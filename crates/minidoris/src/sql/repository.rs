//! CREATE, ALTER and DROP REPOSITORY.

use serde::{Deserialize, Serialize};

use super::ast::{Properties, Statement};
use super::parser::Parser;
use crate::error::SqlResult;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryStatement {
    Create(CreateRepository),
    Alter { name: String, properties: Properties },
    Drop { name: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRepository {
    pub name: String,
    pub is_read_only: bool,
    pub kind: RepositoryKind,
    pub location: String,
    pub properties: Properties,
}

/// What stores the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepositoryKind {
    S3,
    Hdfs,
    Local,
    /// A broker process of that name.
    Broker(String),
}

impl RepositoryKind {
    /// The word behind WITH, and the column Type of SHOW REPOSITORIES.
    pub fn name(&self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::Hdfs => "HDFS",
            Self::Local => "LOCAL",
            Self::Broker(_) => "BROKER",
        }
    }
}

impl Parser<'_> {
    /// `r WITH kind ON LOCATION "…" [PROPERTIES (…)]`, behind `CREATE [READ ONLY] REPOSITORY`.
    pub(super) fn create_repository(&mut self, is_read_only: bool) -> SqlResult<Statement> {
        let name = self.name_or_text()?;
        self.expect_word("with")?;
        let kind = if self.accept_word("broker") {
            RepositoryKind::Broker(self.name_or_text()?)
        } else if self.accept_word("hdfs") {
            RepositoryKind::Hdfs
        } else if self.accept_word("local") {
            RepositoryKind::Local
        } else if self.accept_word("s3") {
            RepositoryKind::S3
        } else {
            return Err(self.unexpected("{'BROKER', 'HDFS', 'LOCAL', 'S3'}"));
        };
        self.expect_word("on")?;
        self.expect_word("location")?;
        let location = self.text()?;
        let properties = self.optional_properties()?;
        let create = CreateRepository { name, is_read_only, kind, location, properties };
        Ok(Statement::Repository(RepositoryStatement::Create(create)))
    }

    /// `r PROPERTIES (…)`, behind `ALTER REPOSITORY`.
    pub(super) fn alter_repository(&mut self) -> SqlResult<Statement> {
        let name = self.name_or_text()?;
        self.expect_word("properties")?;
        let properties = self.property_list()?;
        Ok(Statement::Repository(RepositoryStatement::Alter { name, properties }))
    }

    /// `r`, behind `DROP REPOSITORY`.
    pub(super) fn drop_repository(&mut self) -> SqlResult<Statement> {
        Ok(Statement::Repository(RepositoryStatement::Drop { name: self.name_or_text()? }))
    }
}
