//! Transactions.

#[derive(Debug)]
pub struct TxnManager {
    pub next_id: i64,
}

impl TxnManager {
    pub fn new(first_id: i64) -> Self {
        Self { next_id: first_id }
    }
}
