//! Futures that are known by the commit seq of their transaction.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

pub(super) struct Running<T> {
    pub commit_seq: i64,
    pub future: BoxFuture<'static, T>,
}

impl<T> Future for Running<T> {
    type Output = (i64, T);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let commit_seq = self.commit_seq;
        self.future.as_mut().poll(context).map(|output| (commit_seq, output))
    }
}

/// Takes out the futures of some transactions.
pub(super) fn take<T>(
    from: &mut FuturesUnordered<Running<T>>,
    is_wanted: impl Fn(i64) -> bool,
) -> Vec<Running<T>> {
    let (wanted, others): (Vec<_>, Vec<_>) =
        std::mem::take(from).into_iter().partition(|running| is_wanted(running.commit_seq));
    from.extend(others);
    wanted
}
