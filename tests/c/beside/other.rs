//! Another Rust library of the same program: with its own copy of the standard library, which unwinds.

/// Returns the sum of the numbers below `n`.
#[unsafe(no_mangle)]
pub extern "C" fn other_sum(n: u32) -> u32 {
    (0..n).collect::<Vec<u32>>().iter().sum()
}

/// Returns how many panics it has caught.
#[unsafe(no_mangle)]
pub extern "C" fn other_panics() -> u32 {
    std::panic::set_hook(Box::new(|_| {}));
    u32::from(std::panic::catch_unwind(|| panic!("caught")).is_err())
}
