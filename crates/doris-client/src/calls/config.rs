//! Settings of frontends and backends.

use doris_types::failure::Result;
use doris_types::meta::Backend;
use doris_types::sql::quote_string;

use crate::cluster::DorisCluster;

impl DorisCluster {
    /// The value of a frontend setting; `None` when the frontend does not know it.
    pub async fn frontend_config(&self, key: &str) -> Result<Option<String>> {
        let sql = format!("ADMIN SHOW FRONTEND CONFIG LIKE {}", quote_string(key));
        let rows = self.query(None, &sql).await?;
        // The pattern's underscores are wildcards.
        let row = rows.rows.iter().find(|row| row.get("Key") == Some(key));
        Ok(row.and_then(|row| row.get("Value")).map(str::to_owned))
    }

    /// The value of a backend setting over HTTP; `None` when the backend does not know it.
    pub async fn backend_config(&self, backend: &Backend, key: &str) -> Result<Option<String>> {
        self.clients.backend_config(backend, key).await
    }
}
