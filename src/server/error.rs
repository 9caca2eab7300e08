//! Why the program ends: one line that names an object, a cause and a next step.

use std::{fmt, process::ExitCode};

/// `<object>: <cause>; <next step>`. Never holds a value, a key or a token.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    code: u8,
}

impl Error {
    /// Something to change in the command line or the configuration.
    pub fn usage(object: impl fmt::Display, cause: impl fmt::Display, next: impl fmt::Display) -> Self {
        Self { message: format!("{object}: {cause}; {next}"), code: USAGE }
    }

    /// Something that went wrong although the configuration may be right.
    pub fn failure(object: impl fmt::Display, cause: impl fmt::Display, next: impl fmt::Display) -> Self {
        Self { message: format!("{object}: {cause}; {next}"), code: FAILURE }
    }

    /// A failure whose own text names object, cause and next step.
    pub fn told(error: impl fmt::Display) -> Self {
        Self { message: error.to_string(), code: FAILURE }
    }

    /// A failure whose own text names cause and next step, but not in which object.
    pub fn about(object: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self { message: format!("{object}: {error}"), code: FAILURE }
    }

    /// The same as something to change in the configuration.
    pub fn as_usage(self) -> Self {
        Self { code: USAGE, ..self }
    }

    /// 2 for bad usage or configuration, 1 for anything else.
    pub fn exit_code(&self) -> ExitCode {
        self.code.into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
