//! The `tapline` binary: hands the command line to the library.

use std::process::ExitCode;

/// Row buffers come and go from several threads; measured faster and smaller than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tapline::cli::main()
}
