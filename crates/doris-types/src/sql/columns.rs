//! Which columns a definition has.

use super::quote::unquote_identifier;
use super::tokens::{TokenKind, significant_tokens};

/// The names of the columns in the text of SHOW CREATE TABLE, in its order, where they are always quoted. Text that
/// cannot be read has none.
pub fn column_names(create_table: &str) -> Vec<String> {
    let tokens = significant_tokens(create_table).unwrap_or_default();
    let mut names = Vec::new();
    let (mut depth, mut begins) = (0_u32, false);
    for token in tokens {
        let opens = token.is_punctuation('(');
        if begins && depth == 1 && token.kind == TokenKind::QuotedIdentifier {
            names.push(unquote_identifier(token.text));
        }
        if token.is_punctuation(')') {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                break;
            }
        }
        depth += u32::from(opens);
        begins = depth == 1 && (opens || token.is_punctuation(','));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::column_names;

    #[test]
    fn columns_are_told_from_everything_else() {
        let text = "CREATE TABLE `t` (\n  `k` int NULL COMMENT \"a, `b`\",\n  `a``b` decimal(10,2) AS ((`k` * CAST(`k` AS \
                    decimalv3(10,0)))) NULL,\n  `m` map<int,text> NULL,\n  INDEX i (`k`) USING INVERTED\n) ENGINE=OLAP\n\
                    DUPLICATE KEY(`k`, `a``b`)\nDISTRIBUTED BY HASH(`k`) BUCKETS 1";
        assert_eq!(column_names(text), ["k", "a`b", "m"]);
        assert!(column_names("CREATE TABLE 'unfinished").is_empty());
    }
}
