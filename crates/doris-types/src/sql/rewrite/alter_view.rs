//! What makes a view that is there the same as another one, without dropping it.
//!
//! ALTER VIEW takes columns, their comments, and a query, or else the comment of the view: so it takes two
//! statements where the comment differs as well.

use super::RewriteError;
use super::create::Head;
use super::edit::Statement;
use super::view::rewrite_qualifiers;
use crate::sql::{TokenKind, qualified_name};

const CREATE_VIEW: &str = "CREATE VIEW";

/// Changes a view into what a CREATE VIEW says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewChange {
    /// Sets the columns and the query, and leaves the view's comment.
    pub definition: String,
    /// Sets the view's comment, or removes it.
    pub comment: String,
}

impl ViewChange {
    /// From the text of SHOW CREATE VIEW in one database, for a view of another one.
    ///
    /// # Errors
    /// When the text is no CREATE VIEW.
    pub fn new(create: &str, source_db: &str, target_db: &str, name: &str) -> Result<Self, RewriteError> {
        let mut statement = Statement::new(CREATE_VIEW, create)?;
        let Clauses { name_end, comment, query } = Clauses::find(&statement)?;
        let target = qualified_name(target_db, name);
        let head = statement.bytes(0, name_end - 1);
        statement.replace(head, format!("ALTER VIEW {target}"));
        let mut literal = "''";
        if let Some(at) = comment {
            literal = statement.tokens[at].text;
            let bytes = statement.tokens[at - 2].end()..statement.tokens[at].end();
            statement.replace(bytes, "");
        }
        let comment = format!("ALTER VIEW {target} MODIFY COMMENT {literal}");
        rewrite_qualifiers(&mut statement, query, source_db, target_db);
        Ok(Self { definition: statement.finish(), comment })
    }
}

/// The literal of a view's comment as its CREATE VIEW has it; `None` when it has none.
///
/// # Errors
/// When the text is no CREATE VIEW.
pub fn view_comment(create: &str) -> Result<Option<&str>, RewriteError> {
    let statement = Statement::new(CREATE_VIEW, create)?;
    Ok(Clauses::find(&statement)?.comment.map(|at| statement.tokens[at].text))
}

/// `CREATE VIEW name [(columns)] [COMMENT 'text'] AS query`: indexes of tokens.
struct Clauses {
    /// Behind the name.
    name_end: usize,
    /// The literal.
    comment: Option<usize>,
    /// The first of the query.
    query: usize,
}

impl Clauses {
    fn find(statement: &Statement<'_>) -> Result<Self, RewriteError> {
        let head = Head::parse(statement)?;
        if !head.is_view {
            return Err(statement.unexpected(1, "VIEW"));
        }
        let name_end = head.name.next;
        let mut at = name_end;
        if statement.is_mark(at, '(') {
            let mut depth = 0_isize;
            while at < statement.tokens.len() {
                depth += statement.depth_change(at);
                at += 1;
                if depth == 0 {
                    break;
                }
            }
        }
        let is_text = statement.tokens.get(at + 1).is_some_and(|token| token.kind == TokenKind::String);
        let comment = (statement.is_word(at, "COMMENT") && is_text).then_some(at + 1);
        let query = statement.expect_word(comment.map_or(at, |literal| literal + 1), "AS")?;
        Ok(Self { name_end, comment, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(create: &str) -> ViewChange {
        ViewChange::new(create, "d1", "d2", "v").expect("it is a view")
    }

    #[test]
    fn the_definition_goes_without_the_comment() {
        let create = "CREATE VIEW `old`\n(k,`a b` comment 'it\\'s (a) COMMENT')\n COMMENT 'a \\\"view\\\" AS' AS \
                      SELECT `internal`.`d1`.`t`.`k` AS `k`, 'd1' FROM `internal`.`d1`.`t`;";
        assert_eq!(
            change(create),
            ViewChange {
                definition: "ALTER VIEW `d2`.`v`\n(k,`a b` comment 'it\\'s (a) COMMENT') AS \
                             SELECT `internal`.`d2`.`t`.`k` AS `k`, 'd1' FROM `internal`.`d2`.`t`;"
                    .to_owned(),
                comment: "ALTER VIEW `d2`.`v` MODIFY COMMENT 'a \\\"view\\\" AS'".to_owned(),
            }
        );
        assert_eq!(view_comment(create), Ok(Some("'a \\\"view\\\" AS'")));
    }

    #[test]
    fn a_comment_that_is_not_there_is_removed() {
        let create = "CREATE VIEW `v` AS SELECT 1 AS `comment`;";
        let ViewChange { definition, comment } = change(create);
        assert_eq!(definition, "ALTER VIEW `d2`.`v` AS SELECT 1 AS `comment`;");
        assert_eq!(comment, "ALTER VIEW `d2`.`v` MODIFY COMMENT ''");
        assert_eq!(view_comment(create), Ok(None));
    }

    #[test]
    fn what_is_no_view_is_refused() {
        for text in
            ["CREATE TABLE `t` (`k` int)", "CREATE VIEW `v` (k", "CREATE VIEW `v` COMMENT AS SELECT 1"]
        {
            assert!(ViewChange::new(text, "d1", "d2", "v").is_err(), "{text}");
        }
    }
}
