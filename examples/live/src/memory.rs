//! What the process and wgpu hold.

use std::fmt;

use impasto::wgpu;

/// Most by which memory may grow during a run that resizes its window.
const MOST_GROWTH: f64 = 0.02;

/// Bytes in use; `None` where the platform does not tell.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Resident memory of the process.
    resident: Option<u64>,
    /// Allocated by wgpu, and reserved in blocks.
    device: Option<[u64; 2]>,
}

impl Memory {
    /// The memory in use when the device has finished its work.
    pub fn now(device: &wgpu::Device) -> Result<Self, wgpu::PollError> {
        device.poll(wgpu::PollType::wait_indefinitely())?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let report = device.generate_allocator_report();
        let device = report.map(|report| [report.total_allocated_bytes, report.total_reserved_bytes]);
        Ok(Memory { resident: resident.map(|kilobytes| kilobytes << 10), device })
    }

    /// The larger of resident and allocated memory's growth since `earlier`, as a share of it.
    fn growth(&self, earlier: &Memory) -> f64 {
        let pairs = [
            (self.resident, earlier.resident),
            (self.device.map(|[allocated, _]| allocated), earlier.device.map(|[allocated, _]| allocated)),
        ];
        let shares = pairs.into_iter().filter_map(|(now, then)| Some(now? as f64 / then? as f64 - 1.0));
        shares.fold(0.0, f64::max)
    }

    /// An error if more memory is in use than at `earlier`.
    pub fn check(&self, earlier: &Memory) -> Result<(), String> {
        let growth = self.growth(earlier);
        if growth > MOST_GROWTH {
            return Err(format!("memory has grown by {:.1}%, above {}%", 100.0 * growth, 100.0 * MOST_GROWTH));
        }
        Ok(())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let shown = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let unknown = || "unknown".to_string();
        let [allocated, reserved] = match self.device {
            Some(both) => both.map(shown),
            None => [unknown(), unknown()],
        };
        let resident = self.resident.map(shown).unwrap_or_else(unknown);
        write!(f, "{resident} resident, {allocated} allocated by wgpu in {reserved}")
    }
}
