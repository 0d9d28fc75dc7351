//! Batches against another implementation's decoder, against themselves, and against damage at every place.

use super::{
    Batch, BatchBuilder, BatchError, BatchReader, Batches, Compression, HEADER_BYTES, Header,
    Problem, set_base_offset,
};
use bytes::Bytes;
use kafka_protocol::records::{self, RecordBatchDecoder, TimestampType};
use proptest::{collection::vec, option, prelude::*};
use std::io::Read;

const CODECS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Row {
    fn new(timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        Self {
            timestamp_ms,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: Vec::new(),
        }
    }

    fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> + Clone {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

fn build(builder: &mut BatchBuilder, rows: &[Row], compression: Compression) -> Bytes {
    for row in rows {
        builder
            .append(
                row.key.as_deref(),
                row.value.as_deref(),
                row.timestamp_ms,
                row.headers(),
            )
            .unwrap();
    }
    builder.finish(compression).unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<(u64, Row)>, BatchError> {
    let mut reader = BatchReader::new();
    let mut rows = Vec::new();
    for batch in Batches::new(bytes) {
        for record in reader.read(&batch?)? {
            let record = record?;
            let headers = record
                .headers
                .map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)))
                .collect();
            let row = Row {
                headers,
                ..Row::new(record.timestamp_ms, record.key, record.value)
            };
            rows.push((record.offset, row));
        }
    }
    Ok(rows)
}

fn numbered(rows: &[Row], base: u64) -> Vec<(u64, Row)> {
    (base..).zip(rows.iter().cloned()).collect()
}

/// What kafka-protocol makes of a batch; lz4 frames are unpacked by lz4_flex's own frame reader.
fn read_by_another(batch: &Bytes) -> Vec<(u64, Row)> {
    let unpack = |packed: &mut Bytes, codec: records::Compression| {
        let mut plain = Vec::new();
        match codec {
            records::Compression::None => plain.extend_from_slice(packed),
            records::Compression::Lz4 => {
                lz4_flex::frame::FrameDecoder::new(packed.as_ref()).read_to_end(&mut plain)?;
            }
            records::Compression::Zstd => {
                zstd::Decoder::new(packed.as_ref())?.read_to_end(&mut plain)?;
            }
            other => panic!("{other:?} was not asked for"),
        }
        Ok(Bytes::from(plain))
    };
    let mut rest = batch.clone();
    let set = RecordBatchDecoder::decode_with_custom_compression(&mut rest, Some(unpack)).unwrap();
    assert!(rest.is_empty(), "one batch was given");
    let rows = set.records.into_iter().map(|record| {
        assert_eq!(record.timestamp_type, TimestampType::Creation);
        assert_eq!((record.producer_id, record.producer_epoch), (-1, -1));
        let headers = record.headers.into_iter();
        let row = Row {
            headers: headers
                .map(|(name, value)| (name.to_string(), value.map(|value| value.to_vec())))
                .collect(),
            ..Row::new(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
            )
        };
        (u64::try_from(record.offset).unwrap(), row)
    });
    rows.collect()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let bytes = || option::of(vec(any::<u8>(), 0..200));
    // Distinct names: the other decoder keeps headers in a map.
    let headers = vec(bytes(), 0..4).prop_map(|values| {
        let named = |(index, value)| (format!("h-{index}-ß"), value);
        values.into_iter().enumerate().map(named).collect()
    });
    let row = (any::<i64>(), bytes(), bytes(), headers).prop_map(
        |(timestamp_ms, key, value, headers)| Row {
            timestamp_ms: timestamp_ms / 4,
            key,
            value,
            headers,
        },
    );
    vec(row, 1..40)
}

/// A few rows of each shape, above the size below which nothing is compressed.
fn samples() -> Vec<Row> {
    let mut rows: Vec<Row> = (0..40_u8)
        .map(|n| {
            let value = format!(
                "{{\"id\":{n},\"name\":\"customer {n}\",\"note\":\"{}\"}}",
                "x".repeat(100)
            );
            Row::new(
                1_700_000_000_000 + i64::from(n),
                Some(&[n]),
                Some(value.as_bytes()),
            )
        })
        .collect();
    rows[3].value = None;
    rows[4].key = None;
    rows[5].headers = vec![("a".into(), Some(b"1".to_vec())), ("b".into(), None)];
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_decoder_and_our_own_read_what_was_appended(rows in rows(), base in 0..u64::from(u32::MAX)) {
        let mut builder = BatchBuilder::new();
        for codec in CODECS {
            let mut batch = build(&mut builder, &rows, codec).to_vec();
            set_base_offset(&mut batch, base);
            let header = Header::parse(&batch).unwrap();
            prop_assert_eq!(header.count as usize, rows.len());
            prop_assert_eq!(header.last_offset(), base + rows.len() as u64 - 1);
            prop_assert_eq!(header.bytes, batch.len());
            prop_assert_eq!(Some(header.max_timestamp_ms), rows.iter().map(|row| row.timestamp_ms).max());
            let expected = numbered(&rows, base);
            prop_assert_eq!(read(&batch).unwrap(), expected.clone());
            prop_assert_eq!(read_by_another(&Bytes::from(batch)), expected);
        }
    }

    #[test]
    fn a_value_written_in_place_gives_the_same_bytes(rows in rows(), long in 0..20_000_usize) {
        let mut rows = rows;
        rows[0].value = Some(vec![7; long]);
        rows[0].headers = vec![("n".repeat(long / 2), Some(vec![1; long]))];
        let mut builder = BatchBuilder::new();
        for row in &mut rows {
            let value = row.value.get_or_insert_default().clone();
            let key = row.key.as_deref();
            builder.append_with::<_, BatchError>(key, row.timestamp_ms, row.headers(), |out| {
                out.extend_from_slice(&value);
                Ok(())
            }).unwrap();
        }
        let in_place = builder.finish(Compression::None).unwrap();
        prop_assert_eq!(in_place, build(&mut builder, &rows, Compression::None));
    }

    #[test]
    fn random_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..400), codec in 0..8_u8) {
        // Behind a valid checksum, so that the decoders see the bytes.
        let mut batch = BatchBuilder::new();
        batch.append(None, None, 0, []).unwrap();
        let mut batch = batch.finish(Compression::None).unwrap().to_vec();
        batch.truncate(HEADER_BYTES);
        batch.extend_from_slice(&bytes);
        batch[22] = codec;
        reseal(&mut batch);
        prop_assert!(read(&batch).is_err());
        let _ = read(&bytes);
    }

    #[test]
    fn damaged_compressed_records_are_refused_without_a_panic(at in 0..10_000_usize, bits in 1..=255_u8) {
        let rows = samples();
        for codec in [Compression::Lz4, Compression::Zstd] {
            let mut batch = build(&mut BatchBuilder::new(), &rows, codec).to_vec();
            let place = HEADER_BYTES + at % (batch.len() - HEADER_BYTES);
            batch[place] ^= bits;
            // A valid checksum over damage: what is read may differ, but must end, within bounds.
            reseal(&mut batch);
            if let Ok(read) = read(&batch) {
                prop_assert_eq!(read.len(), rows.len());
            }
        }
    }
}

/// Sets length and checksum right, as a hostile producer would.
fn reseal(batch: &mut [u8]) {
    let length = i32::try_from(batch.len() - super::PREFIX_BYTES).unwrap();
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = super::crc(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

#[test]
fn the_checksum_is_crc_32c() {
    assert_eq!(super::crc(b"123456789"), 0xE306_9283);
}

#[test]
fn every_truncation_is_an_error_that_says_what_is_missing() {
    for codec in CODECS {
        let first = build(&mut BatchBuilder::new(), &samples(), codec);
        let whole = [first.as_ref(), first.as_ref()].concat();
        for cut in first.len() + 1..whole.len() {
            let mut batches = Batches::new(&whole[..cut]);
            assert!(batches.next().unwrap().is_ok());
            let error = batches.next().unwrap().unwrap_err();
            assert!(error.is_truncated(), "{cut}: {error}");
            assert_eq!(error.at, first.len() as u64);
            assert_eq!(batches.at(), first.len() as u64);
            assert!(batches.next().is_none());
        }
    }
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    for codec in CODECS {
        let whole = build(&mut BatchBuilder::new(), &samples(), codec).to_vec();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let outcome = read(&damaged);
            // Base offset (but its sign) and leader epoch are the broker's to set and not under the checksum.
            let free = bit / 8 < 8 || (12..16).contains(&(bit / 8));
            assert_eq!(outcome.is_err(), !free || bit == 7, "{codec:?}, bit {bit}");
        }
    }
}

#[test]
fn records_cut_inside_a_valid_batch_are_refused_at_every_byte() {
    for codec in CODECS {
        let whole = build(&mut BatchBuilder::new(), &samples(), codec).to_vec();
        for cut in HEADER_BYTES..whole.len() {
            let mut batch = whole[..cut].to_vec();
            reseal(&mut batch);
            assert!(read(&batch).is_err(), "{codec:?} cut at {cut}");
        }
    }
}

#[test]
fn small_and_incompressible_batches_stay_plain() {
    let mut builder = BatchBuilder::new();
    let small = [Row::new(1, None, Some(&[b'x'; 4_000]))];
    let noise: Vec<u8> = {
        let mut random = fastrand::Rng::with_seed(1);
        (0..100_000).map(|_| random.u8(..)).collect()
    };
    let noise = [Row::new(1, None, Some(&noise))];
    for codec in CODECS {
        for rows in [&small, &noise] {
            let batch = build(&mut builder, rows, codec);
            let header = Header::parse(&batch).unwrap();
            assert_eq!(header.compression().unwrap(), Compression::None);
        }
    }
}

#[test]
fn large_and_mixed_blocks_pass_lz4() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut value = vec![b'a'; 5 << 20];
    // Noise in the second block of 4 MiB: it is stored, the first is packed.
    value[4 << 20..].fill_with(|| random.u8(..));
    for bytes in [5 << 20, 65_000, 66_000, 300_000, 1_100_000] {
        let rows = [Row::new(5, None, Some(&value[value.len() - bytes..]))];
        let rows = [rows[0].clone(), Row::new(6, None, Some(&value[..bytes]))];
        let batch = build(&mut BatchBuilder::new(), &rows, Compression::Lz4);
        assert_eq!(read(&batch).unwrap(), numbered(&rows, 0));
        assert_eq!(read_by_another(&batch), numbered(&rows, 0));
    }
}

#[test]
fn frames_of_other_lz4_writers_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let plain = build(&mut BatchBuilder::new(), &samples(), Compression::None).to_vec();
    let frame = |info: FrameInfo| {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&plain[HEADER_BYTES..]).unwrap();
        let mut batch = plain[..HEADER_BYTES].to_vec();
        batch.extend_from_slice(&encoder.finish().unwrap());
        batch[22] = 3;
        reseal(&mut batch);
        batch
    };
    let checked = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_checksums(true)
        .content_checksum(true)
        .content_size(Some((plain.len() - HEADER_BYTES) as u64));
    assert_eq!(read(&frame(checked)).unwrap(), numbered(&samples(), 0));
    let linked = FrameInfo::new().block_mode(BlockMode::Linked);
    let error = read(&frame(linked)).unwrap_err().to_string();
    assert!(error.contains("depend on each other"), "{error}");
}

#[test]
fn unpacking_stops_at_the_limit() {
    let rows = [Row::new(1, None, Some(&vec![0; 10 << 20]))];
    for codec in CODECS {
        let bytes = build(&mut BatchBuilder::new(), &rows, codec);
        let batch = Batch::parse(&bytes, 0).unwrap();
        let problem = BatchReader::with_limit(1 << 20)
            .read(&batch)
            .err()
            .unwrap()
            .problem;
        assert_eq!(problem, Problem::TooLarge { limit: 1 << 20 }, "{codec:?}");
        assert!(BatchReader::with_limit(11 << 20).read(&batch).is_ok());
    }
}

#[test]
fn codecs_that_are_not_built_in_are_named() {
    let plain = build(&mut BatchBuilder::new(), &samples(), Compression::None);
    for (id, name) in [(1, "gzip"), (2, "snappy")] {
        let mut batch = plain.to_vec();
        batch[22] = id;
        reseal(&mut batch);
        let error = tapline_sdk::Error::from(read(&batch).unwrap_err());
        assert!(error.context.contains(name), "{error}");
        assert_eq!(error.code, Some("TL0281"));
    }
}

#[test]
fn another_magic_is_told_from_damage() {
    let mut batch = build(&mut BatchBuilder::new(), &samples(), Compression::None).to_vec();
    batch[16] = 1;
    assert_eq!(read(&batch).unwrap_err().problem, Problem::Magic(1));
}

#[test]
fn a_failed_value_leaves_the_builder_as_it_was() {
    let mut builder = BatchBuilder::new();
    let rows = [Row::new(9, Some(b"k"), Some(b"v"))];
    builder.append(Some(b"k"), Some(b"v"), 9, []).unwrap();
    let failed: Result<(), BatchError> = builder.append_with(None, 99, [], |out| {
        out.extend_from_slice(b"half");
        Err(BatchError {
            at: 0,
            problem: Problem::Magic(0),
        })
    });
    assert!(failed.is_err());
    let robbed: Result<(), BatchError> = builder.append_with(None, 99, [], |out| {
        out.truncate(out.len() - 1);
        Ok(())
    });
    assert!(robbed.unwrap_err().to_string().contains("took bytes away"));
    let batch = builder.finish(Compression::None).unwrap();
    assert_eq!(read(&batch).unwrap(), numbered(&rows, 0));
    assert_eq!(Header::parse(&batch).unwrap().max_timestamp_ms, 9);
    assert!(builder.is_empty() && builder.finish(Compression::None).is_err());
}

#[test]
fn log_append_time_replaces_the_records_own() {
    let mut batch = build(&mut BatchBuilder::new(), &samples(), Compression::None).to_vec();
    batch[22] |= 1 << 3;
    reseal(&mut batch);
    let max = Header::parse(&batch).unwrap().max_timestamp_ms;
    assert!(
        read(&batch)
            .unwrap()
            .iter()
            .all(|(_, row)| row.timestamp_ms == max)
    );
}

#[test]
fn a_compacted_batch_keeps_its_offsets() {
    // Two of five records: what compaction leaves of a batch.
    let mut batch = build(
        &mut BatchBuilder::new(),
        &[Row::new(1, None, None), Row::new(1, None, None)],
        Compression::None,
    )
    .to_vec();
    batch[26] = 4;
    // The second record's offset delta, zigzag of 4.
    let second = HEADER_BYTES + (batch.len() - HEADER_BYTES) / 2;
    batch[second + 3] = 8;
    reseal(&mut batch);
    set_base_offset(&mut batch, 100);
    let offsets: Vec<u64> = read(&batch)
        .unwrap()
        .into_iter()
        .map(|(offset, _)| offset)
        .collect();
    assert_eq!(offsets, [100, 104]);
    assert_eq!(Header::parse(&batch).unwrap().next_offset(), 105);
}
