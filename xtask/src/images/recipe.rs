//! An image recipe: a folder with a `Containerfile`, an `image.yaml` that names what else goes in, and the files themselves.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{binaries::Binaries, rootfs};
use crate::{
    digest::{self, Key},
    tools::Toolbox,
    ui::Step,
    workspace,
};

/// Changing how contexts are put together or built makes every image a new one.
const FORMAT: &str = "1";
/// Files of a recipe's folder that describe the image rather than go into it.
const DESCRIPTIONS: [&str; 2] = ["image.yaml", rootfs::FILE];

/// See the module.
#[derive(Debug)]
pub(super) struct Recipe {
    dir: PathBuf,
    description: Description,
    tag: String,
}

/// `image.yaml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// Without a tag.
    repository: String,
    /// Without one: the workspace's version.
    tag: Option<String>,
    /// The recipe whose root file system becomes `rootfs.tar`.
    rootfs: Option<String>,
    /// Programs built from Go modules.
    #[serde(default)]
    tools: Vec<String>,
    /// Programs of this workspace, as the release profile builds them.
    #[serde(default)]
    binaries: Vec<String>,
    /// A C source file in the folder, compiled and linked statically.
    program: Option<String>,
    /// Whether the jars of Apache Kafka become `libs/`.
    #[serde(default)]
    kafka: bool,
}

/// A file or folder that goes into the context besides the recipe's own files.
#[derive(Debug)]
pub(super) struct Source {
    /// Its name in the context.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// What it was made from.
    pub(super) key: String,
}

/// Every recipe of a folder that makes an image, by the name of its own folder.
pub(super) fn all(root: &Path) -> Result<Vec<Recipe>> {
    let mut recipes = Vec::new();
    for entry in fs::read_dir(root).with_context(|| format!("cannot read {}", root.display()))? {
        let dir = entry?.path();
        if dir.join("image.yaml").exists() {
            recipes.push(Recipe::read(dir)?);
        }
    }
    recipes.sort_by(|a, b| a.dir.cmp(&b.dir));
    Ok(recipes)
}

/// Where the recipes of the cluster and the shop are.
pub(super) const FOLDER: &str = "cluster/images";

/// That folder in this checkout.
pub(super) fn root() -> PathBuf {
    workspace::root().join(FOLDER)
}

impl Recipe {
    fn read(dir: PathBuf) -> Result<Self> {
        let file = dir.join("image.yaml");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let description: Description =
            serde_yaml::from_str(&text).with_context(|| format!("{} is not a recipe", file.display()))?;
        let tag = description.tag.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
        Ok(Self { dir, description, tag })
    }

    pub(super) fn repository(&self) -> &str {
        &self.description.repository
    }

    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) fn binaries(&self) -> &[String] {
        &self.description.binaries
    }

    /// Makes what goes in, where the cache lacks it.
    pub(super) fn sources(&self, step: &Step, tools: &Toolbox, binaries: &Binaries) -> Result<Vec<Source>> {
        let mut sources = Vec::new();
        if let Some(rootfs) = &self.description.rootfs {
            let (path, key) = rootfs::ensure(step, rootfs)?;
            sources.push(Source { name: "rootfs.tar".to_owned(), path, key });
        }
        for tool in &self.description.tools {
            let path = tools.path(tool)?.to_path_buf();
            // The cache's folder is named by the hash of what the tool is made from.
            sources.push(Source { name: tool.clone(), key: path.to_string_lossy().into_owned(), path });
        }
        for binary in &self.description.binaries {
            let path = binaries.path(binary)?.to_path_buf();
            sources.push(Source { name: binary.clone(), key: digest::of_file(&path)?, path });
        }
        if let Some(program) = &self.description.program {
            sources.push(self.compile(step, program)?);
        }
        if self.description.kafka {
            let distribution = devenv::kafka::distribution()?;
            let key = distribution.file_name().unwrap_or_default().to_string_lossy().into_owned();
            sources.push(Source { name: "libs".to_owned(), path: distribution.join("libs"), key });
        }
        Ok(sources)
    }

    /// The hash of everything the image is made from.
    pub(super) fn key(&self, sources: &[Source]) -> Result<String> {
        let mut key = Key::new().part(FORMAT).part(self.repository()).part(&self.tag);
        for (name, path) in self.files()? {
            let executable = fs::metadata(&path)?.permissions().mode() & 0o111 != 0;
            key = key.part(&name).part([u8::from(executable)]).file(&path)?;
        }
        for source in sources {
            key = key.part(&source.name).part(&source.key);
        }
        Ok(key.hex(12))
    }

    /// The recipe's own files for the context: relative name to path.
    pub(super) fn files(&self) -> Result<BTreeMap<String, PathBuf>> {
        let mut files = BTreeMap::new();
        collect(&self.dir, "", &mut files)?;
        files.retain(|name, _| !DESCRIPTIONS.contains(&name.as_str()) && name != rootfs::HOOK);
        if !files.contains_key("Containerfile") {
            bail!("{} has no Containerfile", self.dir.display());
        }
        Ok(files)
    }

    fn compile(&self, step: &Step, source: &str) -> Result<Source> {
        let source = self.dir.join(source);
        let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let key = Key::new().file(&source)?.hex(16);
        let path = devenv::paths::cache_dir().join("images").join(format!("{name}-{key}"));
        if !path.exists() {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            step.command("gcc").args(["-Os", "-static", "-s", "-o"]).arg(&path).arg(&source).run()?;
        }
        Ok(Source { name, path, key })
    }
}

fn collect(dir: &Path, prefix: &str, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_reads_and_has_a_containerfile() {
        let recipes = all(&root()).unwrap();
        assert!(recipes.len() >= 10);
        for recipe in recipes {
            assert!(recipe.files().unwrap().contains_key("Containerfile"));
        }
    }

    #[test]
    fn the_images_that_manifests_name_are_built_under_exactly_those_names() {
        let names: Vec<String> =
            all(&root()).unwrap().iter().map(|recipe| format!("{}:{}", recipe.repository(), recipe.tag())).collect();
        let version = env!("CARGO_PKG_VERSION");
        for name in [
            &format!("greencommerce/services:{version}"),
            &format!("greencommerce/operator:{version}"),
            "postgres:15",
            "apache/kafka:4.1.1",
            "redis:7.0",
        ] {
            assert!(names.iter().any(|built| built == name), "{name}");
        }
    }

    #[test]
    fn another_source_makes_another_key() {
        let recipe = &all(&root()).unwrap()[0];
        let source = |key: &str| vec![Source { name: "x".to_owned(), path: PathBuf::new(), key: key.to_owned() }];
        assert_ne!(recipe.key(&source("1")).unwrap(), recipe.key(&source("2")).unwrap());
        assert_eq!(recipe.key(&source("1")).unwrap().len(), 12);
    }
}
