//! SQL text for Doris: quoting, tokens, and rewriting of recorded statements.
//!
//! Recorded statements carry the names and settings of the source cluster. They are changed token by token,
//! never by searching the text, so comments, literals and odd names survive byte for byte.

mod columns;
mod indexes;
mod quote;
pub mod rewrite;
mod tokens;

pub use columns::column_names;
pub use indexes::has_index_files;
pub use quote::{
    qualified_name, quote_identifier, quote_identifiers, quote_string, unquote_identifier, unquote_string,
};
pub use rewrite::{
    CreateRewrite, RewriteError, STORAGE_MEDIUM, ViewChange, add_partition_range, add_partition_sql,
    add_partition_sql_with, drop_partition_sql, retarget_alter_table, rewrite_create_table,
    rewrite_view_query, set_properties_sql, truncate_sql_tail, view_comment,
};
pub use tokens::{Token, TokenError, TokenKind, significant_tokens, tokenize};
