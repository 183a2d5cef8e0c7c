//! The bytes that `child.c` writes, made here a second time for the comparison.

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// xorshift64*
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }
}

/// `pattern FD len seed`
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.number().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// `piece FD len seed`: the pattern without a newline in it; `line` adds one at the end.
pub fn piece(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = pattern(len, seed);
    for byte in &mut bytes {
        if *byte == b'\n' {
            *byte = 0x0b;
        }
    }
    bytes
}

/// `interleave count seed`: (stream, index) in the order written.
pub fn interleaved(count: u64, seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|i| {
            let fd = if random.number() >> 63 == 1 { 2 } else { 1 };
            format!("{fd} {i}")
        })
        .collect()
}

/// Compares without printing megabytes.
#[track_caller]
pub fn assert_same(got: &[u8], want: &[u8]) {
    if got == want {
        return;
    }
    let at = got.iter().zip(want).position(|(a, b)| a != b).unwrap_or(got.len().min(want.len()));
    panic!(
        "{} bytes where {} were written; first difference at {at}: {:?} for {:?}",
        got.len(),
        want.len(),
        &got[at..got.len().min(at + 16)],
        &want[at..want.len().min(at + 16)],
    );
}

/// The bytes of `piece`, compared as they arrive: for output that is too long to keep.
pub struct Pieces {
    random: Random,
    word: [u8; 8],
    used: usize,
}

impl Pieces {
    pub fn new(seed: u64) -> Pieces {
        Pieces { random: Random::new(seed), word: [0; 8], used: 8 }
    }

    #[track_caller]
    pub fn assert_next(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.used == 8 {
                self.word = self.random.number().to_le_bytes();
                self.used = 0;
            }
            let want = self.word[self.used];
            self.used += 1;
            assert_eq!(*byte, if want == b'\n' { 0x0b } else { want });
        }
    }
}
