//! Numbers that stand for bytes: the checksum of the index, the hash of what was read, and those of a `RECORD`.

use sha2::{Digest, Sha256};

/// The checksum of `bytes`: their little-endian number modulo the largest prime below 2^30.
///
/// Python computes it with built-in integers at the speed of C. Importing `zlib` or `binascii` there would
/// take longer than the whole look-up.
pub fn checksum(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 1_073_741_789;
    /// 2^32 to the power of `exponent`, modulo the prime.
    const fn weight(exponent: u32) -> u64 {
        let (mut weight, mut done) = (1, 0);
        while done < exponent {
            weight = (weight << 32) % PRIME;
            done += 1;
        }
        weight
    }
    /// How much more a block of 64 bytes weighs than the one before it.
    const BLOCK: u64 = weight(16);
    const WEIGHTS: [u64; 4] = [weight(0), weight(1), weight(2), weight(3)];
    // Horner's rule from the most significant end. A block has four parts, and each has a sum of its own, so
    // that the processor computes them at the same time. A word has 32 bits and all other factors have 30, so there
    // is room for the products of a part and its sum.
    let add = |sums: &mut [u64; 4], block: &[u8; 64]| {
        for (at, sum) in sums.iter_mut().enumerate() {
            let word = |number: usize| {
                let at = 16 * at + 4 * number;
                u64::from(u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]))
            };
            let [first, second, third, fourth] = WEIGHTS;
            let part = word(0) * first + word(1) * second + word(2) * third + word(3) * fourth;
            *sum = (*sum * BLOCK + part % PRIME) % PRIME;
        }
    };
    let (mut blocks, rest) = bytes.split_at(bytes.len() / 64 * 64);
    let mut most_significant = [0; 64];
    most_significant[..rest.len()].copy_from_slice(rest);
    let mut sums = [0; 4];
    add(&mut sums, &most_significant);
    while let Some((before, block)) = blocks.split_last_chunk() {
        add(&mut sums, block);
        blocks = before;
    }
    sums.iter().rev().fold(0, |total, sum| (total * weight(4) + sum) % PRIME)
}

/// A hash of `bytes`: their little-endian number modulo the largest prime below 2^60.
///
/// It proves that a file or a listing is the one that was read, so two different ones must not have the same by chance.
/// Python computes it as it does a [`checksum`], which only has to detect damage.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const BITS: u32 = 60;
    /// What 2^60 is modulo the prime.
    const REST: u64 = 93;
    const PRIME: u64 = (1 << BITS) - REST;
    let fold = |number: u128| (number >> BITS) * u128::from(REST) + (number & ((1 << BITS) - 1));
    // Horner's rule from the most significant end. 124 bits are folded to 71, and those to less than 2^60 + 2^18.
    let add = |hash: u64, word: u64| {
        let folded = fold(fold(u128::from(hash) << 64 | u128::from(word))) as u64;
        if folded < PRIME { folded } else { folded - PRIME }
    };
    let (mut words, rest) = bytes.split_at(bytes.len() / 8 * 8);
    let mut most_significant = [0; 8];
    most_significant[..rest.len()].copy_from_slice(rest);
    let mut hash = add(0, u64::from_le_bytes(most_significant));
    while let Some((before, word)) = words.split_last_chunk() {
        hash = add(hash, u64::from_le_bytes(*word));
        words = before;
    }
    hash
}

/// The SHA-256 of `bytes` as a `RECORD` spells it: base64 with the letters for URLs, and without padding.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(43);
    for group in Sha256::digest(bytes).chunks(3) {
        let bits =
            group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        let digits = [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]));
        text.extend(&digits[..=group.len()]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{checksum, hash, sha256};

    #[test]
    fn hashes_are_spelled_as_in_a_record() {
        // base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"="), computed by Python
        assert_eq!(sha256(b""), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
        assert_eq!(sha256(b"pip\n"), "zuuue4knoyJ-UwPPXg8fezS7VCrXJQrAP7zeNuwvFQg");
        assert_eq!(sha256(&[0xff; 65]), "hVyaKP_yu71xMnFlVUoAxv3UTV1YwfErj9_ym11n8AE");
    }

    #[test]
    fn the_hash_is_the_remainder_of_the_little_endian_number() {
        // int.from_bytes(data, "little") % (2**60 - 93), computed by Python
        let long: Vec<u8> = (0..1280u32).map(|number| number as u8).collect();
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"a", 97),
            (b"epcache-index 1\n", 788_732_676_426_599_379),
            (b"abcdefgh", 605_565_260_566_586_511),
            (&[0xff; 33], 1_255_023_015_100_415),
            (&long, 902_417_474_394_225_343),
            // The prime itself, and the number before it.
            (&((1u64 << 60) - 93).to_le_bytes(), 0),
            (&((1u64 << 60) - 94).to_le_bytes(), (1 << 60) - 94),
        ] {
            assert_eq!(hash(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_checksum_is_the_remainder_of_the_little_endian_number() {
        // int.from_bytes(data, "little") % 1073741789, computed by Python
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"a", 97),
            (b"epcache-index 1\n", 22_034_879),
            (b"abcde", 610_507_200),
            (&[0xff; 33], 466_170_374),
        ] {
            assert_eq!(checksum(bytes), expected, "{bytes:?}");
        }
    }
}
