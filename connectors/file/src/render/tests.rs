use super::*;
use tapline_sdk::{Cell, Field, Head, Partition, Shape, Type};

fn rows(schema: Arc<Schema>, cells: impl FnOnce(&mut Rows) -> Vec<Cell>) -> Rows {
    let mut rows = Rows::default();
    let shape = rows.shape(Shape {
        topic: "t".into(),
        key: None,
        value: Some(schema),
    });
    for value in cells(&mut rows) {
        rows.push(Head {
            shape,
            partition: Partition::ByKey,
            key: Cell::Null,
            value,
            timestamp_ms: None,
            transaction: None,
        });
    }
    rows
}

fn written(rows: &Rows, format: LineFormat) -> String {
    String::from_utf8(lines(rows, format)).expect("UTF-8")
}

#[test]
fn texts_and_numbers_are_written_bare() {
    let texts = rows(Schema::string(), |rows| {
        vec![
            rows.arena_mut().text("a b"),
            rows.arena_mut().text(""),
            Cell::Null,
        ]
    });
    for format in [LineFormat::Plain, LineFormat::Java] {
        assert_eq!(written(&texts, format), "a b\n\nnull\n");
    }
    let floats = [
        1.0,
        0.1,
        1e7,
        1.5e-5,
        -123456.75,
        0.0,
        f64::NAN,
        f64::NEG_INFINITY,
    ];
    let floats = rows(Schema::of(Type::Float64).build(), |_| {
        floats.map(Cell::Float).to_vec()
    });
    assert_eq!(
        written(&floats, LineFormat::Java),
        "1.0\n0.1\n1.0E7\n1.5E-5\n-123456.75\n0.0\nNaN\n-Infinity\n"
    );
}

#[test]
fn structs_are_json_or_javas() {
    let schema = Schema::structure(vec![
        Field {
            name: "id".into(),
            schema: Schema::of(Type::Int32).build(),
        },
        Field {
            name: "name".into(),
            schema: Schema::of(Type::Text).optional().build(),
        },
        Field {
            name: "tags".into(),
            schema: Schema::of(Type::Array(Schema::string())).build(),
        },
        Field {
            name: "by".into(),
            schema: Schema::of(Type::Map(Schema::string(), Schema::of(Type::Bool).build())).build(),
        },
    ]);
    let rows = rows(schema.build(), |rows| {
        let arena = rows.arena_mut();
        let (x, y) = (arena.text("x\"\n"), arena.text("y"));
        let tags = arena.block_of(&[x, y]).array();
        let by = arena.block_of(&[y, Cell::Bool(true)]).map();
        vec![
            arena
                .block_of(&[Cell::Int(7), Cell::Null, tags, by])
                .structure(),
        ]
    });
    assert_eq!(
        written(&rows, LineFormat::Plain),
        "{\"id\":7,\"name\":null,\"tags\":[\"x\\\"\\n\",\"y\"],\"by\":{\"y\":true}}\n"
    );
    assert_eq!(
        written(&rows, LineFormat::Java),
        "Struct{id=7,tags=[x\"\n, y],by={y=true}}\n"
    );
}
