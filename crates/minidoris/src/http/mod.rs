//! HTTP routes of frontends and backends.
