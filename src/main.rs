//! The program: parses, runs, exits.

use std::process::ExitCode;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit};
use tenantpilot::ops::password;

fn main() -> ExitCode {
    // Whatever this program makes is for its owner alone, also where a library makes it.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    no_core_dumps();
    if std::env::args_os().nth(1).is_some_and(|argument| argument == password::CHILD) {
        return ExitCode::from(password::answer_as_child(std::io::stdin()));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else {
        return ExitCode::from(tenantpilot::cli::cannot_start());
    };
    let code = runtime.block_on(tenantpilot::cli::main(std::env::args_os()));
    // Something that still waits for the database or the terminal must not hold up the end.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// A core dump would hold passwords and tokens. The limit alone is not enough: a dump that goes to a
/// program is not bound by it.
fn no_core_dumps() {
    // A process that may not lower its own limits has no more to try.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
