//! Whole ALTER TABLE statements that name the source's database and table.

use super::RewriteError;
use super::edit::Statement;
use crate::sql::qualified_name;

/// Points a recorded `ALTER TABLE x …` at another table. A text that does not begin so is taken for what
/// follows the table name and gets the beginning.
///
/// # Errors
/// When the text cannot be cut into tokens, or no table name follows `ALTER TABLE`.
pub fn retarget_alter_table(sql: &str, target_db: &str, target_table: &str) -> Result<String, RewriteError> {
    let mut statement = Statement::new("ALTER TABLE", sql)?;
    let target = qualified_name(target_db, target_table);
    if statement.tokens.is_empty() {
        return Err(statement.unexpected(0, "an alter operation"));
    }
    if !statement.are_words(0, &["ALTER", "TABLE"]) {
        return Ok(format!("ALTER TABLE {target} {}", sql.trim_start()));
    }
    let name = statement.dotted_name(2)?;
    let bytes = statement.bytes(name.parts[0], name.parts[name.parts.len() - 1]);
    statement.replace(bytes, target);
    Ok(statement.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_name_is_replaced() {
        let sql = "ALTER TABLE `d1`.`t1` ADD COLUMN `t1` int NULL COMMENT \"`d1`.`t1`\" AFTER `x`, \nDROP COLUMN `d1`";
        assert_eq!(
            retarget_alter_table(sql, "d2", "t`2").unwrap(),
            "ALTER TABLE `d2`.`t``2` ADD COLUMN `t1` int NULL COMMENT \"`d1`.`t1`\" AFTER `x`, \nDROP COLUMN `d1`"
        );
    }

    #[test]
    fn names_of_any_number_of_parts_and_spacing() {
        for sql in ["alter table t DROP COLUMN c", "Alter /* t */ TABLE internal . d.t DROP COLUMN c"] {
            let done = retarget_alter_table(sql, "d", "t").unwrap();
            assert!(done.ends_with("`d`.`t` DROP COLUMN c"), "{done}");
        }
    }

    #[test]
    fn a_tail_gets_its_beginning() {
        assert_eq!(
            retarget_alter_table("SET (\"a\" = \"b\")", "d", "t").unwrap(),
            "ALTER TABLE `d`.`t` SET (\"a\" = \"b\")"
        );
        assert!(retarget_alter_table(" -- nothing", "d", "t").is_err());
        assert!(retarget_alter_table("ALTER TABLE 'x'", "d", "t").is_err());
    }
}
