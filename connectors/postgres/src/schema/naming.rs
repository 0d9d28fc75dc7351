//! Topic, schema and field names.

use crate::options::{MappingOptions, NameAdjustment};
use tapline_sdk::Error;

/// Kafka's limit on a topic's name.
const TOPIC_LENGTH_MAX: usize = 249;

/// `<prefix>.<schema>.<table>`, with what Kafka does not allow in a topic's name as `_`.
///
/// # Errors
/// If the name is longer than Kafka allows.
pub(crate) fn topic(options: &MappingOptions, schema: &str, table: &str) -> Result<String, Error> {
    let delimiter = &options.topic_delimiter;
    let name = format!(
        "{}{delimiter}{schema}{delimiter}{table}",
        options.topic_prefix
    );
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    if name.len() > TOPIC_LENGTH_MAX {
        let context = format!("topic name of table {schema}.{table} is longer than 249 characters");
        return Err(Error::config(context)
            .code("TL0351")
            .remedy("shorten topic.prefix, or leave the table out with table.exclude.list"));
    }
    Ok(name)
}

/// The name of a schema, dots kept.
pub(crate) fn schema_name(mode: NameAdjustment, name: &str) -> String {
    adjust(mode, name, |c| c == '.')
}

/// The name of a field.
pub(crate) fn field_name(mode: NameAdjustment, name: &str) -> String {
    adjust(mode, name, |_| false)
}

fn adjust(mode: NameAdjustment, name: &str, also_allowed: impl Fn(char) -> bool) -> String {
    let mut adjusted = String::with_capacity(name.len());
    for (at, c) in name.chars().enumerate() {
        let legal = c.is_ascii_alphabetic() || (c.is_ascii_digit() && at > 0) || also_allowed(c);
        match mode {
            NameAdjustment::None => adjusted.push(c),
            NameAdjustment::Avro if legal || c == '_' => adjusted.push(c),
            NameAdjustment::Avro => adjusted.push('_'),
            NameAdjustment::AvroUnicode if legal => adjusted.push(c),
            NameAdjustment::AvroUnicode => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    adjusted.push_str(&format!("_u{unit:04x}"));
                }
            }
        }
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_keep_what_kafka_allows() {
        let options = MappingOptions::lossless("shop", "db");
        assert_eq!(
            topic(&options, "public", "my table-é.x").unwrap(),
            "shop.public.my_table-_.x"
        );
        let error = topic(&options, "public", &"x".repeat(300)).unwrap_err();
        assert_eq!(error.code, Some("TL0351"));
    }

    #[test]
    fn names_are_adjusted_as_avro_needs() {
        let name = "1a-b.c_d";
        assert_eq!(schema_name(NameAdjustment::None, name), name);
        assert_eq!(schema_name(NameAdjustment::Avro, name), "_a_b.c_d");
        assert_eq!(field_name(NameAdjustment::Avro, name), "_a_b_c_d");
        assert_eq!(
            schema_name(NameAdjustment::AvroUnicode, "a-b_c"),
            "a_u002db_u005fc"
        );
    }
}
