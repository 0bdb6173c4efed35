//! SQL text for Doris: quoting, tokens, and rewriting of recorded statements.
//!
//! Recorded statements carry the names and settings of the source cluster. They are changed token by token,
//! never by searching the text, so comments, literals and odd names survive byte for byte.

mod quote;

pub use quote::{
    qualified_name, quote_identifier, quote_identifiers, quote_string, unquote_identifier, unquote_string,
};
