//! Capability and status flags that matter to a Doris frontend.

pub const LONG_FLAG: u32 = 1 << 2;
pub const CONNECT_WITH_DB: u32 = 1 << 3;
pub const LOCAL_FILES: u32 = 1 << 7;
pub const PROTOCOL_41: u32 = 1 << 9;
pub const SECURE_CONNECTION: u32 = 1 << 15;
pub const MULTI_STATEMENTS: u32 = 1 << 16;
pub const PLUGIN_AUTH: u32 = 1 << 19;
pub const PLUGIN_AUTH_LENENC_DATA: u32 = 1 << 21;

/// What the frontend offers. Not DEPRECATE_EOF, not session tracking, not SSL. Several statements are
/// answered to clients that set the flag although it is not offered.
pub const OFFERED: u32 =
    LONG_FLAG | CONNECT_WITH_DB | LOCAL_FILES | PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH;

/// Another result follows this one.
pub const STATUS_MORE_RESULTS: u16 = 8;
