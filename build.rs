//! Tells the program which commit it was built from, where that can be told, and links what has to
//! run before Rust's runtime.

use std::env;
use std::path::Path;
use std::process::Command;

const STARTUP: &str = "src/startup.c";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let commit = commit(Path::new(&root)).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=TENANTPILOT_COMMIT={commit}");
    println!("cargo:rerun-if-changed={STARTUP}");
    for object in cc::Build::new().file(STARTUP).compile_intermediates() {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
}

/// The commit of the repository whose root this is. Sources unpacked somewhere inside
/// another repository have none.
fn commit(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // Every commit and checkout adds a line there.
    let log = git(root, &["rev-parse", "--git-path", "logs/HEAD"])?;
    let log = root.join(log);
    if log.exists() {
        println!("cargo:rerun-if-changed={}", log.display());
    }
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
