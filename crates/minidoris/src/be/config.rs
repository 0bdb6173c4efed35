//! Backend settings, as `show_config` and `update_config` present them.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::RwLock;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigItem {
    /// `bool`, `int32_t`…, as Doris names it.
    pub kind: &'static str,
    pub value: String,
    /// Whether it may change at run time.
    pub mutable: bool,
}

#[derive(Debug)]
pub struct BackendConfig {
    items: RwLock<BTreeMap<String, ConfigItem>>,
    /// What a restart of the process finds again.
    kept: RwLock<BTreeMap<String, String>>,
}

const DEFAULTS: [(&str, &str, &str, bool); 14] = [
    ("enable_feature_binlog", "bool", "false", false),
    ("ingest_binlog_work_pool_size", "int32_t", "-1", false),
    ("download_binlog_rate_limit_kbs", "int64_t", "0", true),
    ("download_binlog_meta_timeout_ms", "int32_t", "30000", true),
    ("download_low_speed_limit_kbps", "int32_t", "50", true),
    ("download_low_speed_time", "int32_t", "300", true),
    ("enable_download_md5sum_check", "bool", "false", true),
    ("max_download_speed_kbps", "int32_t", "50000", true),
    ("enable_token_check", "bool", "true", true),
    ("enable_debug_points", "bool", "false", false),
    ("enable_all_http_auth", "bool", "false", false),
    ("thrift_max_message_size", "int32_t", "104857600", false),
    // Ours: what the disk has room for in one ingest; negative: anything.
    ("minidoris_free_bytes", "int64_t", "-1", true),
    // Ours: Doris always waits a second between the tries of a download.
    ("minidoris_download_retry_interval_ms", "int32_t", "1000", true),
];

/// How the names of settings begin that Doris does not have.
const OURS: &str = "minidoris_";

impl Default for BackendConfig {
    fn default() -> Self {
        let item = |(name, kind, value, mutable): (&str, &'static str, &str, bool)| {
            (name.to_owned(), ConfigItem { kind, value: value.to_owned(), mutable })
        };
        Self { items: RwLock::new(DEFAULTS.into_iter().map(item).collect()), kept: RwLock::default() }
    }
}

impl BackendConfig {
    /// Items by name; all of them, or the one asked for. Settings that Doris does not have are not told.
    pub fn list(&self, name: Option<&str>) -> Vec<(String, ConfigItem)> {
        let items = self.items.read();
        let wanted = |key: &&String| name.is_none_or(|name| name == key.as_str());
        let is_ours = |key: &&String| key.starts_with(OURS);
        items
            .keys()
            .filter(wanted)
            .filter(|key| !is_ours(key))
            .map(|key| (key.clone(), items[key].clone()))
            .collect()
    }

    /// Sets a value as at start-up, whether mutable or not. Unknown names become string settings.
    pub fn set(&self, name: &str, value: &str) {
        let mut items = self.items.write();
        match items.get_mut(name) {
            Some(item) => item.value = value.to_owned(),
            None => {
                let item = ConfigItem { kind: "string", value: value.to_owned(), mutable: true };
                items.insert(name.to_owned(), item);
            }
        }
    }

    /// Changes a value at run time. The error is Doris's message.
    pub fn update(&self, name: &str, value: &str) -> Result<(), String> {
        let mut items = self.items.write();
        let Some(item) = items.get_mut(name) else {
            return Err(format!("[NOT_FOUND]'{name}' is not found"));
        };
        if !item.mutable {
            return Err(format!("[NOT_IMPLEMENTED_ERROR]'{name}' is not support to modify"));
        }
        let valid = match item.kind {
            "bool" => value.parse::<bool>().is_ok(),
            "string" => true,
            _ => value.parse::<i64>().is_ok(),
        };
        if !valid {
            return Err(format!("[INVALID_ARGUMENT]convert '{value}' as {} failed", item.kind));
        }
        item.value = value.to_owned();
        Ok(())
    }

    /// Remembers a changed value for the next start.
    pub fn keep(&self, name: &str, value: &str) {
        self.kept.write().insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn kept(&self) -> BTreeMap<String, String> {
        self.kept.read().clone()
    }

    /// Sets what was kept before a restart.
    pub(crate) fn load(&self, kept: BTreeMap<String, String>) {
        for (name, value) in &kept {
            self.set(name, value);
        }
        *self.kept.write() = kept;
    }

    pub fn flag(&self, name: &str) -> bool {
        self.items.read().get(name).is_some_and(|item| item.value == "true")
    }

    pub fn number(&self, name: &str) -> i64 {
        self.items.read().get(name).and_then(|item| item.value.parse().ok()).unwrap_or(0)
    }

    pub fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.number(name)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mutable_settings_change_at_run_time() {
        let config = BackendConfig::default();
        assert!(config.update("enable_feature_binlog", "true").is_err());
        assert!(config.update("nothing", "1").is_err());
        assert!(config.update("download_low_speed_time", "x").is_err());
        assert!(config.update("download_low_speed_time", "10").is_ok());
        assert_eq!(config.number("download_low_speed_time"), 10);
        config.set("enable_feature_binlog", "true");
        assert!(config.flag("enable_feature_binlog"));
        assert_eq!(config.list(Some("nothing")).len(), 0);
        assert_eq!(config.list(Some("enable_token_check")).len(), 1);
        assert_eq!(config.number("minidoris_download_retry_interval_ms"), 1000);
        assert!(config.list(None).iter().all(|(name, _)| !name.starts_with("minidoris")));
    }
}
