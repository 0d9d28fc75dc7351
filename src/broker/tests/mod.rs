//! The proofs that nothing is lost, doubled or half there: faults at every operation, bits flipped in every place,
//! power cuts at random. All run on the simulated disk against the model of what was promised.
//!
//! `TAPLINE_PROVE=1` runs the long profile, else the quick one. A failure prints its seed; `TAPLINE_SEED` runs one.

mod damage;
mod follow;
mod full;
mod model;
mod passes;
mod power;
mod sweep;
mod upkeep;
mod world;

/// Whether the long profile is asked for.
fn prove() -> bool {
    std::env::var("TAPLINE_PROVE").is_ok_and(|value| value == "1")
}

/// Shows a line of figures even where the test passes.
#[expect(clippy::print_stdout, reason = "the proofs' figures are their result")]
pub(super) fn report(line: &str) {
    println!("{line}");
}
