//! Which partition a key belongs to: murmur2 as in Kafka's default partitioner, so that a topic that moves to Kafka
//! keeps each key where it is. It never looks inside a key: a caller whose keys begin with a schema id passes what
//! comes after it.

/// Goes into the `meta` file: a log whose keys were spread in another way must not be appended to.
pub const PARTITIONER_VERSION: u32 = 1;

const SEED: u32 = 0x9747_B28C;
const MIX: u32 = 0x5BD1_E995;

/// The partition of `key` in a topic of `partitions`. A null key is the caller's to place.
#[must_use]
pub fn partition(key: &[u8], partitions: u32) -> u32 {
    // Kafka drops the sign bit rather than taking the absolute value.
    (murmur2(key) & 0x7FFF_FFFF) % partitions.max(1)
}

fn murmur2(key: &[u8]) -> u32 {
    let (words, tail) = key.as_chunks::<4>();
    // The algorithm counts bytes modulo 2^32.
    let mut hash = SEED ^ key.len() as u32;
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MIX);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MIX) ^ mixed.wrapping_mul(MIX);
    }
    for (place, byte) in tail.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * place);
    }
    if !tail.is_empty() {
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::{murmur2, partition};

    #[test]
    fn hashes_equal_kafkas() {
        // What Kafka's own tests expect of `Utils.murmur2`.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_negative_hash_loses_its_sign_bit_only() {
        assert!(murmur2(b"21").cast_signed() < 0);
        let positive = u32::try_from(-973_932_308_i32 & i32::MAX).unwrap();
        assert_eq!(partition(b"21", 7), positive % 7);
    }

    #[test]
    fn every_partition_is_in_range_and_used() {
        let mut seen = [0_u32; 8];
        for key in 0..8_000_u32 {
            seen[partition(&key.to_be_bytes(), 8) as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (800..1200).contains(count)),
            "{seen:?}"
        );
        assert_eq!(partition(b"any", 1), 0);
        assert_eq!(partition(b"any", 0), 0);
    }
}
