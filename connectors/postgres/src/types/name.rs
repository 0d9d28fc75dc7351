//! A type's name with its modifier: as SQL writes it, and as Debezium's source type parameters do.

use super::{
    catalog::{TypeCatalog, TypeKind},
    mapping::Declared,
    oids,
};

/// What `format_type` prints with an empty search path: `numeric(10,2)`, `character varying(20)[]`, `public.mood`.
/// Modifiers of types that are not Postgres' own are left out: only their own code can print them.
pub(crate) fn sql_name(types: &TypeCatalog, declared: Declared) -> String {
    let Declared { oid, typmod, .. } = declared;
    let Some(info) = types.get(oid) else {
        return builtin(oid, typmod).unwrap_or_else(|| "text".to_owned());
    };
    match &info.kind {
        // int2vector and its like are arrays that have names of their own.
        TypeKind::Array(item) if !matches!(oid, oids::INT2VECTOR | oids::OIDVECTOR) => {
            let item = Declared {
                oid: *item,
                ..declared
            };
            format!("{}[]", sql_name(types, item))
        }
        _ => builtin(oid, typmod).unwrap_or_else(|| match &*info.namespace {
            "pg_catalog" => quote(&info.name),
            namespace => format!("{}.{}", quote(namespace), quote(&info.name)),
        }),
    }
}

/// The types whose SQL name is not their catalogue name.
fn builtin(oid: u32, typmod: i32) -> Option<String> {
    let sized = |name: &str, len: i32| {
        if len < 0 {
            name.to_owned()
        } else {
            format!("{name}({len})")
        }
    };
    let timed = |name: &str, zone: &str| format!("{} {zone} time zone", sized(name, typmod));
    let below_header = if typmod < 4 { -1 } else { typmod - 4 };
    Some(match oid {
        oids::BOOL => "boolean".to_owned(),
        oids::CHAR => "\"char\"".to_owned(),
        oids::INT2 => "smallint".to_owned(),
        oids::INT4 => "integer".to_owned(),
        oids::INT8 => "bigint".to_owned(),
        oids::FLOAT4 => "real".to_owned(),
        oids::FLOAT8 => "double precision".to_owned(),
        oids::BPCHAR if below_header < 0 => "bpchar".to_owned(),
        oids::BPCHAR => sized("character", below_header),
        oids::VARCHAR => sized("character varying", below_header),
        oids::BIT if typmod < 0 => "\"bit\"".to_owned(),
        oids::BIT => sized("bit", typmod),
        oids::VARBIT => sized("bit varying", typmod),
        oids::TIME => timed("time", "without"),
        oids::TIMETZ => timed("time", "with"),
        oids::TIMESTAMP => timed("timestamp", "without"),
        oids::TIMESTAMPTZ => timed("timestamp", "with"),
        oids::INTERVAL => interval(typmod),
        oids::NUMERIC if below_header < 0 => "numeric".to_owned(),
        oids::NUMERIC => format!(
            "numeric({},{})",
            below_header >> 16,
            // 11 bits with sign.
            ((below_header & 0x7ff) ^ 1024) - 1024
        ),
        _ => return None,
    })
}

/// Fields in the upper half of the modifier, digits of the seconds in the lower.
fn interval(typmod: i32) -> String {
    const MONTH: i32 = 1 << 1;
    const YEAR: i32 = 1 << 2;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    const SECOND: i32 = 1 << 12;
    if typmod < 0 {
        return "interval".to_owned();
    }
    let fields = [
        (YEAR, " year"),
        (MONTH, " month"),
        (YEAR | MONTH, " year to month"),
        (DAY, " day"),
        (HOUR, " hour"),
        (MINUTE, " minute"),
        (SECOND, " second"),
        (DAY | HOUR, " day to hour"),
        (DAY | HOUR | MINUTE, " day to minute"),
        (DAY | HOUR | MINUTE | SECOND, " day to second"),
        (HOUR | MINUTE, " hour to minute"),
        (HOUR | MINUTE | SECOND, " hour to second"),
        (MINUTE | SECOND, " minute to second"),
    ];
    let range = (typmod >> 16) & 0x7fff;
    let words = fields.iter().find(|(mask, _)| *mask == range);
    let words = words.map_or("", |(_, words)| words);
    match typmod & 0xffff {
        0xffff => format!("interval{words}"),
        digits => format!("interval{words}({digits})"),
    }
}

/// An identifier that is safe in SQL; quoted unless it plainly need not be.
pub(crate) fn quote(name: &str) -> String {
    let plain = name.bytes().enumerate().all(|(at, byte)| match byte {
        b'a'..=b'z' | b'_' => true,
        b'0'..=b'9' => at > 0,
        _ => false,
    });
    // Keywords that are no type names; quoting any other name does no harm, so only short common ones matter.
    if plain && !name.is_empty() && !RESERVED.contains(&name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// SQL's reserved words, which cannot name a type or schema without quotes.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// The upper-case type name of `__debezium.source.column.type`.
pub(crate) fn parameter_name(types: &TypeCatalog, declared: Declared) -> String {
    let name = types.get(declared.oid).map_or("", |info| &*info.name);
    name.to_uppercase()
}

/// `__debezium.source.column.length` and `.scale`: the figures of the JDBC driver, which Debezium passes on.
pub(crate) fn length_and_scale(types: &TypeCatalog, declared: Declared) -> (i32, i32) {
    let (oid, typmod) = types.root(declared.oid, declared.typmod);
    let seconds = if typmod < 0 { 6 } else { typmod };
    // The driver's display size of a fraction of a second, point included.
    let fraction = match typmod {
        ..0 => 7,
        0 => 0,
        1 => 3,
        digits => digits + 1,
    };
    let unbounded = |len: i32| if len < 0 { i32::MAX } else { len };
    match oid {
        oids::BOOL | oids::CHAR => (1, 0),
        oids::INT2 => (5, 0),
        oids::INT4 | oids::OID => (10, 0),
        oids::INT8 => (19, 0),
        oids::FLOAT4 => (8, 8),
        oids::FLOAT8 => (17, 17),
        oids::NUMERIC if typmod < 4 => (0, 0),
        oids::NUMERIC => ((typmod - 4) >> 16, (typmod - 4) & 0xffff),
        oids::BPCHAR | oids::VARCHAR => (unbounded(if typmod < 4 { -1 } else { typmod - 4 }), 0),
        oids::DATE => (13, 0),
        oids::TIME => (8 + fraction, seconds),
        oids::TIMETZ => (14 + fraction, seconds),
        oids::TIMESTAMP => (22 + fraction, seconds),
        oids::TIMESTAMPTZ => (28 + fraction, seconds),
        oids::INTERVAL => (49, if typmod < 0 { 6 } else { typmod & 0xffff }),
        oids::BIT | oids::VARBIT => (unbounded(typmod), 0),
        _ => (i32::MAX, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(oid: u32, typmod: i32) -> String {
        let declared = Declared {
            oid,
            typmod,
            dimensions: 0,
        };
        sql_name(&TypeCatalog::default(), declared)
    }

    #[test]
    fn modifiers_are_printed_as_sql_writes_them() {
        assert_eq!(named(oids::NUMERIC, (10 << 16 | 2) + 4), "numeric(10,2)");
        assert_eq!(
            named(oids::NUMERIC, (5 << 16 | (0x7ff & -2)) + 4),
            "numeric(5,-2)"
        );
        assert_eq!(named(oids::VARCHAR, 24), "character varying(20)");
        assert_eq!(named(oids::BPCHAR, -1), "bpchar");
        assert_eq!(named(oids::TIMESTAMPTZ, 3), "timestamp(3) with time zone");
        assert_eq!(named(oids::INTERVAL, 0x7fff_0003), "interval(3)");
        assert_eq!(named(oids::INTERVAL, 0x0006_ffff), "interval year to month");
    }

    #[test]
    fn names_are_quoted_when_they_must_be() {
        assert_eq!(quote("mood"), "mood");
        assert_eq!(quote("Mood"), "\"Mood\"");
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote("user"), "\"user\"");
        assert_eq!(quote(""), "\"\"");
    }
}
