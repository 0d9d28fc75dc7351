//! `tapline passwd NAME`: a line of the file of users (`auth.users.file`), for a password from the standard input.
//!
//! Never from an argument, which every user of the machine can see, and never shown.

use super::{Failure, Found};
use crate::rest::auth::{self, Role};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use std::io::{self, IsTerminal, Read, Stdin, Write};
use tapline_sdk::{Error, Result};

/// Longer than any password; bounds what a wrong pipe is read.
const PASSWORD_BYTES_MAX: usize = 4096;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The user
    #[arg(value_name = "NAME")]
    name: String,
    /// What the user may do: connect, registry or monitor, several one after another; everything unless given
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
}

pub(super) fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let name = &arguments.name;
    if name.is_empty() || name.starts_with('#') || name.contains([':', '\n', '\r']) {
        let problem = "a user's name is not empty, does not begin with # and holds no colon";
        return Err(Error::config(problem)
            .code("TL0143")
            .remedy("choose another name")
            .into());
    }
    let stdin = io::stdin();
    let shown = Hidden::on(&stdin)?;
    let password = password(&stdin)?;
    drop(shown);
    write!(out, "{name}:{}", auth::hash(&password)?)?;
    for (number, role) in arguments.roles.iter().enumerate() {
        let separator = if number == 0 { ':' } else { ',' };
        write!(out, "{separator}{}", role.name())?;
    }
    writeln!(out)?;
    Ok(Found::Fine)
}

/// One line, or all there is.
fn password(stdin: &Stdin) -> Result<String> {
    let unusable = |why: &str| {
        Error::config(format!("cannot read a password: {why}"))
            .code("TL0143")
            .remedy("write it to the standard input, as one line of UTF-8")
    };
    let mut bytes = Vec::new();
    for byte in stdin.lock().bytes() {
        match byte.map_err(|error| unusable("the input fails").because(error))? {
            b'\n' => break,
            byte => bytes.push(byte),
        }
        if bytes.len() > PASSWORD_BYTES_MAX {
            return Err(unusable("it is longer than 4096 bytes"));
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8"))?;
    let text = text.strip_suffix('\r').unwrap_or(&text);
    match text.is_empty() {
        true => Err(unusable("there is none")),
        false => Ok(text.to_owned()),
    }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden<'a>(&'a Stdin, Option<Termios>);

impl<'a> Hidden<'a> {
    fn on(stdin: &'a Stdin) -> Result<Self> {
        if !stdin.is_terminal() {
            return Ok(Self(stdin, None));
        }
        let failed = |error| Error::fatal("cannot hide what is typed").because(error);
        let before = termios::tcgetattr(stdin).map_err(failed)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(stdin, OptionalActions::Now, &hidden).map_err(failed)?;
        // A prompt belongs where it is no output; without one the password is asked for all the same.
        let _unheard = io::stderr().write_all(b"password: ");
        Ok(Self(stdin, Some(before)))
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        if let Self(stdin, Some(before)) = self {
            let _closed = termios::tcsetattr(stdin, OptionalActions::Now, before);
            let _unheard = io::stderr().write_all(b"\n");
        }
    }
}
