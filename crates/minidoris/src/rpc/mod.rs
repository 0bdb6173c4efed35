//! Thrift services.

pub mod frontend;

pub use frontend::FrontendRpc;
