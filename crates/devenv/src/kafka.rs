//! The Apache Kafka distribution, put together by Maven from the jars the project publishes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use thiserror::Error;

use crate::{debian::last_lines, hash, paths};

/// The project that names the jars; the image recipe uses the same one.
pub const POM: &str = include_str!("../kafka/pom.xml");

/// Why there is no distribution.
#[derive(Debug, Error)]
pub enum DistributionError {
    /// The cache folder could not be written.
    #[error("cannot write {}", path.display())]
    Cache {
        /// What was being written.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Maven could not be started.
    #[error("mvn cannot be run: install JDK 17 and Maven")]
    MavenMissing(#[source] io::Error),
    /// Maven ended with an error.
    #[error("`mvn dependency:copy-dependencies` failed:\n{output}")]
    MavenFailed {
        /// The last lines it printed.
        output: String,
    },
}

/// The folder `kafka-<hash>` in the cache, with every jar of the broker and its tools in `libs/`.
///
/// The first call lets Maven fetch them (54 MB); later ones find the folder. The hash is that of the project file.
pub fn distribution() -> Result<PathBuf, DistributionError> {
    let cache = paths::cache_dir();
    let dir = cache.join(format!("kafka-{}", hash::short(POM.as_bytes(), 8)));
    if dir.is_dir() {
        return Ok(dir);
    }
    fs::create_dir_all(&cache).map_err(cache_error(&cache))?;
    let lock_path = cache.join("kafka.lock");
    let lock = fs::File::create(&lock_path).map_err(cache_error(&lock_path))?;
    lock.lock().map_err(cache_error(&lock_path))?;
    if !dir.is_dir() {
        assemble(&dir)?;
    }
    Ok(dir)
}

/// The class path of everything in a distribution, for `java -cp`.
#[must_use]
pub fn class_path(distribution: &Path) -> String {
    format!("{}/libs/*", distribution.display())
}

/// Builds beside the final place and moves into it, so that a folder of that name is always complete.
fn assemble(dir: &Path) -> Result<(), DistributionError> {
    let partial = dir.with_extension(format!("partial-{}", process::id()));
    let libs = partial.join("libs");
    fs::create_dir_all(&libs).map_err(cache_error(&libs))?;
    let pom = partial.join("pom.xml");
    fs::write(&pom, POM).map_err(cache_error(&pom))?;
    copy_dependencies(&pom, &libs)?;
    fs::rename(&partial, dir).map_err(cache_error(dir))
}

fn copy_dependencies(pom: &Path, libs: &Path) -> Result<(), DistributionError> {
    let output = Command::new("mvn")
        .args(["--batch-mode", "--no-transfer-progress", "--file"])
        .arg(pom)
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", libs.display()))
        .arg("-DincludeScope=runtime")
        .stdin(Stdio::null())
        .output()
        .map_err(DistributionError::MavenMissing)?;
    if output.status.success() {
        return Ok(());
    }
    Err(DistributionError::MavenFailed { output: last_lines(&String::from_utf8_lossy(&output.stdout), 20) })
}

fn cache_error(path: &Path) -> impl FnOnce(io::Error) -> DistributionError {
    let path = path.to_path_buf();
    move |source| DistributionError::Cache { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_file_pins_the_broker_its_tools_and_a_logger() {
        for needed in ["<artifactId>kafka_2.13<", "<artifactId>kafka-tools<", "<artifactId>slf4j-simple<", ">4.1.1<"] {
            assert!(POM.contains(needed), "{needed} is not in pom.xml");
        }
    }
}
