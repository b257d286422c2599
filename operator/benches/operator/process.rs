//! What a process uses, as the kernel counts it (proc(5)).

use std::{fs, time::Instant};

use anyhow::{Context as _, Result};
use nix::unistd::{SysconfVar, sysconf};

/// Resident memory in KiB.
pub(crate) fn memory(pid: i32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the operator does not run")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has resident memory")?;
    line.trim().trim_end_matches(" kB").trim().parse().context("VmRSS is a number")
}

/// Time that a process has spent on a processor: all of its threads, those that have ended included.
#[derive(Debug)]
pub(crate) struct Usage {
    /// Of this many in a second.
    ticks: u64,
    at: Instant,
}

impl Usage {
    pub(crate) fn of(pid: i32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the operator does not run")?;
        // The name of the program may hold anything. After it, `utime` and `stime` are the fields 14 and 15 of proc(5).
        let fields = stat.rsplit_once(") ").context("a process has a name")?.1.split(' ').skip(11).take(2);
        let ticks = fields.map(str::parse::<u64>).sum::<Result<_, _>>().context("times are numbers")?;
        Ok(Self { ticks, at: Instant::now() })
    }

    /// Per cent of one core.
    pub(crate) fn percent_since(&self, before: &Self) -> Result<f64> {
        let in_a_second = sysconf(SysconfVar::CLK_TCK)?.context("the kernel counts time in ticks")?;
        let spent = u32::try_from(self.ticks - before.ticks)?;
        Ok(100.0 * f64::from(spent) / f64::from(u32::try_from(in_a_second)?) / (self.at - before.at).as_secs_f64())
    }
}
