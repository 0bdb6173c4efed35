//! Thrift services.
