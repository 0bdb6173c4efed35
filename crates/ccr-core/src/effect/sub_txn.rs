//! The statements of an explicit transaction (BEGIN … COMMIT) as sub-transactions of the downstream one.
//!
//! Upstream every statement wrote under an id of its own, and the record names these ids in statement order.
//! Downstream each of them that still has something to ingest gets a sub-transaction, in the same order, so that
//! a partition written by several statements takes its versions in their order.

use doris_types::call::SubTxn;
use doris_types::meta::TabletCommit;

use super::ingest::{Filled, TabletWork};

/// The upstream ids that have work, in statement order; none for an ordinary transaction. An id that the record
/// does not order comes last.
pub(crate) fn order(stids: &[i64], work: &[TabletWork]) -> Vec<i64> {
    if stids.is_empty() {
        return Vec::new();
    }
    let mut wanted: Vec<i64> =
        stids.iter().copied().filter(|stid| work.iter().any(|one| one.stid == *stid)).collect();
    for one in work {
        if !wanted.contains(&one.stid) {
            wanted.push(one.stid);
        }
    }
    wanted
}

/// The downstream transaction or sub-transaction that a tablet is filled under; `sub_txn_ids` belong to `order`.
pub(crate) fn txn_of(work: &TabletWork, order: &[i64], sub_txn_ids: &[i64], txn_id: i64) -> i64 {
    let position = order.iter().position(|stid| *stid == work.stid);
    position.and_then(|position| sub_txn_ids.get(position)).copied().unwrap_or(txn_id)
}

/// What the commit names, per sub-transaction and table, in the order of the sub-transactions.
pub(crate) fn commits(
    order: &[i64],
    sub_txn_ids: &[i64],
    work: &[TabletWork],
    filled: &[Filled],
) -> Vec<SubTxn> {
    let mut sub_txns: Vec<SubTxn> = Vec::new();
    for (stid, &sub_txn_id) in order.iter().zip(sub_txn_ids) {
        let first = sub_txns.len();
        for Filled { position, commit } in filled.iter().filter(|filled| work[filled.position].stid == *stid)
        {
            let table_id = work[*position].table_id;
            let commit: TabletCommit = *commit;
            match sub_txns[first..].iter_mut().find(|sub_txn| sub_txn.table_id == table_id) {
                Some(sub_txn) => sub_txn.commits.push(commit),
                None => sub_txns.push(SubTxn { sub_txn_id, table_id, commits: vec![commit] }),
            }
        }
    }
    sub_txns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::TabletRoute;

    fn work(stid: i64, table_id: i64, tablet_id: i64) -> TabletWork {
        let tablet = TabletRoute {
            partition_id: 1,
            tablet_id,
            backends: vec![9],
            source_tablet_id: 6,
            source_backends: vec![9],
        };
        TabletWork { tablet, source_version: 2, source_id: table_id, table_id, stid }
    }

    fn filled(position: usize, tablet_id: i64) -> Filled {
        Filled { position, commit: TabletCommit { tablet_id, backend_id: 9 } }
    }

    #[test]
    fn only_statements_with_work_count_in_their_order() {
        let some = [work(13, 1, 5), work(11, 1, 5), work(99, 2, 6)];
        assert_eq!(order(&[11, 12, 13], &some), [11, 13, 99]);
        assert!(order(&[], &[work(-1, 1, 5)]).is_empty());
    }

    #[test]
    fn each_statement_is_filled_and_named_under_its_own_id() {
        let work = [work(13, 1, 5), work(11, 1, 5), work(11, 2, 6)];
        let order = order(&[11, 12, 13], &work);
        let ids = [700, 701];
        assert_eq!(work.each_ref().map(|one| txn_of(one, &order, &ids, 700)), [701, 700, 700]);
        let named = commits(&order, &ids, &work, &[filled(0, 5), filled(2, 6), filled(1, 5)]);
        let named: Vec<_> = named
            .iter()
            .map(|sub_txn| (sub_txn.sub_txn_id, sub_txn.table_id, sub_txn.commits[0].tablet_id))
            .collect();
        assert_eq!(named, [(700, 2, 6), (700, 1, 5), (701, 1, 5)]);
        assert_eq!(txn_of(&work[0], &[], &[], 700), 700, "an ordinary transaction has one id");
    }
}
