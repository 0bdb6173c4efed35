//! Settings of frontends and backends.

use doris_types::failure::{Cause, Failure, Result};
use doris_types::meta::{Backend, Frontend};
use doris_types::sql::quote_string;

use crate::cluster::DorisCluster;
use crate::convert::statement_name;
use crate::directory::address;
use crate::rows::Rows;

impl DorisCluster {
    /// The value of a frontend setting; `None` when the frontend does not know it.
    pub async fn frontend_config(&self, key: &str) -> Result<Option<String>> {
        Ok(value_of(&self.query(None, &show(key)).await?, key))
    }

    /// The same of one frontend, by an entry of the list of frontends.
    ///
    /// A frontend passes such a question on to the master unless its session says otherwise, so the connection is one
    /// of its own.
    pub async fn frontend_config_of(&self, frontend: &Frontend, key: &str) -> Result<Option<String>> {
        let sql = show(key);
        let Some(host) = self.directory.map_host(&frontend.host) else {
            let peer = address(&frontend.host, frontend.query_port);
            let cause = Cause::UnmappedHost { host: frontend.host.clone() };
            return Err(Failure::new(statement_name(&sql), peer, cause));
        };
        let pool = self.own_sql_pool(&host, frontend.query_port);
        let answer = pool.run(None, &sql, self.clients.options.rpc_timeout).await;
        let rows = answer.map_err(|cause| Failure::new(statement_name(&sql), pool.address(), cause))?;
        Ok(value_of(&rows, key))
    }

    /// The value of a backend setting over HTTP; `None` when the backend does not know it.
    pub async fn backend_config(&self, backend: &Backend, key: &str) -> Result<Option<String>> {
        self.clients.backend_config(backend, key).await
    }
}

fn show(key: &str) -> String {
    format!("ADMIN SHOW FRONTEND CONFIG LIKE {}", quote_string(key))
}

/// The pattern's underscores are wildcards, so there may be more rows.
fn value_of(rows: &Rows, key: &str) -> Option<String> {
    let row = rows.rows.iter().find(|row| row.get("Key") == Some(key));
    row.and_then(|row| row.get("Value")).map(str::to_owned)
}
