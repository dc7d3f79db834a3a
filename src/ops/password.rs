//! Passwords: rules, Argon2id hashes, and a constant-effort check.

use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::ExposeSecret;
pub use secrecy::SecretString;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::{Error, Result};

/// The shortest password.
pub const MIN_LENGTH: usize = 8;
/// The longest password, in bytes; more would only make the hash a burden.
pub const MAX_LENGTH: usize = 1024;
/// The longest user name, in characters.
pub(super) const MAX_NAME: usize = 64;

// 7 MiB, five passes, one lane: one of the equivalent settings that OWASP's password storage
// sheet recommends for Argon2id. The one with the least memory keeps a console small and
// four hashes at once harmless.
const MEMORY_KIB: u32 = 7 * 1024;
const PASSES: u32 = 5;
const LANES: u32 = 1;

/// The hash that is checked where there is no user to check against, so that an unknown
/// name costs as much time as a wrong password.
static DUMMY: LazyLock<String> = LazyLock::new(|| {
    hasher().and_then(|hasher| hash_with(&hasher, b"no user has this one")).unwrap_or_default()
});

/// Wraps a password so that it is never printed and is wiped when dropped.
pub fn secret(text: impl Into<String>) -> SecretString {
    SecretString::from(text.into())
}

/// Checks a new password against the rules.
///
/// # Errors
/// *Usage*, with the rule.
pub fn check_rules(password: &SecretString) -> Result<()> {
    let text = password.expose_secret();
    if text.chars().count() < MIN_LENGTH {
        return Err(Error::usage(format!(
            "the password is too short: at least {MIN_LENGTH} characters"
        ))
        .hint("a few words make a good one"));
    }
    if text.len() > MAX_LENGTH {
        return Err(Error::usage(format!("the password is too long: at most {MAX_LENGTH} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::usage("the password holds a control character"));
    }
    Ok(())
}

/// A user name in the one form it is stored and counted in: trimmed, NFKC, lower case. Control
/// characters, which no name has and not every engine stores, become a replacement character.
pub fn normalise_name(name: &str) -> String {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    name.nfkc().collect::<String>().trim().to_lowercase().nfkc().map(plain).collect()
}

/// Checks and normalises the name of a new platform user.
///
/// # Errors
/// *Usage*, with the rule.
pub fn new_name(name: &str) -> Result<String> {
    let name = normalise_name(name);
    let ok = !name.is_empty()
        && name.chars().count() <= MAX_NAME
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if ok {
        return Ok(name);
    }
    Err(Error::usage("that is not a user name")
        .hint("use 1 to 64 of a-z, 0-9, '.', '_' and '-', starting with a letter or a digit"))
}

/// Hashes a password; waits for a free place first.
pub async fn hash(places: &Arc<Semaphore>, password: &SecretString) -> Result<String> {
    let password = password.clone();
    in_place(places, move || hash_with(&hasher()?, password.expose_secret().as_bytes())).await
}

/// Checks a password against a stored hash, or against a dummy where there is none; the
/// effort is the same.
pub async fn verify(
    places: &Arc<Semaphore>,
    password: &SecretString,
    stored: Option<String>,
) -> Result<bool> {
    let password = password.clone();
    in_place(places, move || {
        let known = stored.is_some();
        let text = stored.unwrap_or_else(|| DUMMY.clone());
        let parsed = PasswordHash::new(&text)
            .map_err(|_| Error::failed("a stored password hash is damaged"))?;
        // Hashing nothing longer than the rules allow keeps a huge guess cheap.
        let guess = password.expose_secret().as_bytes();
        let guess = guess.get(..MAX_LENGTH.min(guess.len())).unwrap_or_default();
        let fits = password.expose_secret().len() <= MAX_LENGTH;
        let matches = hasher()?.verify_password(guess, &parsed).is_ok();
        Ok(matches && known && fits)
    })
    .await
}

async fn in_place<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(|_| Error::failed("the program is ending"))?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    })
    .await;
    done.map_err(|_| Error::failed("the password could not be hashed"))?
}

fn hasher() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|_| Error::failed("the settings of the password hash are not valid"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_with(hasher: &Argon2<'_>, password: &[u8]) -> Result<String> {
    hasher
        .hash_password(password)
        .map(|hash| hash.to_string())
        .map_err(|_| Error::failed("the password could not be hashed"))
}
