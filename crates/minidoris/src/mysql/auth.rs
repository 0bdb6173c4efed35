//! The handshake: greeting, the client's answer, and `mysql_native_password`.

use rand::Rng;
use sha1::{Digest, Sha1};

use super::capability::{
    CONNECT_WITH_DB, OFFERED, PLUGIN_AUTH, PLUGIN_AUTH_LENENC_DATA, PROTOCOL_41, SECURE_CONNECTION,
};
use super::wire::Reader;
use crate::access::accounts::PasswordHash;

pub const PLUGIN: &str = "mysql_native_password";
const SALT_LENGTH: usize = 20;
/// utf8_general_ci, which the greeting of Doris names.
const CHARSET: u8 = 33;

/// The random bytes that a client mixes with its password. None of them is zero.
pub type Salt = [u8; SALT_LENGTH];

/// What a client answers to the greeting.
#[derive(Debug, PartialEq, Eq)]
pub struct HandshakeResponse {
    pub capabilities: u32,
    pub user: String,
    pub auth: Vec<u8>,
    pub database: Option<String>,
    /// The plugin that made `auth`; absent from old clients, which use the native one.
    pub plugin: Option<String>,
}

pub fn new_salt() -> Salt {
    let mut random = rand::rng();
    std::array::from_fn(|_| random.random_range(1..=127))
}

/// The first packet of a connection.
pub fn greeting(bytes: &mut Vec<u8>, version: &str, connection_id: u32, salt: &Salt) {
    let capabilities = OFFERED.to_le_bytes();
    bytes.push(10);
    bytes.extend_from_slice(version.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&connection_id.to_le_bytes());
    bytes.extend_from_slice(&salt[..8]);
    bytes.push(0);
    bytes.extend_from_slice(&capabilities[..2]);
    bytes.push(CHARSET);
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&capabilities[2..]);
    bytes.push(u8::try_from(SALT_LENGTH + 1).expect("the salt is short"));
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend_from_slice(&salt[8..]);
    bytes.push(0);
    bytes.extend_from_slice(PLUGIN.as_bytes());
    bytes.push(0);
}

/// Asks the client to answer again with the native plugin.
pub fn switch_request(bytes: &mut Vec<u8>, salt: &Salt) {
    bytes.push(0xfe);
    bytes.extend_from_slice(PLUGIN.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(salt);
    bytes.push(0);
}

impl HandshakeResponse {
    /// `None` when the payload is not a response of protocol 4.1.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let capabilities = reader.u32()?;
        if capabilities & PROTOCOL_41 == 0 {
            return None;
        }
        // Longest packet, charset, filler.
        reader.take(4 + 1 + 23)?;
        let user = text(reader.until_zero());
        let auth = if capabilities & PLUGIN_AUTH_LENENC_DATA != 0 {
            let length = usize::try_from(reader.length()?).ok()?;
            reader.take(length)?.to_vec()
        } else if capabilities & SECURE_CONNECTION != 0 {
            let length = usize::from(reader.byte()?);
            reader.take(length)?.to_vec()
        } else {
            reader.until_zero().to_vec()
        };
        let database = (capabilities & CONNECT_WITH_DB != 0).then(|| text(reader.until_zero()));
        let plugin = (capabilities & PLUGIN_AUTH != 0).then(|| text(reader.until_zero()));
        Some(Self {
            capabilities,
            user,
            auth,
            database: database.filter(|name| !name.is_empty()),
            plugin: plugin.filter(|name| !name.is_empty()),
        })
    }
}

/// What COM_CHANGE_USER sends: user, proof, database, charset and plugin.
pub fn change_user(payload: &[u8]) -> Option<HandshakeResponse> {
    let mut reader = Reader::new(payload);
    let user = text(reader.until_zero());
    let length = usize::from(reader.byte()?);
    let auth = reader.take(length)?.to_vec();
    let database = Some(text(reader.until_zero())).filter(|name| !name.is_empty());
    // Old clients end here.
    let plugin = reader.take(2).map(|_| text(reader.until_zero())).filter(|name| !name.is_empty());
    Some(HandshakeResponse { capabilities: 0, user, auth, database, plugin })
}

/// Whether `answer` proves the password behind `hash`, which is SHA1(SHA1(password)): the answer is
/// SHA1(password) XOR SHA1(salt + hash). No password is proved by an empty answer.
pub fn proves(answer: &[u8], hash: Option<&PasswordHash>, salt: &Salt) -> bool {
    let Some(hash) = hash else { return answer.is_empty() };
    let Ok(answer) = <[u8; 20]>::try_from(answer) else { return false };
    let mixed: [u8; 20] = Sha1::new().chain_update(salt).chain_update(hash).finalize().into();
    let once: [u8; 20] = std::array::from_fn(|at| answer[at] ^ mixed[at]);
    <[u8; 20]>::from(Sha1::digest(once)) == *hash
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::accounts::hash;

    fn scramble(password: &str, salt: &Salt) -> [u8; 20] {
        let once: [u8; 20] = Sha1::digest(password).into();
        let twice: [u8; 20] = Sha1::digest(once).into();
        let mixed: [u8; 20] = Sha1::new().chain_update(salt).chain_update(twice).finalize().into();
        std::array::from_fn(|at| once[at] ^ mixed[at])
    }

    #[test]
    fn only_the_right_password_is_proved() {
        let salt = new_salt();
        let secret = hash("secret");
        assert!(proves(&scramble("secret", &salt), secret.as_ref(), &salt));
        assert!(!proves(&scramble("Secret", &salt), secret.as_ref(), &salt));
        assert!(!proves(&[], secret.as_ref(), &salt));
        assert!(proves(&[], None, &salt));
        assert!(!proves(&scramble("secret", &salt), None, &salt));
    }

    #[test]
    fn a_response_without_plugin_or_database_is_read() {
        let mut payload = (PROTOCOL_41 | SECURE_CONNECTION).to_le_bytes().to_vec();
        payload.extend_from_slice(&[0; 28]);
        payload.extend_from_slice(b"root\0\x02xy");
        let response = HandshakeResponse::parse(&payload).unwrap();
        assert_eq!((response.user.as_str(), &response.auth[..]), ("root", &b"xy"[..]));
        assert_eq!((response.database, response.plugin), (None, None));
        assert_eq!(HandshakeResponse::parse(&payload[..30]), None);
    }
}
