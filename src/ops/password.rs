//! Passwords: rules, Argon2id hashes, and a constant-effort check.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

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

/// The argument that makes the program check one password and end.
pub const CHILD: &str = "__check-password";
/// The child's exit code for a password that is right.
const RIGHT: i32 = 10;
/// The child's exit code for a password that is not.
const WRONG: i32 = 11;

// 7 MiB, five passes, one lane: one of the equivalent settings that OWASP's password storage
// sheet recommends for Argon2id. The one with the least memory keeps a console small and
// four hashes at once harmless.
const MEMORY_KIB: u32 = 7 * 1024;
const PASSES: u32 = 5;
const LANES: u32 = 1;

/// The hash that is checked where there is no user to check against, so that an unknown
/// name costs as much time as a wrong password. Nothing hashes to it.
const DUMMY: &str = "$argon2id$v=19$m=7168,t=5,p=1$bm8gdXNlciBoYXMgdGhpcw$\
                     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

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
///
/// With `program`, this program itself, the check runs in a short-lived child of it: what the
/// hash needs is then never part of a console's memory. A child that cannot be started is no
/// reason to keep anybody out.
pub async fn verify(
    places: &Arc<Semaphore>,
    password: &SecretString,
    stored: Option<String>,
    program: Option<PathBuf>,
) -> Result<bool> {
    let password = password.clone();
    in_place(places, move || {
        let known = stored.is_some();
        let text = stored.as_deref().unwrap_or(DUMMY);
        // Hashing nothing longer than the rules allow keeps a huge guess cheap.
        let guess = password.expose_secret().as_bytes();
        let fits = guess.len() <= MAX_LENGTH;
        let guess = guess.get(..MAX_LENGTH.min(guess.len())).unwrap_or_default();
        let matches = match program.and_then(|program| verify_in_child(&program, text, guess)) {
            Some(matches) => matches,
            None => verify_here(text, guess)?,
        };
        Ok(matches && known && fits)
    })
    .await
}

fn verify_here(stored: &str, guess: &[u8]) -> Result<bool> {
    let parsed = PasswordHash::new(stored)
        .map_err(|_| Error::failed("a stored password hash is damaged"))?;
    Ok(hasher()?.verify_password(guess, &parsed).is_ok())
}

/// Asks a child of `program`; none if it gave no verdict.
fn verify_in_child(program: &Path, stored: &str, guess: &[u8]) -> Option<bool> {
    let mut child = Command::new(program)
        .arg(CHILD)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // Through a pipe: neither arguments nor environment are private. Dropping it ends it.
    let told = child.stdin.take().map(|mut pipe| {
        pipe.write_all(stored.as_bytes())?;
        pipe.write_all(b"\n")?;
        pipe.write_all(guess)
    });
    // Reaped whatever came of the telling.
    let ended = child.wait().ok()?;
    told?.ok()?;
    match ended.code() {
        Some(RIGHT) => Some(true),
        Some(WRONG) => Some(false),
        _ => None,
    }
}

/// The child's part: reads a hash, a line end and a password, and gives the exit code.
pub fn answer_as_child(mut input: impl Read) -> u8 {
    const NO_VERDICT: u8 = 2;
    let mut told = Vec::new();
    let limit = u64::try_from(MAX_LENGTH * 2).unwrap_or(u64::MAX);
    if input.by_ref().take(limit).read_to_end(&mut told).is_err() {
        return NO_VERDICT;
    }
    let Some(end) = told.iter().position(|byte| *byte == b'\n') else {
        return NO_VERDICT;
    };
    let (stored, guess) = told.split_at(end);
    let verdict = std::str::from_utf8(stored)
        .ok()
        .and_then(|stored| verify_here(stored, guess.get(1..).unwrap_or_default()).ok());
    let code = match verdict {
        Some(true) => RIGHT,
        Some(false) => WRONG,
        None => return NO_VERDICT,
    };
    u8::try_from(code).unwrap_or(NO_VERDICT)
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
