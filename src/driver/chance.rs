//! Chance; the only place that asks for it, but for the names of streams.

use super::Error;

/// Random bytes from the operating system, fetched in bulk.
pub(super) struct Chance {
    bytes: [u8; 4096],
    used: usize,
}

impl Default for Chance {
    fn default() -> Self {
        Self {
            bytes: [0; 4096],
            used: 4096,
        }
    }
}

impl Chance {
    /// 16 bytes that are given out once.
    pub(super) fn draw(&mut self) -> Result<[u8; 16], Error> {
        if self.used + 16 > self.bytes.len() {
            getrandom::fill(&mut self.bytes).map_err(Error::Chance)?;
            self.used = 0;
        }
        let mut drawn = [0; 16];
        drawn.copy_from_slice(&self.bytes[self.used..self.used + 16]);
        self.used += 16;
        Ok(drawn)
    }

    /// A number.
    pub(super) fn number(&mut self) -> Result<u64, Error> {
        let drawn = self.draw()?;
        let (half, _) = drawn.split_at(8);
        Ok(half
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}
