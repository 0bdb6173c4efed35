//! Values and rows.
