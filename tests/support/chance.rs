//! Choices that look random, and are the same for the same seed.

/// A linear congruential generator.
pub struct Chance(pub u64);

impl Chance {
    /// The next number, from 0 to one below the limit.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}
