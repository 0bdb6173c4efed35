//! The FrontendService of one frontend.

use std::sync::Arc;

use doris_thrift::FrontendHandler;

use crate::cluster::ClusterInner;

/// Serves the calls that arrive at one frontend.
#[derive(Debug, Clone)]
pub struct FrontendRpc {
    pub cluster: Arc<ClusterInner>,
    /// Position of the frontend.
    pub fe: usize,
}

impl FrontendHandler for FrontendRpc {}
