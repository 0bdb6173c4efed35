//! `/version`: the only answer without `success`.

use super::Answer;

pub(super) async fn handle() -> Answer {
    Answer::bare().with("version", crate::VERSION)
}
