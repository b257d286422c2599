//! What kind of machine the figures are of.

use std::{fs, thread};

use anyhow::{Context as _, Result};

/// `2 cores (x86_64), 23.5 GiB of memory, Linux 6.1, load 0.42 before the run`
pub(super) fn describe() -> Result<String> {
    let cores = thread::available_parallelism().context("the number of cores is unknown")?;
    let memory = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("cannot read the kernel's release")?;
    let load = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    Ok(sentence(cores.get(), &memory, &kernel, &load))
}

fn sentence(cores: usize, memory: &str, kernel: &str, load: &str) -> String {
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    let gib = tenths(kib.unwrap_or(0), 1024 * 1024);
    let release: Vec<&str> = kernel.trim().split('.').take(2).collect();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{cores} cores ({}), {gib} GiB of memory, Linux {}, load {load} before the run",
        std::env::consts::ARCH,
        release.join(".")
    )
}

/// `amount` in `unit`s with one decimal, rounded to the nearest.
pub(super) fn tenths(amount: u64, unit: u64) -> String {
    let tenths = (amount * 10 + unit / 2) / unit;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described_by_its_kind_and_not_by_its_name() {
        let text = sentence(
            2,
            "MemTotal:       24651904 kB\nMemFree: 1 kB\n",
            "6.1.0-37-cloud-amd64\n",
            "0.42 0.30 0.10 1/300 4242\n",
        );
        let arch = std::env::consts::ARCH;
        assert_eq!(text, format!("2 cores ({arch}), 23.5 GiB of memory, Linux 6.1, load 0.42 before the run"));
    }

    #[test]
    fn amounts_are_rounded_to_a_tenth() {
        assert_eq!(tenths(1536, 1024), "1.5");
        assert_eq!(tenths(1023, 1024), "1.0");
        assert_eq!(tenths(0, 1024), "0.0");
    }
}
