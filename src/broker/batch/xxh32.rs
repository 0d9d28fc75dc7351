//! XXH32 with seed 0, the checksum of the LZ4 frame format. Used for a few bytes a batch: clear before fast.

const PRIME_1: u32 = 0x9E37_79B1;
const PRIME_2: u32 = 0x85EB_CA77;
const PRIME_3: u32 = 0xC2B2_AE3D;
const PRIME_4: u32 = 0x27D4_EB2F;
const PRIME_5: u32 = 0x1656_67B1;

/// Bytes that the four lanes take in one round.
const STRIPE_BYTES: usize = 16;

/// The hash of `input`.
pub(super) fn xxh32(input: &[u8]) -> u32 {
    let (stripes, tail) = input.as_chunks::<STRIPE_BYTES>();
    let mut hash = if stripes.is_empty() {
        PRIME_5
    } else {
        lanes(stripes)
    };
    // The format counts bytes modulo 2^32.
    hash = hash.wrapping_add(input.len() as u32);
    let (words, bytes) = tail.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIME_3));
        hash = hash.rotate_left(17).wrapping_mul(PRIME_4);
    }
    for byte in bytes {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIME_5));
        hash = hash.rotate_left(11).wrapping_mul(PRIME_1);
    }
    avalanche(hash)
}

fn lanes(stripes: &[[u8; STRIPE_BYTES]]) -> u32 {
    let mut lanes = [
        PRIME_1.wrapping_add(PRIME_2),
        PRIME_2,
        0,
        0_u32.wrapping_sub(PRIME_1),
    ];
    for stripe in stripes {
        let (words, _) = stripe.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = lane
                .wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIME_2))
                .rotate_left(13)
                .wrapping_mul(PRIME_1);
        }
    }
    lanes
        .iter()
        .zip([1, 7, 12, 18])
        .fold(0_u32, |sum, (lane, turn)| {
            sum.wrapping_add(lane.rotate_left(turn))
        })
}

fn avalanche(mut hash: u32) -> u32 {
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(PRIME_2);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(PRIME_3);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::xxh32;

    #[test]
    fn hashes_equal_the_published_ones() {
        assert_eq!(xxh32(b""), 0x02CC_5D05);
        assert_eq!(xxh32(b"a"), 0x550D_7456);
        assert_eq!(xxh32(b"abc"), 0x32D1_53FF);
        assert_eq!(
            xxh32(b"Nobody inspects the spammish repetition"),
            0xE229_3B2F
        );
    }

    #[test]
    fn the_descriptor_byte_equals_the_one_lz4_tools_write() {
        // `lz4` writes 04 22 4D 18 64 40 A7 for independent 64 KiB blocks with a content checksum, and
        // 04 22 4D 18 60 40 82 without one (as Kafka's Java client does).
        assert_eq!((xxh32(&[0x64, 0x40]) >> 8) as u8, 0xA7);
        assert_eq!((xxh32(&[0x60, 0x40]) >> 8) as u8, 0x82);
    }
}
