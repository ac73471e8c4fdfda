//! Repeatable random choices.

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// Seeded by `EPCACHE_SEED`; without it, the same numbers each time.
    pub fn new() -> Self {
        let seed = std::env::var("EPCACHE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        eprintln!("random choices from EPCACHE_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`.
    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// Up to `limit` - 1 pieces, concatenated.
    pub fn text(&mut self, pieces: &[&str], limit: usize) -> String {
        (0..self.below(limit)).map(|_| self.pick(pieces)).collect()
    }

    /// `text` with a few characters removed, doubled, replaced or inserted.
    pub fn mutate(&mut self, text: &str, pieces: &[&str]) -> String {
        let mut chars: Vec<String> = text.chars().map(String::from).collect();
        for _ in 0..=self.below(4) {
            let at = self.below(chars.len() + 1);
            let piece = self.pick(pieces).to_owned();
            match self.below(4) {
                0 => chars.insert(at, piece),
                1 if at < chars.len() => drop(chars.remove(at)),
                2 if at < chars.len() => chars[at] = piece,
                3 if at < chars.len() => chars.insert(at, chars[at].clone()),
                _ => {}
            }
        }
        chars.concat()
    }
}
