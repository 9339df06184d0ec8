//! Seeded random words: keys of a small set, values of all shapes, numbers at their limits.

/// Where the generators draw from.
pub struct Source {
    random: fastrand::Rng,
}

/// Keys that every family draws from.
pub const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", ""];

/// Numbers at which something changes.
const EDGES: [i64; 18] = [
    0,
    1,
    -1,
    9,
    10,
    127,
    128,
    -128,
    255,
    256,
    32_768,
    1 << 31,
    -(1 << 31),
    (1 << 32) - 1,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
    i64::MIN + 1,
];

/// Texts that look like integers and are none, or only just.
const ALMOST_INTEGERS: [&str; 16] = [
    "",
    " ",
    " 1",
    "1 ",
    "+1",
    "-0",
    "00",
    "01",
    "0x10",
    "1.0",
    "1e3",
    "--1",
    "-",
    "9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901",
];

/// Texts that are floats, or look like some.
const FLOATS: [&str; 30] = [
    "0.1",
    "-0.1",
    "3.0e3",
    "5.0e-3",
    "1e308",
    "-1e4932",
    "1e4933",
    "1e-4950",
    "1e-5000",
    "inf",
    "-inf",
    "+inf",
    "infinity",
    "nan",
    "-nan",
    "0x1p-3",
    "0xff",
    "1.",
    ".5",
    ".",
    "1e",
    "1e+",
    " 1.5",
    "1.5 ",
    "1.5abc",
    "00.25",
    "+2.5",
    "123456789.123456789123456789",
    "1e17",
    "1e-17",
];

impl Source {
    pub fn new(seed: u64) -> Source {
        Source { random: fastrand::Rng::with_seed(seed) }
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.random.usize(..limit)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// A word in lower, upper or mixed case.
    pub fn word(&mut self, word: &str) -> Vec<u8> {
        let word = word.as_bytes();
        match self.below(3) {
            0 => word.to_ascii_lowercase(),
            1 => word.to_ascii_uppercase(),
            _ => word.iter().map(|byte| if self.chance(50) { byte ^ 0x20 } else { *byte }).collect(),
        }
    }

    pub fn key(&mut self) -> Vec<u8> {
        // The empty key comes last and seldom.
        let limit = if self.chance(10) { KEYS.len() } else { KEYS.len() - 1 };
        KEYS[self.below(limit)].as_bytes().to_vec()
    }

    /// An integer: small, at a limit, or any.
    pub fn integer(&mut self) -> i64 {
        match self.below(4) {
            0 | 1 => self.random.i64(-20..=20),
            2 => self.one_of(&EDGES),
            _ => self.random.i64(..) >> self.below(64),
        }
    }

    /// The text of an integer, now and then a wrong one.
    pub fn integer_text(&mut self) -> Vec<u8> {
        if self.chance(8) {
            return self.one_of(&ALMOST_INTEGERS).as_bytes().to_vec();
        }
        self.integer().to_string().into_bytes()
    }

    /// The text of an integer that is no plausible amount: negative, at a limit, or wrong.
    pub fn integer_text_not_small(&mut self) -> Vec<u8> {
        match self.below(3) {
            0 => self.one_of(&ALMOST_INTEGERS).as_bytes().to_vec(),
            1 => self.one_of(&[0, -1, -20, i64::MIN]).to_string().into_bytes(),
            _ => self.one_of(&[i64::MAX, i64::MAX - 1, i64::MAX / 1000 + 1]).to_string().into_bytes(),
        }
    }

    /// The text of a float, now and then a wrong one.
    pub fn float_text(&mut self) -> Vec<u8> {
        match self.below(4) {
            0 => self.integer_text(),
            1 => self.one_of(&FLOATS).as_bytes().to_vec(),
            2 => format!("{:.*}", self.below(18), self.random.f64() * 1000.0 - 500.0).into_bytes(),
            _ => {
                let scale = 10f64.powi(self.random.i32(-25..25));
                format!("{:e}", (self.random.f64() - 0.5) * scale).into_bytes()
            }
        }
    }

    /// Any bytes, of a length around the limits at which a string's form changes.
    pub fn bytes(&mut self) -> Vec<u8> {
        let length = match self.below(20) {
            0 => 0,
            1..=9 => self.below(12),
            10..=13 => 38 + self.below(12),
            14..=16 => self.below(300),
            17 => 250 + self.below(12),
            18 => 8_180 + self.below(30),
            _ => self.below(40_000),
        };
        let letters = self.chance(60);
        (0..length).map(|_| if letters { self.random.u8(b'a'..=b'e') } else { self.random.u8(..) }).collect()
    }

    /// A value of any shape.
    pub fn value(&mut self) -> Vec<u8> {
        match self.below(10) {
            0..=2 => self.integer_text(),
            3 | 4 => self.float_text(),
            _ => self.bytes(),
        }
    }
}
