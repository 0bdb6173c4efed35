//! `/*+ SET_VAR(name = value, …) */` behind SELECT: session variables for one query.

use crate::session::Session;
use crate::sql::lexer::{TokenKind, tokenize};

/// The session as the hints of a statement want it; `None` when there are none.
pub fn session(session: &Session, sql: &str) -> Option<Session> {
    let settings = settings(sql);
    if settings.is_empty() {
        return None;
    }
    let mut hinted = session.clone();
    hinted.variables.extend(settings);
    Some(hinted)
}

fn settings(sql: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some((_, hint)) = rest.split_once("/*+") {
        let Some((hint, after)) = hint.split_once("*/") else { break };
        rest = after;
        let Ok(tokens) = tokenize(hint) else { continue };
        let mut in_set_var = false;
        for window in tokens.windows(3) {
            in_set_var |= window[0].is_word("set_var");
            in_set_var &= !window[0].is_symbol(')');
            let TokenKind::Word(name) = &window[0].kind else { continue };
            let value = match &window[2].kind {
                TokenKind::Word(value) | TokenKind::Text(value) | TokenKind::Number(value) => value,
                TokenKind::Quoted(_) | TokenKind::Symbol(_) | TokenKind::End => continue,
            };
            if in_set_var && window[1].is_symbol('=') {
                found.push((name.to_lowercase(), value.clone()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::settings;

    #[test]
    fn hints_are_read_and_other_comments_are_not() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            settings("select /*+ SET_VAR(a = 1, B='x') */ c /* SET_VAR(d=2) */ from t /*+ leading(t) */"),
            vec![pair("a", "1"), pair("b", "x")]
        );
        assert_eq!(settings("select '/*+ x"), vec![]);
    }
}
