//! What all records of the store together amount to.
//!
//! sled can come back older, or empty, after damage, and says nothing. So each batch carries a [`Mark`]:
//! which store, how many batches, how many records, and a digest of them all.

use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"vestibul";
/// The format that is written. Format 1 had no [`Mark::taken_away`].
const FORMAT: u16 = 2;
/// Bytes of a mark.
pub(super) const MARK_BYTES: usize = 76;
/// Bytes of a mark of format 1.
const MARK_BYTES_1: usize = 68;

/// What all records together amount to after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which store it is.
    pub(super) store: [u8; 16],
    /// How many batches were applied.
    pub(super) seq: u64,
    /// The last batch that took something away from anybody (`taken`); unknown, it is `seq`.
    pub(super) taken_away: u64,
    /// How many users have ever left; earlier versions do not count them.
    pub(super) left: u64,
    /// The number and digest of the records.
    pub(super) sum: Sum,
}

/// The number of records and a digest of them that does not depend on their order.
///
/// The digest is the sum modulo 2^128 of the first half of SHA-256 over each key and value. It is held
/// up to date by one subtraction and one addition for a changed record. Against damage that
/// suffices: other records have the same sum with a chance of 2^-128. It is no defence against somebody
/// who writes to the directory; she can write the proof as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) digest: u128,
}

impl Sum {
    /// Adds a record.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_add(1);
        self.digest = self.digest.wrapping_add(hash(key, value));
    }

    /// Takes a record away.
    pub(super) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(hash(key, value));
    }
}

fn hash(key: &[u8], value: &[u8]) -> u128 {
    let hash: [u8; 32] = Sha256::new()
        .chain_update((key.len() as u64).to_be_bytes())
        .chain_update(key)
        .chain_update(value)
        .finalize()
        .into();
    u128::from_be_bytes(*hash.first_chunk().expect("32 bytes hold 16"))
}

/// Why bytes are not a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoMark {
    /// They are not what was written.
    Damaged,
    /// A later version wrote them.
    TooNew(u16),
}

impl Mark {
    /// That of a store without records.
    pub(super) fn of_new(store: [u8; 16]) -> Self {
        Self {
            store,
            seq: 0,
            taken_away: 0,
            left: 0,
            sum: Sum::default(),
        }
    }

    /// The mark as it stands in sled and in the proof.
    pub(super) fn to_bytes(self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT.to_be_bytes());
        // Six bytes that were zero before: no new format is needed for them.
        bytes[10..16].copy_from_slice(&self.left.to_be_bytes()[2..]);
        bytes[16..32].copy_from_slice(&self.store);
        bytes[32..40].copy_from_slice(&self.seq.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.sum.count.to_be_bytes());
        bytes[48..64].copy_from_slice(&self.sum.digest.to_be_bytes());
        bytes[64..72].copy_from_slice(&self.taken_away.to_be_bytes());
        let checksum = crc32fast::hash(&bytes[..72]);
        bytes[72..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// Reads a mark of this or an earlier format; what follows it in `bytes` is ignored.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, NoMark> {
        if bytes.len() < MARK_BYTES_1 || &bytes[..8] != MAGIC {
            return Err(NoMark::Damaged);
        }
        let format = u16::from_be_bytes(part(bytes, 8));
        let length = match format {
            1 => MARK_BYTES_1,
            _ => MARK_BYTES,
        };
        // Of a later format the length is not known, and a flipped bit may pretend to be one.
        let whole = |length: usize| {
            length <= bytes.len()
                && bytes[length - 4..length] == crc32fast::hash(&bytes[..length - 4]).to_be_bytes()
        };
        if format > FORMAT && (length..=bytes.len()).any(whole) {
            return Err(NoMark::TooNew(format));
        }
        if format == 0 || format > FORMAT || !whole(length) {
            return Err(NoMark::Damaged);
        }
        let seq = u64::from_be_bytes(part(bytes, 32));
        Ok(Self {
            store: part(bytes, 16),
            seq,
            taken_away: match format {
                1 => seq,
                _ => u64::from_be_bytes(part(bytes, 64)),
            },
            left: u64::from_be_bytes(part(bytes, 8)) & 0xffff_ffff_ffff,
            sum: Sum {
                count: u64::from_be_bytes(part(bytes, 40)),
                digest: u128::from_be_bytes(part(bytes, 48)),
            },
        })
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..]
        .first_chunk()
        .expect("the layout ends before the mark does")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: u64) -> Mark {
        let mut sum = Sum::default();
        for n in 0..seq {
            sum.add(&n.to_be_bytes(), b"value");
        }
        Mark {
            store: [7; 16],
            seq,
            taken_away: seq / 2,
            left: 0,
            sum,
        }
    }

    #[test]
    fn the_sum_depends_on_the_records_and_not_on_their_order() {
        let mut forth = Sum::default();
        forth.add(b"a", b"1");
        forth.add(b"b", b"2");
        let mut back = Sum::default();
        back.add(b"b", b"2");
        back.add(b"x", b"9");
        back.add(b"a", b"1");
        back.remove(b"x", b"9");
        assert_eq!(forth, back);

        let mut swapped = Sum::default();
        swapped.add(b"a", b"2");
        swapped.add(b"b", b"1");
        assert_ne!(forth, swapped);
        let mut shifted = Sum::default();
        shifted.add(b"a1", b"");
        shifted.add(b"b", b"2");
        assert_ne!(forth, shifted);
    }

    #[test]
    fn each_format_of_the_mark_stays_readable() {
        let golden = |format: u8, rest: &[u8]| {
            [
                &b"vestibul\0"[..],
                &[format, 0, 0, 0, 0, 0, 0],
                &[7; 16],
                &[0, 0, 0, 0, 0, 0, 0, 1],
                &[0, 0, 0, 0, 0, 0, 0, 1],
                GOLDEN_DIGEST,
                rest,
            ]
            .concat()
        };
        let first = golden(1, GOLDEN_CHECKSUM_1);
        let unknown = Mark {
            taken_away: 1,
            ..mark(1)
        };
        assert_eq!(Mark::from_bytes(&first), Ok(unknown));
        let second = golden(2, GOLDEN_REST_2);
        assert_eq!(
            mark(1).to_bytes().escape_ascii().to_string(),
            second.escape_ascii().to_string()
        );
        assert_eq!(Mark::from_bytes(&second), Ok(mark(1)));
        for left in [1, 0x1234, 0xffff_ffff_ffff] {
            let mark = Mark { left, ..mark(3) };
            assert_eq!(Mark::from_bytes(&mark.to_bytes()), Ok(mark));
        }
    }

    const GOLDEN_DIGEST: &[u8] = b"^\xa3\x14d\xf8\xde\x91h2\xdb\xeb>\x82\xc3\"\xd5";
    const GOLDEN_CHECKSUM_1: &[u8] = b"[%{\x10";
    const GOLDEN_REST_2: &[u8] = b"\0\0\0\0\0\0\0\0\x1e\x81\xbf\xa8";

    #[test]
    fn a_flipped_bit_is_seen_and_a_newer_format_named() {
        let bytes = mark(3).to_bytes();
        for at in 0..bytes.len() {
            let mut flipped = bytes;
            flipped[at] ^= 0x10;
            assert_eq!(Mark::from_bytes(&flipped), Err(NoMark::Damaged), "{at}");
        }
        assert_eq!(Mark::from_bytes(&bytes[1..]), Err(NoMark::Damaged));
        let mut newer = bytes;
        newer[9] = 3;
        let checksum = crc32fast::hash(&newer[..72]);
        newer[72..].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(Mark::from_bytes(&newer), Err(NoMark::TooNew(3)));
    }
}
