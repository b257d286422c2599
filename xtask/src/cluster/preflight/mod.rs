//! What must hold before anything on the machine is changed. Everything wrong is said at once, each with what to do.

mod ports;
mod versions;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use devenv::paths::cache_dir;
use nix::{sys::statvfs::statvfs, unistd::geteuid};

use super::Provider;
use crate::{tools, ui::Step, workspace};

const FREE_DISK: u64 = 10 << 30;

/// What comes after the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Images only.
    Build,
    /// A cluster: ports must be free.
    Run,
}

/// What was found on the machine; the decision is made from this alone.
struct Facts {
    is_root: bool,
    needs_root: bool,
    /// The version, or what `go version` failed with.
    go: Option<String>,
    required_go: (u32, u32, u32),
    java: Option<String>,
    maven: Option<String>,
    /// Folder and free bytes.
    disks: Vec<(PathBuf, u64)>,
    /// Port and the process that holds it.
    taken: Vec<(u16, String)>,
}

/// Fails with all that is wrong.
pub(crate) fn run(step: &Step, provider: &dyn Provider, purpose: Purpose) -> Result<()> {
    let facts = Facts {
        is_root: geteuid().is_root(),
        needs_root: provider.needs_root(),
        go: version(step, "go", &["env", "GOVERSION"]),
        required_go: tools::required_go()?,
        java: version(step, "java", &["--version"]),
        maven: version(step, "mvn", &["--version"]),
        disks: disks()?,
        taken: match purpose {
            Purpose::Build => Vec::new(),
            Purpose::Run => ports::taken(provider.ports(), &provider.processes()),
        },
    };
    let problems = problems(&facts);
    if problems.is_empty() {
        return Ok(());
    }
    bail!("this machine is not ready; nothing was changed:\n- {}", problems.join("\n- "))
}

fn problems(facts: &Facts) -> Vec<String> {
    let mut problems = Vec::new();
    if facts.needs_root && !facts.is_root {
        problems.push("a cluster of plain processes needs root: try `sudo -E cargo xtask …`".to_owned());
    }
    problems.extend(versions::go_problem(facts.go.as_deref(), facts.required_go));
    problems.extend(versions::java_problem(facts.java.as_deref()));
    problems.extend(versions::maven_problem(facts.maven.as_deref()));
    for (folder, free) in &facts.disks {
        if *free < FREE_DISK {
            problems.push(format!(
                "{} has {:.1} GiB free, {} are needed: free some, or point XDG_CACHE_HOME to another disk",
                folder.display(),
                gibibytes(*free),
                FREE_DISK >> 30,
            ));
        }
    }
    for (port, holder) in &facts.taken {
        problems.push(format!("port {port} is taken by {holder}: stop it, then run this again"));
    }
    problems
}

fn version(step: &Step, program: &str, arguments: &[&str]) -> Option<String> {
    let output = step.command(program).args(arguments).attempt().ok()?;
    output.success.then_some(output.stdout)
}

/// Of every disk that is written to.
fn disks() -> Result<Vec<(PathBuf, u64)>> {
    [cache_dir(), workspace::root().join("target"), PathBuf::from("/var/lib")]
        .into_iter()
        .map(|folder| {
            let folder = existing(&folder);
            let disk = statvfs(&folder).with_context(|| format!("cannot measure {}", folder.display()))?;
            Ok((folder, disk.blocks_available() * disk.fragment_size()))
        })
        .collect()
}

fn existing(folder: &Path) -> PathBuf {
    folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_path_buf()
}

#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Facts {
        Facts {
            is_root: true,
            needs_root: true,
            go: Some("go1.26.8".to_owned()),
            required_go: (1, 26, 4),
            java: Some("openjdk 17.0.15 2025-04-15".to_owned()),
            maven: Some("Apache Maven 3.8.7".to_owned()),
            disks: vec![(PathBuf::from("/"), 20 << 30)],
            taken: vec![],
        }
    }

    #[test]
    fn a_good_machine_has_no_problems() {
        assert!(problems(&fine()).is_empty());
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let facts = Facts {
            is_root: false,
            go: Some("go1.24.1".to_owned()),
            java: None,
            maven: None,
            disks: vec![(PathBuf::from("/var/lib"), 3 << 30)],
            taken: vec![(6443, "k3s (process 4242)".to_owned())],
            ..fine()
        };
        let said = problems(&facts).join("\n");
        for needle in
            ["sudo", "Go 1.24.1", "1.26.4", "Java", "Maven", "3.0 GiB", "port 6443 is taken by k3s (process 4242)"]
        {
            assert!(said.contains(needle), "{needle} is not in:\n{said}");
        }
    }

    #[test]
    fn a_provider_that_needs_no_root_does_not_ask_for_it() {
        assert!(problems(&Facts { is_root: false, needs_root: false, ..fine() }).is_empty());
    }
}
