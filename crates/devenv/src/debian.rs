//! Debian packages: found with dpkg, installed with apt-get when we are root.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use thiserror::Error;

/// Why the packages could not be had.
#[derive(Debug, Error)]
pub enum PackagesError {
    /// Some are missing and only root may install them.
    #[error("Debian packages are missing; run as root: apt-get update && apt-get install --yes {}", missing.join(" "))]
    NotRoot {
        /// The packages that are not installed.
        missing: Vec<String>,
    },
    /// `dpkg-query` could not be run: this is not a Debian machine.
    #[error("dpkg-query cannot be run; on a system other than Debian install the equivalents of: {}", wanted.join(" "))]
    NotDebian {
        /// All packages asked for.
        wanted: Vec<String>,
        /// Why it could not be run.
        source: io::Error,
    },
    /// `apt-get` could not be started.
    #[error("apt-get cannot be run")]
    AptMissing(#[source] io::Error),
    /// `apt-get` ended with an error.
    #[error("`{command}` failed:\n{output}")]
    AptFailed {
        /// The command line to repeat by hand.
        command: String,
        /// The last lines it printed.
        output: String,
    },
}

/// Makes sure that `packages` are installed. Returns those that it had to install.
///
/// Installs only what is missing, and keeps the daemons that come with a package from being started, because ours run
/// on ports and data folders of their own.
pub fn ensure_packages(packages: &[&str]) -> Result<Vec<String>, PackagesError> {
    let missing = missing_packages(packages)?;
    if missing.is_empty() {
        return Ok(missing);
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(PackagesError::NotRoot { missing });
    }
    let _quiet = NoDaemons::install();
    apt_get(&["update"], &[])?;
    apt_get(&["install", "--yes", "--no-install-recommends"], &missing)?;
    Ok(missing)
}

/// Makes sure that `program` can be run: where the search path lacks it, the package that has it is installed.
pub fn ensure_program(program: &str, package: &str) -> Result<(), PackagesError> {
    if is_on_path(program) { Ok(()) } else { ensure_packages(&[package]).map(drop) }
}

/// Those of `packages` that are not installed, in the order given.
pub fn missing_packages(packages: &[&str]) -> Result<Vec<String>, PackagesError> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\\n"])
        .args(packages)
        .stderr(Stdio::null())
        .output()
        .map_err(|source| PackagesError::NotDebian {
            wanted: packages.iter().map(|&name| name.to_owned()).collect(),
            source,
        })?;
    Ok(not_listed(packages, &String::from_utf8_lossy(&output.stdout)))
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn not_listed(packages: &[&str], listing: &str) -> Vec<String> {
    let installed = |name: &str| listing.lines().any(|line| line.split_once(' ') == Some((name, "installed")));
    packages.iter().filter(|name| !installed(name)).map(|&name| name.to_owned()).collect()
}

fn apt_get(arguments: &[&str], packages: &[String]) -> Result<(), PackagesError> {
    let output = Command::new("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(PackagesError::AptMissing)?;
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(PackagesError::AptFailed {
        command: format!("apt-get {} {}", arguments.join(" "), packages.join(" ")).trim_end().to_owned(),
        output: last_lines(&text, 20),
    })
}

/// The last `count` lines of `text`.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// While it lives, Debian's own policy hook refuses to start daemons, and no default PostgreSQL cluster is created.
struct NoDaemons {
    hook_is_ours: bool,
}

const POLICY_HOOK: &str = "/usr/sbin/policy-rc.d";
const POLICY_SCRIPT: &str =
    "#!/bin/sh\n# greencommerce: packages are being installed, their daemons are not wanted\nexit 101\n";
const CREATE_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/greencommerce.conf";

impl NoDaemons {
    /// Best effort: where the hook cannot be written, a daemon starts that nobody needs, which does no harm.
    fn install() -> Self {
        if fs::create_dir_all("/etc/postgresql-common/createcluster.d").is_ok() {
            let _ = fs::write(CREATE_CLUSTER, "create_main_cluster = false\n");
        }
        let free = match fs::read_to_string(POLICY_HOOK) {
            Ok(text) => text == POLICY_SCRIPT,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        Self { hook_is_ours: free && write_hook(Path::new(POLICY_HOOK)).is_ok() }
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.hook_is_ours {
            let _ = fs::remove_file(POLICY_HOOK);
        }
    }
}

fn write_hook(path: &Path) -> io::Result<()> {
    fs::write(path, POLICY_SCRIPT)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_packages_with_left_over_configuration_count_as_missing() {
        let listing = "redis-server config-files\npostgresql-15 installed\n";
        assert_eq!(not_listed(&["postgresql-15", "redis-server", "jq"], listing), ["redis-server", "jq"]);
    }

    #[test]
    fn a_name_that_begins_like_an_installed_one_is_missing() {
        assert_eq!(not_listed(&["postgresql"], "postgresql-15 installed\n"), ["postgresql"]);
    }

    #[test]
    fn the_error_for_an_ordinary_user_names_the_command() {
        let error = PackagesError::NotRoot { missing: vec!["redis-server".to_owned(), "jq".to_owned()] };
        assert!(error.to_string().ends_with("apt-get update && apt-get install --yes redis-server jq"));
    }

    #[test]
    fn a_program_on_the_search_path_needs_no_package() {
        assert!(ensure_program("sh", "no-such-package-exists").is_ok());
    }

    #[test]
    fn only_the_end_of_a_long_output_is_kept() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }
}
