//! Submitting a backup or a restore: once, and when the database has room for it.
//!
//! A database runs one backup or restore at a time, whoever started it. Being refused for that means
//! waiting, longer each time, and whoever was in the way may have been an earlier try of ours, so the label is
//! looked for before every repetition and all the while.

use std::future::Future;

use doris_types::failure::Failure;

use crate::answers::OCCUPIED;
use crate::error::{Disposition, Error, Result};
use crate::runner::shell::Shell;

/// Calls `start` until it is accepted, or `present` finds the job. While the database is busy, that is looked at so
/// often, at most, before it is called again.
///
/// # Errors
/// When repeating cannot help.
pub(crate) async fn until_accepted<S, P>(
    shell: &Shell,
    database: &str,
    most_looks: u32,
    classify: fn(Failure) -> Error,
    mut start: impl FnMut() -> S,
    mut present: impl FnMut() -> P,
) -> Result<()>
where
    S: Future<Output = doris_types::failure::Result<()>>,
    P: Future<Output = Result<bool>>,
{
    let mut tries = 0;
    let mut looks = 1;
    loop {
        shell.retry(|| shell.check_lease()).await?;
        let error = match start().await {
            Ok(()) => {
                shell.recovered(tries);
                return Ok(());
            }
            // One whose answer was lost may have been accepted; then its label is found below.
            Err(failure) => classify(failure),
        };
        if matches!(error.disposition, Disposition::Block | Disposition::Stop) {
            return Err(error);
        }
        if error.message.contains(OCCUPIED) {
            let message = &error.message;
            shell
                .set_step(format!("waiting for another backup or restore of database {database}: {message}"));
            for _ in 1..looks {
                shell.ctx.clock.sleep(shell.ctx.options.snapshot_poll).await;
                if present().await? {
                    shell.recovered(tries);
                    return Ok(());
                }
            }
            looks = (looks * 2).min(most_looks);
            shell.ctx.clock.sleep(shell.ctx.options.snapshot_poll).await;
        } else {
            tries += 1;
            shell.pause(&error, tries).await;
        }
        if present().await? {
            shell.recovered(tries);
            return Ok(());
        }
    }
}
