//! Writes profiles as files, and prints them as tables.

use std::path::Path;

use impasto::gpu::Profile;
use impasto::{Error, Result, internal::atomic};

use super::print_line;
use super::table::print_table;

/// A profile and its name.
pub type Named = (String, Profile);

/// Writes a trace file for chrome://tracing and Perfetto.
pub fn write(path: &Path, profiles: &[Named]) -> Result<()> {
    let trace = Profile::trace(profiles.iter().map(|(name, profile)| (name.as_str(), profile)));
    let text = serde_json::to_string(&trace).map_err(|error| Error::file("write", path, error))?;
    atomic::write(path, |file| std::io::Write::write_all(file, text.as_bytes()))
}

/// Prints a table of all dispatches, then one of the kernels, slowest first, with the totals of their dispatches.
pub fn print((name, profile): &Named) -> Result<()> {
    let total = profile.seconds();
    let (count, clock) = (profile.dispatches.len(), profile.clock);
    let (busy, span) = (total * 1e3, profile.span() * 1e3);
    print_line(format_args!("\n{name}: {count} dispatches, {busy:.2} ms of {span:.2} ms, by {clock}"))?;
    let figures = |seconds: f64, gflop: f64, gigabytes: f64| {
        let rate = |amount: f64| if seconds > 0.0 { format!("{:.1}", amount / seconds) } else { "-".into() };
        let share = 100.0 * seconds / total.max(f64::MIN_POSITIVE);
        [format!("{:.3}", seconds * 1e3), rate(gflop), rate(gigabytes), format!("{share:.1}")]
    };
    let headings = |first: &str| [first, "ms", "GFLOP/s", "GB/s", "% of time"].map(String::from).to_vec();
    let mut table = vec![headings("dispatch")];
    for timing in &profile.dispatches {
        let figures = figures(timing.seconds, timing.gflop, timing.gigabytes).to_vec();
        table.push([vec![timing.label.clone()], figures].concat());
    }
    print_table(&table)?;
    print_line("")?;
    let mut table = vec![headings("kernel")];
    for totals in profile.kernel_totals() {
        let figures = figures(totals.seconds, totals.gflop, totals.gigabytes).to_vec();
        table.push([vec![format!("{} x {}", totals.count, totals.name)], figures].concat());
    }
    print_table(&table)
}
