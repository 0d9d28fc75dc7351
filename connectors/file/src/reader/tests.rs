use super::*;
use crate::keys::{RECORD_FORMAT, SHRUNK, SOURCE_FILE, TOPIC};
use std::{io::Write, path::Path};
use tapline_sdk::{Config, Value};

/// A file that grows, and a reader of it.
struct Grown {
    _folder: tempfile::TempDir,
    path: PathBuf,
    settings: SourceSettings,
}

impl Grown {
    fn new(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("in.log");
        let file = path.display().to_string();
        let given = [(SOURCE_FILE.name(), file.as_str()), (TOPIC.name(), "t")];
        let given = given
            .iter()
            .chain(more)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let settings = SourceSettings::parse(&Config::new(given.collect())).expect("valid");
        Self {
            _folder: folder,
            path,
            settings,
        }
    }

    fn append(&self, bytes: &[u8]) {
        append(&self.path, bytes);
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .expect("it opens");
    file.write_all(bytes).expect("it is written");
}

/// Everything up to the next idle step: lines, position, what is waited for.
fn drain(reader: &mut Reader) -> (Vec<String>, Option<u64>, Waiting) {
    let (mut lines, mut position) = (Vec::new(), None);
    loop {
        match reader.step().expect("it reads") {
            Step::Batch(rows, at) => {
                lines.extend(rows.iter().map(|record| match record.value() {
                    Value::Text(text) => text.to_owned(),
                    Value::Struct(cells) => format!("{:?}", cells.iter().collect::<Vec<_>>()),
                    other => format!("{other:?}"),
                }));
                position = Some(at);
            }
            Step::Idle(what) => return (lines, position, what),
        }
    }
}

const KAFKA: [(&str, &str); 2] = [("record.format", "string"), ("file.shrunk", "wait")];

#[test]
fn a_missing_file_is_waited_for_and_a_partial_line_for_its_end() {
    let grown = Grown::new(&KAFKA);
    let mut reader = Reader::new(&grown.settings, 0);
    assert_eq!(drain(&mut reader).2, Waiting::File);
    grown.append("eins\nzw\u{f6}lf\r\npart".as_bytes());
    let (lines, position, waiting) = drain(&mut reader);
    assert_eq!(
        (lines, position, waiting),
        (
            vec!["eins".to_owned(), "zw\u{f6}lf".to_owned()],
            Some(13),
            Waiting::Lines
        )
    );
    grown.append(b"ial\n");
    let (lines, position, _) = drain(&mut reader);
    assert_eq!((lines, position), (vec!["partial".to_owned()], Some(21)));
}

#[test]
fn a_reader_goes_on_at_a_position() {
    let grown = Grown::new(&KAFKA);
    grown.append(b"one\ntwo\nthree\n");
    let mut reader = Reader::new(&grown.settings, 4);
    let (lines, position, _) = drain(&mut reader);
    assert_eq!(
        (lines, position),
        (vec!["two".to_owned(), "three".to_owned()], Some(14))
    );
}

#[test]
fn a_batch_holds_no_more_lines_than_asked_for() {
    let grown = Grown::new(&[KAFKA[0], KAFKA[1], ("batch.size", "2")]);
    grown.append(b"1\n2\n3\n");
    let mut reader = Reader::new(&grown.settings, 0);
    let mut sizes = Vec::new();
    for _ in 0..4 {
        match reader.step().expect("it reads") {
            Step::Batch(rows, position) => sizes.push((rows.len(), position)),
            Step::Idle(_) => {}
        }
    }
    assert_eq!(sizes, [(2, 4), (1, 6)]);
}

#[test]
fn a_shrunk_file_is_read_from_its_beginning_or_waited_for() {
    for (shrunk, expected) in [("restart", Some(0)), ("wait", None)] {
        let grown = Grown::new(&[(RECORD_FORMAT.name(), "string"), (SHRUNK.name(), shrunk)]);
        grown.append(b"one\ntwo\nhalf");
        let mut reader = Reader::new(&grown.settings, 0);
        assert_eq!(drain(&mut reader).1, Some(8));
        fs::write(&grown.path, b"new\n").expect("truncated and written");
        match (reader.step().expect("it looks"), expected) {
            (Step::Batch(rows, position), Some(at)) => assert_eq!((rows.len(), position), (0, at)),
            (Step::Idle(Waiting::Growth), None) => {}
            _ => panic!("{shrunk}"),
        }
        grown.append(b"then\nmore\n");
        let (lines, position, _) = drain(&mut reader);
        match expected {
            Some(_) => assert_eq!(
                (lines.join(" "), position),
                ("new then more".to_owned(), Some(14))
            ),
            // From byte 8 on, where a line of the old file ended.
            None => assert_eq!((lines.join(" "), position), (" more".to_owned(), Some(14))),
        }
        // The same when it has shrunk between two runs.
        let mut late = Reader::new(&grown.settings, 1000);
        match (late.step().expect("it looks"), expected) {
            (Step::Batch(_, 0), Some(_)) | (Step::Idle(Waiting::Growth), None) => {}
            _ => panic!("{shrunk}"),
        }
    }
}

#[test]
fn a_struct_keeps_every_byte() {
    let grown = Grown::new(&[("line.max.bytes", "16")]);
    let bytes = b"plain\ncrlf\r\n\xFF\n\n0123456789abcdefg\n";
    grown.append(bytes);
    let mut reader = Reader::new(&grown.settings, 0);
    let mut again = Vec::new();
    let mut messages = Vec::new();
    for _ in 0..3 {
        let Step::Batch(rows, _) = reader.step().expect("it reads") else {
            continue;
        };
        for record in rows.iter() {
            let Value::Struct(cells) = record.value() else {
                panic!("no struct")
            };
            let Value::Text(message) = cells.get(0) else {
                panic!("no message")
            };
            assert_eq!(cells.get(2), Value::Int(again.len() as i64), "offset");
            messages.push(message.to_owned());
            match cells.get(4) {
                Value::Bytes(raw) => again.extend(raw),
                _ => again.extend(message.as_bytes()),
            }
            if cells.get(5) == Value::Bool(false) {
                again.push(b'\n');
            }
        }
    }
    assert_eq!(
        messages,
        ["plain", "crlf", "\u{FFFD}", "", "0123456789abcdef", "g"]
    );
    assert_eq!(again, bytes);
}

#[test]
fn a_line_that_is_too_long_for_a_string_is_named() {
    let grown = Grown::new(&[KAFKA[0], ("line.max.bytes", "16")]);
    grown.append(b"ok\n0123456789abcdefg");
    let mut reader = Reader::new(&grown.settings, 3);
    let Err(error) = reader.step() else {
        panic!("not refused")
    };
    assert_eq!(error.code, Some("TL0703"));
    assert!(error.context.contains("byte 3"), "{}", error.context);
}

#[test]
fn a_folder_is_refused() {
    let grown = Grown::new(&[("file", "/")]);
    let Err(error) = Reader::new(&grown.settings, 0).step() else {
        panic!("not refused")
    };
    assert_eq!(error.code, Some("TL0702"));
}

#[test]
fn a_renamed_file_is_read_on_and_its_successor_is_told_of() {
    let grown = Grown::new(&KAFKA);
    grown.append(b"one\n");
    let mut reader = Reader::new(&grown.settings, 0);
    drain(&mut reader);
    let renamed = grown.path.with_extension("1");
    fs::rename(&grown.path, &renamed).expect("rotated");
    drain(&mut reader);
    assert_eq!(reader.told, None, "nothing stands at the path yet");
    grown.append(b"successor\n");
    append(&renamed, b"two\n");
    let (lines, position, _) = drain(&mut reader);
    assert_eq!((lines, position), (vec!["two".to_owned()], Some(8)));
    assert_eq!(reader.told, Some(Told::Replaced));
}

#[test]
fn a_source_without_a_file_is_refused() {
    let settings = [(TOPIC.name().to_owned(), "t".to_owned())];
    let error = SourceSettings::parse(&Config::new(settings.into())).expect_err("refused");
    assert_eq!(error.code, Some("TL0704"));
}
