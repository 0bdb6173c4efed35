//! ALTER SYSTEM.

use super::ast::Statement;
use super::parser::Parser;
use super::system_ast::{BackendRef, NodeKind, SystemStatement};
use crate::cluster::{FrontendRole, HostPort};
use crate::error::SqlResult;

impl Parser<'_> {
    /// Behind ALTER SYSTEM; `None` for what is only accepted (brokers, load errors hubs).
    pub(super) fn alter_system(&mut self) -> SqlResult<Option<Statement>> {
        let statement = if self.accept_words(&["add", "backend"]) {
            let nodes = self.addresses()?;
            // TO and FREE belong to clusters within a cluster, which are gone.
            SystemStatement::AddBackends { nodes, properties: self.optional_properties()? }
        } else if self.accept_words(&["dropp", "backend"]) {
            SystemStatement::DropBackends { nodes: self.backends()?, force: true }
        } else if self.accept_words(&["drop", "backend"]) {
            let nodes = self.backends()?;
            SystemStatement::DropBackends { nodes, force: self.accept_word("force") }
        } else if self.accept_words(&["decommission", "backend"]) {
            SystemStatement::DecommissionBackends { nodes: self.backends()? }
        } else if self.at_words(&["modify", "backend"]) {
            self.advance();
            self.advance();
            self.modify_backend()?
        } else if self.accept_words(&["modify", "frontend"]) {
            let node = self.address()?;
            self.expect_word("hostname")?;
            SystemStatement::ModifyHost { kind: NodeKind::Frontend, node, host: self.text()? }
        } else if self.accept_words(&["add", "follower"]) {
            SystemStatement::AddFrontend { role: FrontendRole::Follower, node: self.address()? }
        } else if self.accept_words(&["add", "observer"]) {
            SystemStatement::AddFrontend { role: FrontendRole::Observer, node: self.address()? }
        } else if self.accept_words(&["drop", "follower"]) {
            SystemStatement::DropFrontend { role: FrontendRole::Follower, node: self.address()? }
        } else if self.accept_words(&["drop", "observer"]) {
            SystemStatement::DropFrontend { role: FrontendRole::Observer, node: self.address()? }
        } else {
            return Ok(None);
        };
        Ok(Some(Statement::System(statement)))
    }

    /// Behind CANCEL DECOMMISSION BACKEND.
    pub(super) fn cancel_decommission(&mut self) -> SqlResult<Statement> {
        Ok(Statement::System(SystemStatement::CancelDecommission { nodes: self.backends()? }))
    }

    fn modify_backend(&mut self) -> SqlResult<SystemStatement> {
        let nodes = self.backends()?;
        if self.accept_word("hostname") {
            let host = self.text()?;
            let [BackendRef::Address(node)] = nodes.as_slice() else { return Err(self.unexpected("'SET'")) };
            return Ok(SystemStatement::ModifyHost { kind: NodeKind::Backend, node: node.clone(), host });
        }
        if !self.accept_word("properties") {
            self.expect_word("set")?;
        }
        Ok(SystemStatement::ModifyBackends { nodes, properties: self.property_list()? })
    }

    fn address(&mut self) -> SqlResult<HostPort> {
        HostPort::parse(&self.text()?)
    }

    fn addresses(&mut self) -> SqlResult<Vec<HostPort>> {
        let mut nodes = vec![self.address()?];
        while self.accept_symbol(',') {
            nodes.push(self.address()?);
        }
        Ok(nodes)
    }

    fn backends(&mut self) -> SqlResult<Vec<BackendRef>> {
        let mut nodes = Vec::new();
        loop {
            let text = self.text()?;
            nodes.push(match text.trim().parse() {
                Ok(id) => BackendRef::Id(id),
                Err(_) => BackendRef::Address(HostPort::parse(&text)?),
            });
            if !self.accept_symbol(',') {
                return Ok(nodes);
            }
        }
    }
}
