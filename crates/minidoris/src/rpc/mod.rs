//! Thrift services.

pub mod backend;
pub mod frontend;

pub use backend::BackendRpc;
pub use frontend::FrontendRpc;
