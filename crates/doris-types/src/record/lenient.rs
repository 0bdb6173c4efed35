//! Reading what Gson leaves out or writes as `null`.

use serde::{Deserialize, Deserializer};

/// Reads an explicit `null` as the default value; to be combined with `default` for an absent key.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// "No id" where Gson's own default is not 0.
pub(super) fn minus_one() -> i64 {
    -1
}
