use super::*;
use proptest::prelude::*;
use std::io::Write;

fn state(next: u64) -> State {
    let position = Stored {
        cluster: "cluster".into(),
        connector: "copy".into(),
        topic: "t".into(),
        topic_id: "0123456789abcdef0123456789abcdef".into(),
        partition: 0,
        next,
    };
    State {
        device: 1,
        inode: 2,
        base: 3,
        positions: vec![position],
    }
}

fn ledger() -> File {
    tempfile::tempfile().expect("a temporary file")
}

#[test]
fn every_entry_comes_back_and_the_one_before_stays_until_then() {
    let ledger = ledger();
    let mut entry = Entry::read(&ledger).expect("empty");
    assert_eq!(entry, Entry::default());
    // Sizes that fit before, behind and between what is there.
    for (number, size) in [10, 5000, 20, 0, 9000, 8000, 3].into_iter().enumerate() {
        let batch = vec![b'x'; size];
        let next = entry
            .replace(&ledger, state(number as u64), batch.clone())
            .expect("stored");
        let (from, upto) = (next.offset, next.end);
        assert!(
            entry.sequence == 0 || upto <= entry.offset || from >= entry.end,
            "{number} overwrites"
        );
        entry = Entry::read(&ledger).expect("whole");
        assert_eq!((entry.sequence, entry.applied), (number as u64 + 1, false));
        assert_eq!(
            (&entry.batch, &entry.state),
            (&batch, &state(number as u64))
        );
        entry.set_applied(&ledger).expect("marked");
        assert!(Entry::read(&ledger).expect("whole").applied);
        assert_eq!(
            Entry::latest_sequence(&ledger).expect("read"),
            entry.sequence
        );
    }
    assert!(
        ledger.metadata().expect("size").len() < 40_000,
        "the ledger grows without need"
    );
}

proptest! {
    #[test]
    fn a_torn_entry_is_the_one_before(cut in 0_usize..2000, garbage in any::<u8>()) {
        let ledger = ledger();
        let first = Entry::default().replace(&ledger, state(1), b"first\n".to_vec()).expect("stored");
        let mut before = Vec::new();
        (&ledger).read_to_end_at_start(&mut before);
        let second = first.replace(&ledger, state(2), b"second\n".to_vec()).expect("stored");
        let mut after = Vec::new();
        (&ledger).read_to_end_at_start(&mut after);
        // The bytes of the second entry, but for one of them.
        let at = cut % after.len();
        let changed = before.get(at) != after.get(at);
        let mut torn = after.clone();
        torn[at] ^= garbage | 1;
        let other = tempfile::tempfile().expect("a temporary file");
        (&other).write_all(&torn).expect("written");
        let read = Entry::read(&other);
        if changed {
            let sequence = read.expect("one is whole").sequence;
            prop_assert!(sequence == first.sequence || (12..16).contains(&at) || (524..528).contains(&at));
        } else if let Ok(entry) = read {
            prop_assert!(entry.sequence == second.sequence || entry.sequence == first.sequence);
        }
    }
}

/// Everything that a file holds, wherever it was read to.
trait ReadAll {
    fn read_to_end_at_start(self, into: &mut Vec<u8>);
}

impl ReadAll for &File {
    fn read_to_end_at_start(self, into: &mut Vec<u8>) {
        let size = self.metadata().expect("size").len() as usize;
        into.resize(size, 0);
        self.read_exact_at(into, 0).expect("read");
    }
}

#[test]
fn what_no_version_wrote_is_refused() {
    let other = ledger();
    (&other).write_all(&[7; 2000]).expect("written");
    assert!(matches!(Entry::read(&other), Err(Unusable::Damaged(_))));
}

#[test]
fn version_1_is_still_read() {
    let stored = include_bytes!("fixture-v1.bin");
    let file = ledger();
    (&file).write_all(stored).expect("written");
    let entry = Entry::read(&file).expect("whole");
    assert_eq!((entry.sequence, entry.applied), (2, true));
    assert_eq!((entry.state, entry.batch), (state(7), b"second\n".to_vec()));
}
