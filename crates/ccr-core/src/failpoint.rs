//! Places where a test lets a job fail, or its process die.
//!
//! There is one before and one after everything that changes a cluster or the stored progress of a job
//! ([`Effect`]), listed by [`Failpoint::all`] so that a test can go through them without naming them; and the
//! three of the original about the handling of a binlog. They belong to the process: each fires in whatever
//! job comes by first. Nothing is set unless a test sets it, which then costs one look at a flag.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use doris_types::record::BinlogType;
use parking_lot::Mutex;

use crate::job::SpecError;

/// What a job does to a cluster or to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    StartBackup,
    StartRestore,
    BeginTxn,
    Ingest,
    CommitTxn,
    RollbackTxn,
    /// A statement downstream.
    Execute,
    SaveState,
    SavePosition,
    AppendHistory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    Before,
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failpoint {
    /// While it is set, every binlog fails to be handled.
    HandleBinlogFailed,
    /// The first binlog of the type that is its value fails once, before or after it has taken effect.
    HandleBinlogIdempotent(Moment),
    /// The n-th effect of this kind fails, or the process dies there.
    Effect(Effect, Moment),
}

/// What is to happen at an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The call fails as one whose connection was lost.
    Fail,
    /// The process dies.
    Crash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Always,
    /// At a binlog of the type of this name.
    Once(&'static str),
    /// After so many effects have passed.
    Act(Act, u32),
}

/// The failpoints of a process.
#[derive(Debug, Default)]
pub struct Failpoints {
    is_any_set: AtomicBool,
    set: Mutex<BTreeMap<Failpoint, (Setting, String)>>,
}

const EFFECTS: [Effect; 10] = [
    Effect::StartBackup,
    Effect::StartRestore,
    Effect::BeginTxn,
    Effect::Ingest,
    Effect::CommitTxn,
    Effect::RollbackTxn,
    Effect::Execute,
    Effect::SaveState,
    Effect::SavePosition,
    Effect::AppendHistory,
];

impl Effect {
    fn name(self) -> &'static str {
        match self {
            Effect::StartBackup => "start_backup",
            Effect::StartRestore => "start_restore",
            Effect::BeginTxn => "begin_txn",
            Effect::Ingest => "ingest",
            Effect::CommitTxn => "commit_txn",
            Effect::RollbackTxn => "rollback_txn",
            Effect::Execute => "execute",
            Effect::SaveState => "save_state",
            Effect::SavePosition => "save_position",
            Effect::AppendHistory => "append_history",
        }
    }
}

impl Moment {
    fn name(self) -> &'static str {
        match self {
            Moment::Before => "before",
            Moment::After => "after",
        }
    }
}

impl Failpoint {
    /// Every failpoint there is.
    pub fn all() -> Vec<Self> {
        let moments = [Moment::Before, Moment::After];
        let effects = EFFECTS.into_iter().flat_map(|effect| moments.map(|at| Failpoint::Effect(effect, at)));
        let binlogs = moments.map(Failpoint::HandleBinlogIdempotent);
        std::iter::once(Failpoint::HandleBinlogFailed).chain(binlogs).chain(effects).collect()
    }

    pub fn name(self) -> String {
        match self {
            Failpoint::HandleBinlogFailed => "handle_binlog_failed".to_owned(),
            Failpoint::HandleBinlogIdempotent(moment) => {
                format!("handle_binlog_idempotent:{}", moment.name())
            }
            Failpoint::Effect(effect, moment) => format!("{}:{}", effect.name(), moment.name()),
        }
    }

    /// # Errors
    /// When there is none of that name.
    pub fn by_name(name: &str) -> Result<Self, SpecError> {
        Self::all()
            .into_iter()
            .find(|failpoint| failpoint.name() == name)
            .ok_or_else(|| SpecError::new("failpoint", format!("there is none of the name {name:?}")))
    }

    fn setting(self, value: &str) -> Result<Setting, SpecError> {
        match self {
            Failpoint::HandleBinlogFailed => Ok(Setting::Always),
            Failpoint::HandleBinlogIdempotent(_) => binlog_type(value).map(Setting::Once),
            Failpoint::Effect(..) => act(value),
        }
    }
}

/// The name of a type given by number or by name.
fn binlog_type(value: &str) -> Result<&'static str, SpecError> {
    let number = value.parse().ok();
    let found = BinlogType::known().find(|known| Some(known.0) == number || known.name() == value);
    found
        .map(BinlogType::name)
        .ok_or_else(|| SpecError::new("value", format!("must be a binlog type, not {value:?}")))
}

/// `crash` or `fail`, with `:<n>` for the n-th time.
fn act(value: &str) -> Result<Setting, SpecError> {
    let (act, nth) = value.split_once(':').unwrap_or((value, "1"));
    let act = match act {
        "crash" => Some(Act::Crash),
        "fail" => Some(Act::Fail),
        _ => None,
    };
    match (act, nth.parse::<u32>()) {
        (Some(act), Ok(nth)) if nth > 0 => Ok(Setting::Act(act, nth - 1)),
        _ => {
            let problem = format!("must be crash, fail, crash:<n> or fail:<n>, not {value:?}");
            Err(SpecError::new("value", problem))
        }
    }
}

impl Failpoints {
    /// # Errors
    /// When there is no such failpoint, or it cannot have the value.
    pub fn set(&self, name: &str, value: &str) -> Result<(), SpecError> {
        let failpoint = Failpoint::by_name(name)?;
        let setting = failpoint.setting(value)?;
        self.set.lock().insert(failpoint, (setting, value.to_owned()));
        self.is_any_set.store(true, Ordering::Release);
        Ok(())
    }

    /// # Errors
    /// When there is no such failpoint.
    pub fn remove(&self, name: &str) -> Result<(), SpecError> {
        let failpoint = Failpoint::by_name(name)?;
        self.set.lock().remove(&failpoint);
        Ok(())
    }

    pub fn clear(&self) {
        self.set.lock().clear();
    }

    /// All failpoints by name, with the values of those that are set and have not fired for the last time.
    pub fn list(&self) -> Vec<(String, Option<String>)> {
        let set = self.set.lock();
        let value = |failpoint| set.get(&failpoint).map(|(_, value)| value.clone());
        Failpoint::all().into_iter().map(|failpoint| (failpoint.name(), value(failpoint))).collect()
    }

    /// What is to happen at this effect. A failpoint that fires is no longer set.
    pub fn at_effect(&self, effect: Effect, moment: Moment) -> Option<Act> {
        let failpoint = Failpoint::Effect(effect, moment);
        self.fires(failpoint, |setting| match setting {
            Setting::Act(_, left @ 1..) => {
                *left -= 1;
                None
            }
            Setting::Act(act, 0) => Some(*act),
            Setting::Always | Setting::Once(_) => None,
        })
    }

    /// Whether the handling of a binlog of the type of this name is to fail.
    pub fn at_binlog(&self, binlog_type: &str, moment: Moment) -> bool {
        let always = |setting: &mut Setting| matches!(setting, Setting::Always).then_some(());
        let once = |setting: &mut Setting| {
            matches!(setting, Setting::Once(name) if *name == binlog_type).then_some(())
        };
        moment == Moment::Before && self.is_set(Failpoint::HandleBinlogFailed, always)
            || self.fires(Failpoint::HandleBinlogIdempotent(moment), once).is_some()
    }

    fn is_set(&self, failpoint: Failpoint, test: impl FnOnce(&mut Setting) -> Option<()>) -> bool {
        self.is_any_set.load(Ordering::Acquire)
            && self.set.lock().get_mut(&failpoint).and_then(|(setting, _)| test(setting)).is_some()
    }

    fn fires<T>(&self, failpoint: Failpoint, test: impl FnOnce(&mut Setting) -> Option<T>) -> Option<T> {
        if !self.is_any_set.load(Ordering::Acquire) {
            return None;
        }
        let mut set = self.set.lock();
        let fired = test(&mut set.get_mut(&failpoint)?.0)?;
        set.remove(&failpoint);
        drop(set);
        tracing::info!(failpoint = failpoint.name(), "failpoint");
        Some(fired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_of_the_original_are_among_them() {
        let names: Vec<String> = Failpoint::all().into_iter().map(Failpoint::name).collect();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        for name in
            ["handle_binlog_failed", "handle_binlog_idempotent:before", "handle_binlog_idempotent:after"]
        {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
        for name in names {
            assert_eq!(Failpoint::by_name(&name).expect("it is known").name(), name);
        }
    }

    #[test]
    fn an_effect_fires_once_at_its_turn() {
        let failpoints = Failpoints::default();
        failpoints.set("commit_txn:before", "crash:2").expect("it is one");
        let hit = || failpoints.at_effect(Effect::CommitTxn, Moment::Before);
        assert_eq!(failpoints.at_effect(Effect::CommitTxn, Moment::After), None);
        assert_eq!([hit(), hit(), hit()], [None, Some(Act::Crash), None]);
        failpoints.set("commit_txn:before", "fail").expect("it is one");
        failpoints.remove("commit_txn:before").expect("it is one");
        assert_eq!(hit(), None);
    }

    #[test]
    fn a_binlog_type_fires_once_and_a_failed_handling_until_it_is_removed() {
        let failpoints = Failpoints::default();
        failpoints.set("handle_binlog_idempotent:after", "1").expect("by number");
        let after = |number| failpoints.at_binlog(BinlogType(number).name(), Moment::After);
        assert_eq!([after(0), after(1), after(1)], [false, true, false]);
        failpoints.set("handle_binlog_idempotent:before", "CREATE_TABLE").expect("by name");
        let before = |number| failpoints.at_binlog(BinlogType(number).name(), Moment::Before);
        assert_eq!([before(1), before(2), before(2)], [false, true, false]);
        failpoints.set("handle_binlog_failed", "true").expect("any value");
        assert_eq!([before(1), before(7), after(1)], [true, true, false]);
        failpoints.clear();
        assert!(!before(1));
        assert!(failpoints.list().iter().all(|(_, value)| value.is_none()));
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        let failpoints = Failpoints::default();
        for (name, value) in [
            ("commit_txn", "crash"),
            ("commit_txn:before", "explode"),
            ("commit_txn:before", "crash:0"),
            ("handle_binlog_idempotent:before", "NO_SUCH_TYPE"),
            ("handle_binlog_idempotent:before", "99"),
        ] {
            assert!(failpoints.set(name, value).is_err(), "{name} {value}");
        }
    }
}
