//! Delays that take as long as they say.
//!
//! The timer of the async runtime counts whole milliseconds and rounds up: a delay of 5 ms lasts more
//! than 6. A benchmark that injects a latency and divides by it would measure that difference. One thread
//! waits for the nearest deadline instead, with the precision of the operating system, and wakes who
//! waits for it. It exists from the first delay on and sleeps while there is none.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// Returns once `length` has passed, some tens of microseconds late at most on an idle machine.
pub async fn wait(length: Duration) {
    let (wake, woken) = oneshot::channel();
    let waiter = Waiter { deadline: Instant::now() + length, wake };
    let Some(timer) = timer() else {
        // Without the thread a delay is less exact, and still a delay.
        return tokio::time::sleep(length).await;
    };
    timer.waiters.lock().push(Reverse(waiter));
    timer.changed.notify_one();
    // The sender is dropped only after it has sent.
    let _ = woken.await;
}

#[derive(Debug, Default)]
struct Timer {
    waiters: Mutex<BinaryHeap<Reverse<Waiter>>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Waiter {
    deadline: Instant,
    wake: oneshot::Sender<()>,
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        self.deadline == other.deadline
    }
}

impl Eq for Waiter {}

impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.deadline.cmp(&other.deadline)
    }
}

/// The timer of the process, or `None` where no thread could be started.
fn timer() -> Option<&'static Timer> {
    static TIMER: OnceLock<Option<&'static Timer>> = OnceLock::new();
    *TIMER.get_or_init(|| {
        let timer: &'static Timer = Box::leak(Box::default());
        let started = std::thread::Builder::new().name("delays".to_owned()).spawn(|| timer.run());
        started.ok().map(|_| timer)
    })
}

impl Timer {
    fn run(&self) -> ! {
        let mut waiters = self.waiters.lock();
        loop {
            let now = Instant::now();
            while waiters.peek().is_some_and(|Reverse(next)| next.deadline <= now) {
                if let Some(Reverse(due)) = waiters.pop() {
                    // Who waited may have been cancelled.
                    let _ = due.wake.send(());
                }
            }
            match waiters.peek().map(|Reverse(next)| next.deadline) {
                Some(deadline) => _ = self.changed.wait_until(&mut waiters, deadline),
                None => self.changed.wait(&mut waiters),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn delays_end_and_not_early() {
        let started = Instant::now();
        let one = async |milliseconds: u64| {
            wait(Duration::from_millis(milliseconds)).await;
            assert!(started.elapsed() >= Duration::from_millis(milliseconds));
        };
        tokio::join!(one(60), one(20), one(40), one(0));
    }

    #[test]
    fn the_nearest_deadline_comes_first() {
        let started = Instant::now();
        let waiter = |milliseconds: u64| {
            let deadline = started + Duration::from_millis(milliseconds);
            Reverse(Waiter { deadline, wake: oneshot::channel().0 })
        };
        let mut waiters: BinaryHeap<_> = [60, 20, 40, 0].map(waiter).into();
        let order: Vec<u128> = std::iter::from_fn(|| waiters.pop())
            .map(|Reverse(waiter)| (waiter.deadline - started).as_millis())
            .collect();
        assert_eq!(order, [0, 20, 40, 60]);
    }

    #[tokio::test]
    async fn a_cancelled_delay_holds_up_no_other() {
        let cancelled = tokio::time::timeout(Duration::from_millis(1), wait(Duration::from_millis(30))).await;
        assert!(cancelled.is_err());
        wait(Duration::from_millis(40)).await;
    }
}
