//! Doris's SQL dialect, as far as replication, its tests and operators use it.
//!
//! A recursive descent over tokens: [`lexer`] makes them, [`parser`] walks them, one file per family of
//! statements builds the tree of [`ast`]. Queries and data statements are recognised by their first word
//! and passed on as text. No word is reserved where a name is expected.

mod account;
pub mod account_ast;
mod alter_table;
pub mod ast;
mod async_view;
mod backup;
mod create_table;
mod function;
pub mod lexer;
mod parser;
mod partition;
mod repository;
mod show;
pub mod show_ast;
mod statement;
mod system;
pub mod system_ast;
mod types;

pub use account_ast::*;
pub use ast::*;
pub use async_view::{
    AsyncViewStatement, CreateAsyncView, RefreshInfo, RefreshMethod, RefreshRequest, RefreshTrigger,
};
pub use function::{FunctionBody, FunctionName, FunctionStatement};
pub use lexer::split_statements;
pub use partition::DEFAULT_BUCKETS;
pub use repository::{CreateRepository, RepositoryKind, RepositoryStatement};
pub use show_ast::*;
pub use system_ast::*;
pub use types::parse_data_type;

use crate::error::SqlResult;

/// Parses one statement; a trailing `;` is allowed.
pub fn parse(sql: &str) -> SqlResult<Statement> {
    parser::Parser::new(sql)?.parse_statement()
}

#[cfg(test)]
mod tests;
