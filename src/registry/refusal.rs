//! Why a request is not carried out: the error codes of Confluent's API, each with what its clients are told.

use std::fmt;
use tapline_sdk::Error;

/// A request that was not carried out.
#[derive(Debug)]
pub enum Refusal {
    /// 40401
    SubjectNotFound(String),
    /// 40402
    VersionNotFound(i32),
    /// 40403, with the id that was asked for, if one was
    SchemaNotFound(Option<i32>),
    /// 40404
    SubjectDeleted(String),
    /// 40405
    SubjectNotDeleted(String),
    /// 40406
    VersionDeleted(String, i32),
    /// 40407
    VersionNotDeleted(String, i32),
    /// 40408
    NoCompatibility(String),
    /// 40409
    NoMode(String),
    /// 409, with a reason for each incompatibility
    Incompatible(String, Vec<String>),
    /// 42201
    InvalidSchema(String),
    /// 42202
    InvalidVersion(String),
    /// 42203
    InvalidCompatibility(String),
    /// 42204
    InvalidMode(String),
    /// 42205
    NotPermitted(String),
    /// 42206: subject, version, and who refers to it
    Referenced(String, i32, String),
    /// 42208
    InvalidSubject(String),
    /// 422: the request asks for what is not there
    Unsupported(String),
    /// 50001
    Store(Error),
}

impl Refusal {
    /// The code that clients look at; its first three digits are the HTTP status.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::SchemaNotFound(_) => 40403,
            Self::SubjectDeleted(_) => 40404,
            Self::SubjectNotDeleted(_) => 40405,
            Self::VersionDeleted(..) => 40406,
            Self::VersionNotDeleted(..) => 40407,
            Self::NoCompatibility(_) => 40408,
            Self::NoMode(_) => 40409,
            Self::Incompatible(..) => 409,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::InvalidCompatibility(_) => 42203,
            Self::InvalidMode(_) => 42204,
            Self::NotPermitted(_) => 42205,
            Self::Referenced(..) => 42206,
            Self::InvalidSubject(_) => 42208,
            Self::Unsupported(_) => 422,
            Self::Store(_) => 50001,
        }
    }

    /// What is said of what is not there, or there no more.
    fn missing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubjectNotFound(subject) => write!(
                f,
                "Subject '{subject}' not found. (GET /subjects lists those that there are)"
            ),
            Self::VersionNotFound(version) => write!(
                f,
                "Version {version} not found. (GET /subjects/SUBJECT/versions lists those that there are)"
            ),
            Self::SchemaNotFound(None) => {
                f.write_str("Schema not found (GET /schemas lists those that there are)")
            }
            Self::SchemaNotFound(Some(id)) => write!(
                f,
                "Schema {id} not found (GET /schemas lists those that there are)"
            ),
            Self::SubjectDeleted(subject) => write!(
                f,
                "Subject '{subject}' is deleted already (use permanent=true to delete it for good)"
            ),
            Self::SubjectNotDeleted(subject) => write!(
                f,
                "Subject '{subject}' has versions in use (remove them without permanent=true first)"
            ),
            Self::VersionDeleted(subject, version) => write!(
                f,
                "Subject '{subject}' Version {version} is deleted already (use permanent=true to delete it for good)"
            ),
            Self::VersionNotDeleted(subject, version) => write!(
                f,
                "Subject '{subject}' Version {version} is in use (remove it without permanent=true first)"
            ),
            Self::NoCompatibility(subject) => write!(
                f,
                "Subject '{subject}' does not have subject-level compatibility configured \
                 (defaultToGlobal=true shows what holds; PUT sets it)"
            ),
            Self::NoMode(subject) => write!(
                f,
                "Subject '{subject}' does not have subject-level mode configured \
                 (defaultToGlobal=true shows what holds; PUT sets it)"
            ),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubjectNotFound(_)
            | Self::VersionNotFound(_)
            | Self::SchemaNotFound(_)
            | Self::SubjectDeleted(_)
            | Self::SubjectNotDeleted(_)
            | Self::VersionDeleted(..)
            | Self::VersionNotDeleted(..)
            | Self::NoCompatibility(_)
            | Self::NoMode(_) => self.missing(f),
            Self::Incompatible(subject, reasons) => write!(
                f,
                "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", \
                 details: [{}] (change the schema, or PUT another level to /config/{subject})",
                reasons.join(", ")
            ),
            Self::InvalidSchema(reason) => {
                write!(f, "Invalid schema: {reason} (correct the schema there)")
            }
            Self::InvalidVersion(version) => write!(
                f,
                "'{version}' is no version (give a number from 1 to 2147483647, or latest)"
            ),
            Self::InvalidCompatibility(level) => write!(
                f,
                "'{level}' is no compatibility level (use NONE, BACKWARD, FORWARD or FULL, the last three also with \
                 _TRANSITIVE)"
            ),
            Self::InvalidMode(mode) => write!(
                f,
                "'{mode}' is no mode (use READWRITE, READONLY, READONLY_OVERRIDE or IMPORT)"
            ),
            Self::NotPermitted(reason) => f.write_str(reason),
            Self::Unsupported(reason) => write!(f, "{reason} (leave it out)"),
            Self::Referenced(subject, version, user) => write!(
                f,
                "version {version} of subject '{subject}' is referred to by {user} (remove that first)"
            ),
            Self::InvalidSubject(reason) => {
                write!(f, "Invalid subject: {reason} (choose another subject)")
            }
            Self::Store(error) => {
                f.write_str(&error.chain())?;
                match &error.remedy {
                    Some(remedy) => write!(f, " ({remedy})"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
