//! The tour of the README is what a reader types: it is run, block by block, as it stands there.

use std::{fs, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::{Cluster, workspace};
use tokio::process::Command;

/// The commands of the tour, in order.
fn tour(readme: &str) -> Result<String> {
    let (_, tour) = readme.split_once("## A tour").context("the README has no tour")?;
    let blocks: Vec<&str> =
        tour.split("```bash\n").skip(1).filter_map(|block| Some(block.split_once("```")?.0)).collect();
    ensure!(blocks.len() >= 5, "the tour has {} blocks", blocks.len());
    Ok(blocks.concat())
}

#[tokio::test]
async fn the_tour_of_the_readme_runs_as_it_is_written() -> Result<()> {
    let _cluster = Cluster::alone().await?;
    let readme = fs::read_to_string(workspace().join("README.md"))?;
    let script = format!("set -euo pipefail\n{}", tour(&readme)?);
    let run = Command::new("bash")
        .args(["-c", &script])
        .current_dir(workspace())
        .stdin(Stdio::null())
        .output()
        .await
        .context("bash cannot be started")?;
    let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    ensure!(run.status.success(), "the tour ended with {}\n{said}\n{complained}", run.status);
    for promised in [r#"{"status":428,"#, r#"{"status":412,"#, r#""status":"pending""#, "lines left in the cart: 0"] {
        ensure!(said.contains(promised), "the tour does not show {promised}:\n{said}");
    }
    Ok(())
}
