//! Rows and what a backend does with them, free of any I/O.
//!
//! A [`Value`] is one typed cell, a [`Row`] one line of a tablet in the column order of its
//! [`TabletSchema`]. Loads turn text into values ([`cast`]), find the partition ([`route`]) and the bucket
//! ([`bucket`]) and encode rows as segments ([`segment`]) of a rowset ([`rowset`]). A read decodes the
//! rowsets of a tablet and merges them by the key model ([`merge`]). Columns are matched by unique id, so a
//! rowset stays readable after a light schema change.

pub mod bucket;
pub mod calendar;
pub mod cast;
pub mod codec;
pub mod complex;
pub mod date;
pub mod decimal;
pub mod index_file;
pub mod merge;
pub mod objects;
pub mod predicate;
pub mod route;
pub mod rowset;
pub mod schema;
pub mod segment;
pub mod states;
pub mod value;

pub use index_file::{IndexFile, IndexFormat, InvertedIndexes};
pub use predicate::{Condition, DeletePredicate, Operator};
pub use rowset::{Rowset, RowsetMeta};
pub use schema::TabletSchema;
pub use value::{Row, Value};
