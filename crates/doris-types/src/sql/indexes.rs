//! Which indexes a definition has.

use super::tokens::significant_tokens;

/// Whether a CREATE TABLE names an index that is kept in files of its own, as inverted and vector indexes are.
/// Such files carry the index id in their name or inside, so the ids of a table that takes them over must be the
/// same. Text that cannot be read has none.
pub fn has_index_files(create_table: &str) -> bool {
    let tokens = significant_tokens(create_table).unwrap_or_default();
    tokens
        .windows(2)
        .any(|pair| pair[0].is_word("USING") && (pair[1].is_word("INVERTED") || pair[1].is_word("ANN")))
}

#[cfg(test)]
mod tests {
    use super::has_index_files;

    #[test]
    fn words_in_comments_and_names_do_not_count() {
        let table = |index: &str, comment: &str| {
            format!("CREATE TABLE `t` (`k` int, `using` int{index}) DUPLICATE KEY(`k`) COMMENT '{comment}'")
        };
        assert!(has_index_files(&table(", INDEX i (`k`) USING INVERTED", "")));
        assert!(has_index_files(&table(", INDEX i (`k`) using  inverted PROPERTIES(\"a\" = \"b\")", "")));
        assert!(has_index_files(&table(", INDEX i (`k`) USING ANN", "")));
        assert!(!has_index_files(&table(", INDEX i (`k`) USING NGRAM_BF", "")));
        assert!(!has_index_files(&table("", "an index USING INVERTED")));
        assert!(!has_index_files("CREATE TABLE 'unfinished"));
    }
}
