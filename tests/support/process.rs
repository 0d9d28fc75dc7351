//! Child processes that end with their test, whatever way it ends.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

/// A child that is killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a command in a process group of its own; its output goes where the command says.
    pub fn spawn(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt;
        let child = command.stdin(Stdio::null()).process_group(0).spawn();
        Self {
            child: child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by name (`TERM`, `STOP`, `INT`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cannot send SIG{name}"
        );
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Waits for the end and returns the exit code, `None` after a signal.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().ok().and_then(|status| status.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener
        .local_addr()
        .expect("a bound listener has an address")
        .port()
}

/// A command that does not run as root: Postgres refuses to. A user namespace shows it another user while the files
/// stay ours.
pub fn unprivileged(program: &std::path::Path) -> Command {
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-user=1000", "--map-group=1000", "--"])
            .arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// Whether the long profile of the proofs is asked for (`make prove`).
pub fn proving() -> bool {
    std::env::var_os("TAPLINE_PROVE").is_some()
}

/// The seed of a random test: `TAPLINE_SEED`, or a new one, printed so that it can be given again.
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("TAPLINE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(1..1 << 32));
    eprintln!("{test}: TAPLINE_SEED={seed}");
    seed
}
