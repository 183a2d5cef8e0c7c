//! What is shipped: the header, the symbols, the installed files, the examples.

mod abi;
#[cfg(feature = "health")]
mod daemon_example;
mod header;
mod install;
mod pipeline_example;
