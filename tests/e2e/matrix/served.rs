//! What the upstream's frontend serves of the binlog: read as the syncer reads it.

use std::collections::BTreeMap;

use doris_client::{ClientOptions, Clients, ClusterConfig, Seed};
use doris_types::call::{BinlogEntry, BinlogPage, BinlogScope};
use doris_types::record::{BarrierRecord, BinlogType};
use minidoris::Release;

use crate::harness::{DB, Pair};

/// Which lists hold the binlogs that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    Database,
    OfTables,
}

const BATCH: u8 = 255;

/// The entries of a list after a commit seq.
async fn served(pair: &Pair, table_id: Option<i64>, mut after: i64) -> Vec<BinlogEntry> {
    let frontend = pair.up.fe(0);
    let config = ClusterConfig {
        seeds: vec![Seed {
            host: frontend.host.clone(),
            query_port: frontend.query_port,
            rpc_port: frontend.rpc_port,
        }],
        user: "root".to_owned(),
        password: pair.up.inner().options.root_password.clone(),
        host_mapping: BTreeMap::new(),
    };
    let cluster = Clients::new(ClientOptions::default()).cluster(config);
    let scope = BinlogScope { database: DB.to_owned(), table_id };
    let mut all = Vec::new();
    loop {
        match cluster.binlogs(&scope, after, BATCH).await.expect("binlogs are served") {
            BinlogPage::Entries(entries) => {
                after = entries.last().expect("a page has entries").commit_seq;
                all.extend(entries);
            }
            BinlogPage::CaughtUp | BinlogPage::NotFound => return all,
            page @ (BinlogPage::TooOld { .. } | BinlogPage::Disabled) => panic!("{page:?} of {scope:?}"),
        }
    }
}

/// The type of an entry, and whether a BARRIER stands around it.
fn kind_of(entry: &BinlogEntry) -> (BinlogType, bool) {
    let told = BinlogType(entry.binlog_type);
    let barrier = (told == BinlogType::BARRIER)
        .then(|| entry.data.as_deref().unwrap_or_default())
        .map(|data| serde_json::from_str::<BarrierRecord>(data).expect("a barrier is a record"));
    match barrier {
        Some(barrier) if barrier.binlog.is_some() => (barrier.binlog_type, true),
        _ => (told, false),
    }
}

/// Fails the test unless binlogs of all these types are served after `seq`, wrapped just where the upstream's
/// release wraps them.
pub async fn assert_served(pair: &Pair, types: &[BinlogType], seq: i64, lists: Lists) {
    if types.is_empty() {
        return;
    }
    let ids = match lists {
        Lists::Database => vec![None],
        Lists::OfTables => {
            pair.database_binlogs(|db| db.tables().map(|list| Some(list.dummy().belong)).collect())
        }
    };
    let mut seen = Vec::new();
    for id in ids {
        seen.extend(served(pair, id, seq).await.iter().map(kind_of));
    }
    let wraps = pair.up.inner().options.release < Release::V3_1;
    let is_wrapped = |kind: BinlogType| wraps && kind.0 >= BinlogType::MODIFY_VIEW_DEF.0;
    let missing: Vec<&str> = types
        .iter()
        .filter(|kind| !seen.contains(&(**kind, is_wrapped(**kind))))
        .map(|kind| kind.name())
        .collect();
    assert!(missing.is_empty(), "no {missing:?} was served as it should be ({lists:?})");
}
