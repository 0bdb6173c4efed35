//! CREATE, ALTER and DROP USER and ROLE, SET PASSWORD, GRANT and REVOKE.

use super::account_ast::{AccountStatement, GrantLevel, Granted, Grantee, NamedPrivilege, NewPassword};
use super::ast::Statement;
use super::lexer::TokenKind;
use super::parser::Parser;
use crate::access::UserIdentity;
use crate::error::{SqlError, SqlResult};

const INTERNAL: &str = "internal";

impl Parser<'_> {
    /// Behind CREATE USER.
    pub(super) fn create_user(&mut self) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists();
        let user = self.user()?;
        let password = self.optional_password()?;
        let mut role = None;
        if self.accept_words(&["default", "role"]) {
            role = Some(self.name_or_text()?);
        }
        self.skip_password_options();
        let comment = self.optional_comment()?;
        let created = AccountStatement::CreateUser { user, password, role, comment, if_not_exists };
        Ok(Statement::Account(created))
    }

    /// Behind ALTER USER.
    pub(super) fn alter_user(&mut self) -> SqlResult<Statement> {
        let if_exists = self.if_exists();
        let user = self.user()?;
        let password = self.optional_password()?;
        self.skip_password_options();
        self.optional_comment()?;
        Ok(Statement::Account(AccountStatement::AlterUser { user, password, if_exists }))
    }

    /// Behind DROP USER.
    pub(super) fn drop_user(&mut self) -> SqlResult<Statement> {
        let if_exists = self.if_exists();
        Ok(Statement::Account(AccountStatement::DropUser { user: self.user()?, if_exists }))
    }

    /// Behind CREATE ROLE.
    pub(super) fn create_role(&mut self) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists();
        let role = self.name_or_text()?;
        let comment = self.optional_comment()?;
        Ok(Statement::Account(AccountStatement::CreateRole { role, comment, if_not_exists }))
    }

    /// Behind DROP ROLE.
    pub(super) fn drop_role(&mut self) -> SqlResult<Statement> {
        let if_exists = self.if_exists();
        Ok(Statement::Account(AccountStatement::DropRole { role: self.name_or_text()?, if_exists }))
    }

    /// Behind SET PASSWORD: `[FOR user] = PASSWORD('plain')` or `= '*hash'`.
    pub(super) fn set_password(&mut self) -> SqlResult<Statement> {
        let user = if self.accept_word("for") { Some(self.user()?) } else { None };
        self.expect_symbol('=')?;
        let password = if self.accept_word("password") {
            self.expect_symbol('(')?;
            let text = self.text()?;
            self.expect_symbol(')')?;
            NewPassword::Plain(text)
        } else {
            NewPassword::Hashed(self.text()?)
        };
        Ok(Statement::Account(AccountStatement::SetPassword { user, password }))
    }

    /// `GRANT|REVOKE privileges ON [RESOURCE|WORKLOAD GROUP] x TO|FROM y`, `GRANT|REVOKE roles TO|FROM user`.
    pub(super) fn grant(&mut self, revoke: bool) -> SqlResult<Statement> {
        self.advance();
        let mut named = vec![self.named_privilege()?];
        while self.accept_symbol(',') {
            named.push(self.named_privilege()?);
        }
        let granted = if self.accept_word("on") {
            let on = if self.accept_word("resource") {
                GrantLevel::Resource(self.pattern_part()?)
            } else if self.accept_words(&["workload", "group"]) {
                GrantLevel::WorkloadGroup(self.pattern_part()?)
            } else {
                self.grant_level()?
            };
            Granted::Privileges { privileges: named, on }
        } else {
            Granted::Roles(named.into_iter().map(|one| one.name).collect())
        };
        self.expect_word(if revoke { "from" } else { "to" })?;
        let to = if self.at_word("role") && !matches!(self.peek_at(1).kind, TokenKind::End) {
            self.advance();
            Grantee::Role(self.name_or_text()?)
        } else {
            Grantee::User(self.user()?)
        };
        Ok(Statement::Account(AccountStatement::Grant { revoke, granted, to }))
    }

    /// A privilege with the columns it is limited to, or a role.
    fn named_privilege(&mut self) -> SqlResult<NamedPrivilege> {
        let name = self.name_or_text()?;
        let columns =
            if self.accept_symbol('(') { self.comma_list(')', Self::name_or_text)? } else { Vec::new() };
        Ok(NamedPrivilege { name, columns })
    }

    /// `*.*.*`, `[internal.]*.*`, `[internal.]db.*`, `[internal.]db.table`.
    fn grant_level(&mut self) -> SqlResult<GrantLevel> {
        let mut parts = vec![self.pattern_part()?];
        while parts.len() < 3 && self.accept_symbol('.') {
            parts.push(self.pattern_part()?);
        }
        let catalog = if parts.len() == 3 { parts.remove(0) } else { INTERNAL.to_owned() };
        let mut parts = parts.into_iter();
        match (catalog.as_str(), parts.next(), parts.next()) {
            ("*", Some(db), Some(table)) if db == "*" && table == "*" => Ok(GrantLevel::Global),
            (INTERNAL, Some(db), Some(table)) => Ok(match (db.as_str(), table.as_str()) {
                ("*", "*") => GrantLevel::Catalog,
                ("*", _) => {
                    return Err(SqlError::general(
                        "Do not support specifying table pattern without database",
                    ));
                }
                (_, "*") => GrantLevel::Database(db),
                _ => GrantLevel::Table(db, table),
            }),
            (_, Some(_), None) => Err(self.unexpected("'.'")),
            _ => Err(SqlError::general(format!("Unknown catalog {catalog}"))),
        }
    }

    fn pattern_part(&mut self) -> SqlResult<String> {
        if self.accept_symbol('*') { Ok("*".to_owned()) } else { self.name_or_text() }
    }

    /// `'u'@'h'`, `u@h`, `'u'`, `u`; any host when none is named.
    pub(super) fn user(&mut self) -> SqlResult<UserIdentity> {
        let first = self.name_or_text()?;
        // The lexer keeps `@` inside bare words: `u@` and `@` may stand before a quoted host.
        let (user, host) = match first.split_once('@') {
            Some((user, "")) => (user.to_owned(), self.host()?),
            Some((user, host)) => (user.to_owned(), host.to_owned()),
            None => {
                let next = match &self.peek().kind {
                    TokenKind::Word(word) => word.strip_prefix('@').map(str::to_owned),
                    TokenKind::Symbol('@') => Some(String::new()),
                    TokenKind::Quoted(_)
                    | TokenKind::Text(_)
                    | TokenKind::Number(_)
                    | TokenKind::Symbol(_)
                    | TokenKind::End => None,
                };
                match next {
                    None => (first, "%".to_owned()),
                    Some(host) => {
                        self.advance();
                        (first, if host.is_empty() { self.host()? } else { host })
                    }
                }
            }
        };
        if user.is_empty() {
            return Err(SqlError::general("Does not support anonymous user"));
        }
        Ok(UserIdentity { user, host })
    }

    fn host(&mut self) -> SqlResult<String> {
        if self.at_symbol('(') || self.at_symbol('[') {
            return Err(SqlError::general("accounts of a domain are not supported"));
        }
        self.name_or_text()
    }

    fn optional_password(&mut self) -> SqlResult<Option<NewPassword>> {
        if !self.accept_words(&["identified", "by"]) {
            return Ok(None);
        }
        let hashed = self.accept_word("password");
        let text = self.text()?;
        Ok(Some(if hashed { NewPassword::Hashed(text) } else { NewPassword::Plain(text) }))
    }

    /// PASSWORD_HISTORY, PASSWORD_EXPIRE…, ACCOUNT_LOCK: read over.
    fn skip_password_options(&mut self) {
        while !self.at_end() && !self.at_symbol(';') && !self.at_word("comment") {
            self.advance();
        }
    }
}
