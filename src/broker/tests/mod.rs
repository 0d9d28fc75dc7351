//! The proofs that nothing is lost, doubled or half there: faults at every operation, bits flipped in every place,
//! power cuts at random. All run on the simulated disk against the model of what was promised.
//!
//! What upkeep does was changed on purpose, one line at a time, to see which test notices (quick profile):
//!
//! | Change | Noticed by |
//! |---|---|
//! | no sync of the compacted file, or of its folder; a swap before its journal entry | `power` |
//! | a segment that no checkpoint covers is compacted; a pass skips the rest of the last one's segment | `power`, `passes` |
//! | what partial rows build upon goes, in part or wholly, or is not looked for below the map | `power` |
//! | a sink's position is ignored, or off by one; a tombstone or barrier goes early | `passes` |
//! | a tombstone behind a full map goes; the rest of a segment counts as seen | `passes` |
//! | a range without records gets no batch; the log start is off by one | `passes` |
//! | retention ignores positions, takes a segment too many, or is early | `passes`, `upkeep` |
//! | a swap that was done fails when it is replayed; one that the journal lost is not found | `upkeep` |
//!
//! Not noticed, because a second rule covers the same: the generation of a segment beside the cache of open files, its
//! count in a swap, old files removed before the checkpoint, a checkpoint while a swap waits for space, left-over
//! `.cleaned` files, clearing of read hints.
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
