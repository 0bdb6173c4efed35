//! Submitting a backup or a restore: once, and when the database has room for it.
//!
//! A database runs one backup or restore at a time, whoever started it. Being refused for that means
//! waiting, longer each time, and whoever was in the way may have been an earlier try of ours, so the label is
//! looked for before every repetition and all the while.
//!
//! An answer without the label may come from a frontend that is behind. Then a second restore would put the tables in
//! place again, when they have moved on, and one that gave way would come to its end all the same. So once something
//! may have been submitted under a label, that it is missing is believed only after several looks.

use std::future::Future;

use doris_types::failure::Failure;
use doris_types::meta::SnapshotJob;

use super::look_for;
use crate::answers::OCCUPIED;
use crate::error::{Disposition, Error, Result};
use crate::runner::shell::Shell;

/// The backup or restore of a label, if the FE knows it.
pub(crate) async fn find<F, Fut>(shell: &Shell, label: &str, mut look: F) -> Result<Option<SnapshotJob>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<SnapshotJob>>>,
{
    if !shell.is_submitted(label) {
        return shell.retry(look).await;
    }
    let found = look_for(shell, label, &mut look).await?;
    if found.is_none() {
        shell.set_submitted(label, false);
    }
    Ok(found)
}

/// Calls `start` until it is accepted, or `present` finds the job. While the database is busy, that is looked at so
/// often, at most, before it is called again.
///
/// # Errors
/// When repeating cannot help, or is to be `given_up`.
pub(crate) async fn until_accepted<S, P>(
    shell: &Shell,
    (database, label): (&str, &str),
    most_looks: u32,
    classify: fn(Failure) -> Error,
    mut given_up: impl FnMut(&Error) -> bool,
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
        let was_submitted = shell.is_submitted(label);
        shell.set_submitted(label, true);
        let error = match start().await {
            Ok(()) => {
                shell.recovered(tries);
                return Ok(());
            }
            // One whose answer was lost may have been accepted; then its label is found below.
            Err(failure) => {
                shell.set_submitted(label, was_submitted || failure.is_in_doubt());
                classify(failure)
            }
        };
        if matches!(error.disposition, Disposition::Block | Disposition::Stop) || given_up(&error) {
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
