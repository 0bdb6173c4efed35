//! Telling a statement that was applied before from one that is refused.
//!
//! Doris has no ids for statements. When the answer to one was lost, it is sent again, and a refusal may mean
//! that the first one has taken effect. What such a refusal says depends on the statement, and where it could
//! say the same for another reason, the table is looked at. Any other refusal leaves the doubt, which a copy of the
//! table ends.

use crate::answers::{self, says_any};

/// How a refusal shows that an earlier try has taken effect, of which the answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeated {
    /// Not at all: the statement can be repeated.
    Accepted,
    /// By saying one of these texts.
    Says(&'static [&'static str]),
    /// By saying one of these texts; those of the second list also without an earlier try, for somebody else may have
    /// done it before its turn.
    OrBefore(&'static [&'static str], &'static [&'static str]),
    /// By saying that one of these partitions does not exist, while the table has none of the temporary ones any more.
    Lacks { table: String, temporary: Vec<String>, formal: Vec<String> },
    /// By saying one of these texts, while the table has the columns that it must have then.
    Columns { says: &'static [&'static str], table: String, has: Vec<String>, lacks: Vec<String> },
}

impl Repeated {
    /// What was to be renamed has its new name.
    pub const RENAMED: Self = Self::Says(answers::RENAMED);
    /// What was to be dropped is gone.
    pub const DROPPED: Self = Self::Says(answers::DROPPED);

    /// The same of a rollup, which an older load may have dropped before its turn.
    pub const ROLLUP_DROPPED: Self = Self::OrBefore(&[], answers::DROPPED);
    /// The same of one that was renamed, and dropped after that.
    pub const ROLLUP_RENAMED: Self = Self::OrBefore(answers::ROLLUP_RENAMED, answers::DROPPED);

    /// Whether this answer shows it although no earlier one was lost.
    pub fn is_shown_at_once_by(&self, answer: &str) -> bool {
        match self {
            Self::OrBefore(_, texts) => says_any(answer, texts),
            Self::Accepted | Self::Says(_) | Self::Lacks { .. } | Self::Columns { .. } => false,
        }
    }

    /// Whether this answer shows it.
    pub fn is_shown_by(&self, answer: &str) -> bool {
        match self {
            Self::Accepted => false,
            Self::Says(texts) | Self::Columns { says: texts, .. } => says_any(answer, texts),
            Self::OrBefore(texts, before) => says_any(answer, texts) || says_any(answer, before),
            Self::Lacks { temporary, formal, .. } => {
                let is_named = |name: &String| {
                    [format!("[{name}]"), format!("'{name}'"), format!("`{name}`")]
                        .iter()
                        .any(|quoted| answer.contains(quoted.as_str()))
                };
                answer.contains(answers::GONE) && temporary.iter().chain(formal).any(is_named)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Repeated;

    #[test]
    fn only_what_the_statement_itself_brings_about_shows_that_it_was_applied() {
        let text = str::to_owned;
        let (table, temporary, formal) = (text("t"), vec![text("tp")], vec![text("p1")]);
        let replaced = Repeated::Lacks { table, temporary, formal };
        assert!(replaced.is_shown_by("Temp partition[tp] does not exist"));
        assert!(replaced.is_shown_by("Partition[p1] does not exist"));
        // It says nothing of what became of these.
        assert!(!replaced.is_shown_by("Partition[tp1] does not exist"));
        assert!(!replaced.is_shown_by("Temp partition[tp] has another range"));
        assert!(Repeated::RENAMED.is_shown_by("Column[v] does not exist"));
        assert!(!Repeated::DROPPED.is_shown_by("Table[t] is in atomic restore state"));
        let absent = "Rollup index[r] does not exists";
        assert!(
            Repeated::ROLLUP_RENAMED.is_shown_at_once_by(absent)
                && Repeated::ROLLUP_RENAMED.is_shown_by(absent)
        );
        assert!(!Repeated::ROLLUP_RENAMED.is_shown_at_once_by("Rollup name[r] is already used"));
        assert!(!Repeated::DROPPED.is_shown_at_once_by(absent));
        assert!(!Repeated::Accepted.is_shown_by("Unknown column 'v' in 'table list'"));
    }
}
