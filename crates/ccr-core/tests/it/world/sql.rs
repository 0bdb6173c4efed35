//! Recognises the statements that the engine sends downstream, by token.

use super::alter::Alter;
use doris_types::sql::{TokenKind, significant_tokens, unquote_identifier, unquote_string};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ddl {
    CreateTable {
        name: String,
        columns: Vec<String>,
        partitions: Vec<NewPartition>,
        buckets: usize,
        replicas: usize,
    },
    /// `of` is the table it selects from.
    CreateView {
        name: String,
        of: String,
        comment: String,
    },
    /// Its definition or its comment, never both in one statement.
    AlterView {
        name: String,
        of: Option<String>,
        comment: Option<String>,
    },
    Alter {
        table: String,
        what: Alter,
    },
    ReplaceTable {
        table: String,
        with: String,
        swap: bool,
    },
    DropTable {
        name: String,
    },
    DropView {
        name: String,
    },
    AddPartition {
        table: String,
        partition: NewPartition,
        is_temporary: bool,
    },
    ReplacePartition {
        table: String,
        name: String,
        by: String,
    },
    DropPartition {
        table: String,
        name: String,
    },
    RenamePartition {
        table: String,
        name: String,
        to: String,
    },
    RenameTable {
        table: String,
        name: String,
    },
    Truncate {
        table: String,
        partitions: Vec<String>,
    },
    CancelRestore,
    SetMedium {
        table: String,
        partitions: Vec<String>,
        medium: &'static str,
    },
}

impl Ddl {
    /// The table or view that it changes.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::CreateTable { name, .. }
            | Self::CreateView { name, .. }
            | Self::AlterView { name, .. }
            | Self::DropTable { name }
            | Self::DropView { name } => Some(name),
            Self::Alter { table, .. }
            | Self::ReplaceTable { table, .. }
            | Self::AddPartition { table, .. }
            | Self::ReplacePartition { table, .. }
            | Self::DropPartition { table, .. }
            | Self::RenamePartition { table, .. }
            | Self::RenameTable { table, .. }
            | Self::Truncate { table, .. }
            | Self::SetMedium { table, .. } => Some(table),
            Self::CancelRestore => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartition {
    pub name: String,
    pub bounds: (i64, i64),
}

/// `None` when the statement is none of those known here.
pub fn recognise(sql: &str) -> Option<Ddl> {
    let tokens = significant_tokens(sql).ok()?;
    let words = tokens
        .iter()
        .map(|token| match token.kind {
            TokenKind::QuotedIdentifier => format!("`{}", unquote_identifier(token.text)),
            TokenKind::String => format!("\"{}", unquote_string(token.text).unwrap_or_default()),
            _ => token.text.to_owned(),
        })
        .collect();
    let mut words = Words { words, at: 0 };
    if words.take("CANCEL RESTORE FROM") {
        return Some(Ddl::CancelRestore);
    }
    if words.take("CREATE TABLE IF NOT EXISTS") {
        return words.create_table();
    }
    if words.take("CREATE VIEW IF NOT EXISTS") {
        let name = words.qualified()?;
        let comment = words.view_comment().unwrap_or_default();
        return Some(Ddl::CreateView { name, of: words.selected_table()?, comment });
    }
    if words.take("ALTER VIEW") {
        let name = words.qualified()?;
        if words.take("MODIFY COMMENT") {
            return Some(Ddl::AlterView { name, of: None, comment: Some(words.text()?) });
        }
        // Doris takes no comment here.
        let of = words.view_comment().is_none().then(|| words.selected_table())?;
        return of.map(|of| Ddl::AlterView { name, of: Some(of), comment: None });
    }
    if words.take("DROP TABLE IF EXISTS") {
        return Some(Ddl::DropTable { name: words.qualified()? });
    }
    if words.take("DROP VIEW IF EXISTS") {
        return Some(Ddl::DropView { name: words.qualified()? });
    }
    if words.take("TRUNCATE TABLE") {
        let table = words.qualified()?;
        let partitions = if words.take("PARTITIONS (") { words.identifiers() } else { Vec::new() };
        return Some(Ddl::Truncate { table, partitions });
    }
    if words.take("BUILD INDEX") {
        let index = words.identifier()?;
        let table = words.take("ON").then(|| words.qualified())??;
        let partition = if words.take("PARTITION (") { Some(words.identifier()?) } else { None };
        return Some(Ddl::Alter { table, what: Alter::BuildIndex { index, partition } });
    }
    if words.take("ALTER TABLE") {
        let table = words.qualified()?;
        let is_temporary = words.take("ADD TEMPORARY PARTITION IF NOT EXISTS");
        if is_temporary || words.take("ADD PARTITION IF NOT EXISTS") {
            let name = words.identifier()?;
            let bounds = words.bounds()?;
            let partition = NewPartition { name, bounds };
            return Some(Ddl::AddPartition { table, partition, is_temporary });
        }
        if words.take("REPLACE PARTITION (") {
            let name = words.identifier()?;
            let by = words.take(") WITH TEMPORARY PARTITION (").then(|| words.identifier())??;
            return Some(Ddl::ReplacePartition { table, name, by });
        }
        if words.take("MODIFY PARTITION (") {
            let partitions = words.identifiers();
            let medium = [("\"SSD", "SSD"), ("\"HDD", "HDD")]
                .into_iter()
                .find(|(text, _)| words.take(&format!(") SET ( \"storage_medium = {text} )")))?;
            return Some(Ddl::SetMedium { table, partitions, medium: medium.1 });
        }
        if words.take("DROP PARTITION IF EXISTS") || words.take("DROP TEMPORARY PARTITION IF EXISTS") {
            return Some(Ddl::DropPartition { table, name: words.identifier()? });
        }
        if words.take("RENAME PARTITION") {
            let (name, to) = (words.identifier()?, words.identifier()?);
            return Some(Ddl::RenamePartition { table, name, to });
        }
        if let Some(what) = words.alter() {
            return Some(Ddl::Alter { table, what });
        }
        if words.take("RENAME") {
            return Some(Ddl::RenameTable { table, name: words.identifier()? });
        }
        if words.take("REPLACE WITH TABLE") {
            let with = words.identifier()?;
            let swap = words.take("PROPERTIES ( \"swap = \"true )");
            return Some(Ddl::ReplaceTable { table, with, swap });
        }
    }
    None
}

/// Back-quoted names start with a back quote, literals with a double quote.
struct Words {
    words: Vec<String>,
    at: usize,
}

impl Words {
    fn take(&mut self, expected: &str) -> bool {
        let expected: Vec<&str> = expected.split(' ').collect();
        let found = self.words.get(self.at..self.at + expected.len());
        let is_there = found.is_some_and(|found| {
            found.iter().zip(&expected).all(|(word, wanted)| word.eq_ignore_ascii_case(wanted))
        });
        if is_there {
            self.at += expected.len();
        }
        is_there
    }

    fn identifier(&mut self) -> Option<String> {
        let word = self.words.get(self.at)?;
        let name = match word.strip_prefix('`') {
            Some(quoted) => quoted.to_owned(),
            None if word.chars().all(|found| found.is_ascii_alphanumeric() || found == '_') => word.clone(),
            None => return None,
        };
        self.at += 1;
        Some(name)
    }

    /// Names with commas between them.
    fn identifiers(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(name) = self.identifier() {
            names.push(name);
            self.take(",");
        }
        names
    }

    /// The name behind the database's.
    fn qualified(&mut self) -> Option<String> {
        self.identifier()?;
        self.take(".").then(|| self.identifier())?
    }

    /// The table behind FROM, without its catalogue and database.
    fn selected_table(&mut self) -> Option<String> {
        let from = self.words.iter().position(|word| word.eq_ignore_ascii_case("FROM"))?;
        self.at = from + 1;
        let mut name = self.identifier()?;
        while self.take(".") {
            name = self.identifier()?;
        }
        Some(name)
    }

    /// What stands behind COMMENT, before the query.
    fn view_comment(&self) -> Option<String> {
        let query = self.words.iter().position(|word| word.eq_ignore_ascii_case("AS"))?;
        let literal = query.checked_sub(1).filter(|at| self.words[at - 1].eq_ignore_ascii_case("COMMENT"))?;
        self.words[literal].strip_prefix('"').map(str::to_owned)
    }

    fn literal(&mut self) -> Option<i64> {
        let value = self.words.get(self.at)?.strip_prefix('"')?.parse().ok()?;
        self.at += 1;
        Some(value)
    }

    fn text(&mut self) -> Option<String> {
        let text = self.words.get(self.at)?.strip_prefix('"')?.to_owned();
        self.at += 1;
        Some(text)
    }

    /// A clause that changes a table but not its name.
    fn alter(&mut self) -> Option<Alter> {
        if self.take("ADD COLUMN") {
            Some(Alter::AddColumn(self.identifier()?))
        } else if self.take("DROP COLUMN") {
            Some(Alter::DropColumn(self.identifier()?))
        } else if self.take("MODIFY COLUMN") {
            let column = self.identifier()?;
            if self.take("COMMENT") {
                return Some(Alter::ColumnComment { column, text: self.text()? });
            }
            let end =
                self.words.len().checked_sub(1).filter(|_| self.words.last().is_some_and(|w| w == "NULL"))?;
            Some(Alter::ModifyColumn { column, to: self.words[self.at..end].concat() })
        } else if self.take("MODIFY COMMENT") {
            Some(Alter::Comment(self.text()?))
        } else if self.take("RENAME COLUMN") {
            Some(Alter::RenameColumn { from: self.identifier()?, to: self.identifier()? })
        } else if self.take("RENAME PARTITION") {
            Some(Alter::RenamePartition { from: self.identifier()?, to: self.identifier()? })
        } else if self.take("RENAME ROLLUP") {
            Some(Alter::RenameRollup { from: self.identifier()?, to: self.identifier()? })
        } else if self.take("DROP ROLLUP") {
            Some(Alter::DropRollup(self.identifier()?))
        } else if self.take("DROP INDEX") {
            Some(Alter::DropIndex(self.identifier()?))
        } else if self.take("MODIFY DISTRIBUTION DISTRIBUTED BY") {
            let is_known = self.take("HASH ( `k ) BUCKETS") || self.take("RANDOM BUCKETS");
            is_known.then(|| self.words.get(self.at)?.parse().ok().map(Alter::Buckets))?
        } else if self.take("SET ( \"distribution_type = \"random )") {
            Some(Alter::Randomly)
        } else if self.take("SET (") {
            let key = self.text()?;
            let value = self.take("=").then(|| self.text())??;
            self.take(")").then_some(Alter::Set { key, value })
        } else {
            None
        }
    }

    /// `VALUES [("a"), ("b"))`.
    fn bounds(&mut self) -> Option<(i64, i64)> {
        let from = self.take("VALUES [ (").then(|| self.literal())??;
        let to = self.take(") , (").then(|| self.literal())??;
        self.take(") )").then_some((from, to))
    }

    fn create_table(&mut self) -> Option<Ddl> {
        let name = self.qualified()?;
        let (mut partitions, mut buckets, mut replicas) = (Vec::new(), 0, 0);
        let mut columns = Vec::new();
        while self.at < self.words.len() {
            if self.take("PARTITION BY") {
            } else if self.take("PARTITION") {
                let name = self.identifier()?;
                partitions.push(NewPartition { name, bounds: self.bounds()? });
            } else if self.take("BUCKETS") {
                buckets = self.words.get(self.at)?.parse().ok()?;
            } else {
                let allocation = self.words[self.at].strip_prefix("\"tag.location.default: ");
                if let Some(number) = allocation {
                    replicas = number.parse().ok()?;
                }
                if self.words.get(self.at + 1).is_some_and(|word| word == "int") {
                    columns.push(self.words[self.at].trim_start_matches('`').to_owned());
                }
                self.at += 1;
            }
        }
        Some(Ddl::CreateTable { name, columns, partitions, buckets, replicas })
    }
}

#[test]
fn knows_its_statements() {
    assert_eq!(
        recognise("TRUNCATE TABLE `d2`.`t` PARTITIONS (`p1`, `p2`)"),
        Some(Ddl::Truncate { table: "t".to_owned(), partitions: vec!["p1".to_owned(), "p2".to_owned()] })
    );
    let add = "ALTER TABLE `d2`.`t` ADD PARTITION IF NOT EXISTS `p` VALUES [(\"1\"), (\"10\")) \
               (\"version_info\" = \"1\") DISTRIBUTED BY HASH(`k`) BUCKETS 2";
    let partition = NewPartition { name: "p".to_owned(), bounds: (1, 10) };
    let is_temporary = false;
    assert_eq!(recognise(add), Some(Ddl::AddPartition { table: "t".to_owned(), partition, is_temporary }));
    let replace = "ALTER TABLE `d2`.`a` REPLACE WITH TABLE `b` PROPERTIES (\"swap\" = \"true\")";
    let (table, with) = ("a".to_owned(), "b".to_owned());
    assert_eq!(recognise(replace), Some(Ddl::ReplaceTable { table, with, swap: true }));
    assert_eq!(
        recognise("ALTER VIEW `d2`.`v` (`k`) AS SELECT `k` FROM `internal`.`d2`.`t`"),
        Some(Ddl::AlterView { name: "v".to_owned(), of: Some("t".to_owned()), comment: None })
    );
    assert_eq!(
        recognise("ALTER VIEW `d2`.`v` (`k`) COMMENT 'c' AS SELECT `k` FROM `internal`.`d2`.`t`"),
        None
    );
    assert_eq!(recognise("DROP DATABASE d2"), None);
}
