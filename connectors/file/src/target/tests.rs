use super::*;

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
    target: Target,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.txt");
    let target = Target::new(&path.display().to_string(), &Files::default());
    Place {
        _folder: folder,
        path,
        target,
    }
}

fn owner() -> Owner {
    Owner {
        cluster: "cluster".into(),
        connector: "copy".into(),
    }
}

fn one(from: Option<u64>, to: u64) -> Move {
    let at = TopicPartition {
        topic: "t".into(),
        partition: 0,
    };
    Move {
        at,
        topic_id: 7,
        from,
        to,
    }
}

impl Place {
    fn hold(&self) -> Held {
        self.target.hold(None).expect("usable").expect("free")
    }

    fn put(&self, from: Option<u64>, to: u64, lines: &str) -> Result<(), Error> {
        self.hold().put(&owner(), &[one(from, to)], lines.into())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).expect("it exists")).into_owned()
    }

    /// A crash after the commit, when so many bytes of the batch were in the file.
    fn crash(&self, to: u64, batch: &str, written: usize) {
        let mut held = self.hold();
        let now = held.file.metadata().expect("metadata");
        let mut positions = held.entry.state.positions.clone();
        positions.clear();
        positions.push(stored(&owner(), &one(None, to)));
        let state = State {
            device: now.dev(),
            inode: now.ino(),
            base: now.len(),
            positions,
        };
        held.entry
            .replace(&held.ledger, state, batch.into())
            .expect("stored");
        held.file
            .write_all(&batch.as_bytes()[..written])
            .expect("written");
    }
}

#[test]
fn a_batch_is_appended_once_however_often_it_comes() {
    let place = place();
    fs::write(&place.path, "theirs\n").expect("written");
    place.put(None, 2, "a\nb\n").expect("put");
    place.put(None, 2, "a\nb\n").expect("the same again");
    place.put(Some(2), 3, "c\n").expect("put");
    assert_eq!(place.text(), "theirs\na\nb\nc\n");
    let error = place
        .put(Some(2), 4, "x\n")
        .expect_err("somebody else went on");
    assert_eq!(error.code, Some("TL0714"));
    assert_eq!(
        place
            .hold()
            .position(&owner(), &one(None, 0).at)
            .map(|p| p.next),
        Some(3)
    );
}

#[test]
fn a_crash_at_any_byte_is_completed_and_nothing_is_written_twice() {
    let batch = "first\nsecond\n";
    for written in 0..=batch.len() {
        let place = place();
        place.put(None, 1, "before\n").expect("put");
        place.crash(3, batch, written);
        // The runtime asks for the position and goes on behind it.
        place.put(Some(3), 4, "after\n").expect("put");
        assert_eq!(place.text(), "before\nfirst\nsecond\nafter\n", "{written}");
    }
}

#[test]
fn what_a_power_cut_left_empty_is_filled() {
    let place = place();
    place.crash(3, "first\nsecond\n", 0);
    File::options()
        .append(true)
        .open(&place.path)
        .expect("open")
        .write_all(b"fir\0\0\0\0\0cond\n")
        .expect("written");
    place.hold();
    assert_eq!(place.text(), "first\nsecond\n");
}

#[test]
fn bytes_of_somebody_else_are_kept() {
    let place = place();
    place.crash(3, "first\nsecond\n", 3);
    File::options()
        .append(true)
        .open(&place.path)
        .expect("open")
        .write_all(b"theirs\n")
        .expect("written");
    place.hold();
    assert_eq!(place.text(), "firtheirs\nfirst\nsecond\n");
    place.hold();
    assert_eq!(place.text(), "firtheirs\nfirst\nsecond\n", "only once");
}

#[test]
fn a_rotated_file_is_begun_anew_and_nothing_is_missing() {
    let place = place();
    place.put(None, 1, "one\n").expect("put");
    fs::rename(&place.path, place.path.with_extension("1")).expect("rotated");
    place.put(Some(1), 2, "two\n").expect("put");
    assert_eq!(place.text(), "two\n");
    // Rotated between commit and append: the batch goes to the new file.
    place.crash(3, "three\n", 0);
    fs::rename(&place.path, place.path.with_extension("2")).expect("rotated");
    place.hold();
    assert_eq!(place.text(), "three\n");
}

#[test]
fn a_file_has_one_holder() {
    let place = place();
    let held = place.hold();
    assert!(place.target.hold(None).expect("usable").is_none());
    drop(held);
    place.hold();
}

#[test]
fn a_folder_that_is_missing_fails_and_what_may_pass_does_not() {
    let place = place();
    let nowhere = place.path.join("nowhere/out.txt").display().to_string();
    let error = Target::new(&nowhere, &Files::default())
        .hold(None)
        .expect_err("no folder");
    let kind = tapline_sdk::ErrorKind::Config;
    assert_eq!((error.code, error.kind), (Some("TL0710"), kind));
    let full = error::unwritable(&place.path, io::ErrorKind::StorageFull.into());
    assert_eq!(full.kind, tapline_sdk::ErrorKind::Retriable);
    fs::create_dir(&place.path).expect("a folder");
    let error = place.target.hold(None).expect_err("a folder is no file");
    assert_eq!(error.code, Some("TL0702"));
}

#[test]
fn positions_of_several_connectors_stand_beside_one_file() {
    let place = place();
    place.put(None, 1, "one\n").expect("put");
    let other = Owner {
        cluster: "cluster".into(),
        connector: "other".into(),
    };
    let mut held = place.hold();
    held.put(&other, &[one(None, 5)], b"five\n".to_vec())
        .expect("put");
    let next = |owner| {
        positions_of(&held.entry, owner)
            .into_values()
            .collect::<Vec<_>>()
    };
    assert_eq!((next(&owner()), next(&other)), (vec![1], vec![5]));
    assert_eq!(place.text(), "one\nfive\n");
}
