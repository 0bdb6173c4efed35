//! ALTER SYSTEM and CANCEL DECOMMISSION: nodes that come, go and change.

use super::ast::Properties;
use crate::cluster::{FrontendRole, HostPort};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemStatement {
    AddBackends {
        nodes: Vec<HostPort>,
        properties: Properties,
    },
    DropBackends {
        nodes: Vec<BackendRef>,
        /// DROPP, or DROP … FORCE; anything milder is refused.
        force: bool,
    },
    DecommissionBackends {
        nodes: Vec<BackendRef>,
    },
    CancelDecommission {
        nodes: Vec<BackendRef>,
    },
    ModifyBackends {
        nodes: Vec<BackendRef>,
        properties: Properties,
    },
    /// `MODIFY BACKEND | FRONTEND "h:p" HOSTNAME "name"`.
    ModifyHost {
        kind: NodeKind,
        node: HostPort,
        host: String,
    },
    AddFrontend {
        role: FrontendRole,
        node: HostPort,
    },
    DropFrontend {
        role: FrontendRole,
        node: HostPort,
    },
}

/// A backend by its heartbeat address or its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendRef {
    Address(HostPort),
    Id(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Frontend,
    Backend,
}
