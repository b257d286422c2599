//! What a process uses, as the kernel counts it (proc(5)).

use std::{fs, time::Instant};

use anyhow::{Context as _, Result};

/// Resident memory in KiB.
pub(crate) fn memory(pid: i32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the operator does not run")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has resident memory")?;
    line.trim().trim_end_matches(" kB").trim().parse().context("VmRSS is a number")
}

/// Time that all threads of a process spent on a processor.
#[derive(Debug)]
pub(crate) struct Usage {
    nanoseconds: u64,
    at: Instant,
}

impl Usage {
    pub(crate) fn of(pid: i32) -> Result<Self> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task")).context("the operator does not run")? {
            // The first field of schedstat; a thread may end while it is looked at.
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            nanoseconds += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Self { nanoseconds, at: Instant::now() })
    }

    /// Per cent of one core.
    pub(crate) fn percent_since(&self, before: &Self) -> f64 {
        let spent = std::time::Duration::from_nanos(self.nanoseconds.saturating_sub(before.nanoseconds));
        100.0 * spent.as_secs_f64() / (self.at - before.at).as_secs_f64()
    }
}
