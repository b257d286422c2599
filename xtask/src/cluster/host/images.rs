//! Images for the nodes' containerds: built by buildah into archives, imported where missing.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::SystemTime,
};

use anyhow::{Context as _, Result, anyhow};

use super::layout::Node;
use crate::{images::Image, ui::Step};

/// How many builds of one image the cache keeps.
const KEEP: usize = 3;

/// Where the cache has the archive of an image.
pub(super) fn archive(image: &Image) -> PathBuf {
    folder().join(format!("{}.tar", image.file_stem()))
}

/// Builds an image into its archive.
pub(super) fn build(step: &Step, context: &Path, image: &Image) -> Result<()> {
    let archive = archive(image);
    fs::create_dir_all(folder()).with_context(|| format!("cannot create {}", folder().display()))?;
    let partial = archive.with_extension("partial");
    let _ = fs::remove_file(&partial);
    let store = folder().join("buildah");
    let buildah = |command: &str| {
        let root = format!("--root={}", store.join("root").display());
        let run = format!("--runroot={}", store.join("run").display());
        step.command("buildah")
            .args([root.as_str(), run.as_str(), "--storage-driver=vfs"])
            .arg(command)
            .env("BUILDAH_ISOLATION", "chroot")
    };
    let name = canonical(&image.content_reference());
    buildah("build")
        .args(["--layers=false", "--format=docker", "--timestamp=0", "--tag", &name])
        .arg(context)
        .hint("read buildah's messages in the log; `cargo xtask images` builds the images alone")
        .run()?;
    buildah("push").args([&name, &format!("docker-archive:{}:{name}", partial.display())]).run()?;
    buildah("rmi").args(["--all", "--force"]).run()?;
    fs::rename(&partial, &archive).with_context(|| format!("cannot create {}", archive.display()))?;
    prune(image)
}

/// Imports into every node what it lacks, all nodes at once.
pub(super) fn load(step: &Step, nodes: &[Node], images: &[Image]) -> Result<()> {
    let counts = thread::scope(|scope| {
        let imports: Vec<_> = nodes.iter().map(|node| scope.spawn(|| load_into(step, node, images))).collect();
        imports
            .into_iter()
            .map(|import| import.join().map_err(|_| anyhow!("an import ended badly"))?)
            .collect::<Result<Vec<usize>>>()
    })?;
    let imported: usize = counts.iter().sum();
    step.note(if imported == 0 { "unchanged".to_owned() } else { format!("{imported} imported") });
    Ok(())
}

fn load_into(step: &Step, node: &Node, images: &[Image]) -> Result<usize> {
    let ctr = || step.command("ctr").arg("--address").arg(node.socket()).args(["--namespace", "k8s.io", "images"]);
    let mut present = digests(&ctr().arg("list").output()?);
    let mut imported = 0;
    for image in images {
        let (name, content) = (canonical(&image.reference()), canonical(&image.content_reference()));
        if !present.contains_key(&content) {
            step.say(&format!("{}: {}", node.name(), image.reference()));
            let archive = archive(image);
            let hint = format!("remove {} and run the command again", archive.display());
            ctr().arg("import").arg(&archive).hint(hint).run()?;
            present.insert(content.clone(), "imported now".to_owned());
            imported += 1;
        }
        if present.get(&name) != present.get(&content) {
            ctr().args(["tag", "--force", &content, &name]).run()?;
        }
    }
    let stale: Vec<&String> = present.keys().filter(|name| is_stale(name, images)).collect();
    if !stale.is_empty() {
        ctr().arg("remove").args(stale).run()?;
    }
    Ok(imported)
}

/// Image name to digest, of what `ctr images list` prints.
fn digests(list: &str) -> BTreeMap<String, String> {
    list.lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            Some((columns.next()?.to_owned(), columns.nth(1)?.to_owned()))
        })
        .collect()
}

/// An earlier build of one of the images whose archive has left the cache. Running containers keep what they need of it.
fn is_stale(name: &str, images: &[Image]) -> bool {
    images.iter().any(|image| {
        let prefix = format!("{}-", canonical(&image.reference()));
        name.strip_prefix(&prefix)
            .is_some_and(|key| is_key(key) && !archive(&Image::new(image.repository(), image.tag(), key)).exists())
    })
}

/// The full name that containerd keeps and the kubelet asks for.
pub(super) fn canonical(reference: &str) -> String {
    let first = reference.split_once('/').map(|(first, _)| first);
    match first {
        None => format!("docker.io/library/{reference}"),
        Some(first) if first.contains(['.', ':']) || first == "localhost" => reference.to_owned(),
        Some(_) => format!("docker.io/{reference}"),
    }
}

fn folder() -> PathBuf {
    devenv::paths::cache_dir().join("images")
}

/// Removes all but the newest builds of an image.
fn prune(image: &Image) -> Result<()> {
    let prefix = image.file_stem();
    let prefix = prefix.rsplit_once('-').map_or(prefix.as_str(), |(prefix, _)| prefix);
    let mut archives: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder())?
        .flatten()
        .filter(|entry| is_build_of(&entry.file_name().to_string_lossy(), prefix))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    archives.sort();
    let surplus = archives.len().saturating_sub(KEEP);
    for (_, path) in &archives[..surplus] {
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn is_build_of(file: &str, prefix: &str) -> bool {
    file.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_suffix(".tar"))
        .is_some_and(is_key)
}

fn is_key(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_get_the_registry_that_the_kubelet_assumes() {
        assert_eq!(canonical("redis:7.0"), "docker.io/library/redis:7.0");
        assert_eq!(canonical("greencommerce/services:0.1.0"), "docker.io/greencommerce/services:0.1.0");
        assert_eq!(canonical("localhost/pause:1"), "localhost/pause:1");
        assert_eq!(canonical("registry.example/a:1"), "registry.example/a:1");
    }

    #[test]
    fn names_and_digests_are_read_from_the_list() {
        let list = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            docker.io/library/redis:7.0 application/vnd.docker.distribution.manifest.v2+json sha256:ab 1.2 MiB linux/amd64 -\n";
        assert_eq!(digests(list), BTreeMap::from([("docker.io/library/redis:7.0".to_owned(), "sha256:ab".to_owned())]));
    }

    #[test]
    fn only_a_build_that_left_the_cache_is_stale() {
        let images = [Image::new("greencommerce/gone", "0.1.0", "0123456789ab")];
        assert!(is_stale("docker.io/greencommerce/gone:0.1.0-ffffffffffff", &images));
        assert!(!is_stale("docker.io/greencommerce/gone:0.1.0", &images));
        assert!(!is_stale("docker.io/greencommerce/other:0.1.0-ffffffffffff", &images));
    }

    #[test]
    fn builds_of_one_image_are_told_from_those_of_another() {
        assert!(is_build_of("redis-7.0-0123456789ab.tar", "redis-7.0"));
        assert!(!is_build_of("redis-7.0-0123456789ab.partial", "redis-7.0"));
        assert!(!is_build_of("redis-7.0-extra-0123456789ab.tar", "redis-7.0"));
    }
}
