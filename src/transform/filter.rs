//! `Filter`: drops every record that it applies to, which its predicate says.

use super::{Keys, Step};
use tapline_sdk::{Issue, Record, RecordError, Transform};

struct Filter;

pub(super) fn make(keys: &Keys<'_>) -> Result<Step, Vec<Issue>> {
    let issues = keys.unknown(&[]);
    if issues.is_empty() {
        Ok(Step::Record(Box::new(Filter)))
    } else {
        Err(issues)
    }
}

impl Transform for Filter {
    fn apply(&mut self, _: Record) -> Result<Option<Record>, RecordError> {
        Ok(None)
    }
}
