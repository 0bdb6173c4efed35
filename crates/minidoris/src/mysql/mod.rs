//! The MySQL server protocol.
