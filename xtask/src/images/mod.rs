//! Container images: built from `cluster/images/*`, kept in a cache keyed by what they are made of.

mod binaries;
mod context;
mod recipe;
mod rootfs;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

pub(crate) use self::binaries::as_released;
use self::{binaries::Binaries, recipe::Recipe};
use crate::{
    cluster::{self, Provider, ProviderName},
    tools::Toolbox,
    ui::{self, Step, Ui},
    workspace,
};

/// Options of `cargo xtask images`.
#[derive(Args)]
pub(crate) struct Options {
    /// Who builds: a Docker engine (`kind`) or Debian's buildah (`host`). Default: a Docker engine when one answers.
    #[arg(long, value_enum)]
    provider: Option<ProviderName>,
    /// The folder with the recipes.
    #[arg(long, default_value = recipe::FOLDER)]
    recipes: PathBuf,
    /// Put the images on every node of the cluster that runs as well.
    #[arg(long)]
    load: bool,
}

/// One built image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    repository: String,
    tag: String,
    key: String,
}

/// Which images are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All that need no program of this workspace: the cluster's own, PostgreSQL, Kafka, cache.
    Foreign,
    /// Services and operator as well.
    All,
}

impl Image {
    pub(crate) fn new(repository: &str, tag: &str, key: &str) -> Self {
        Self { repository: repository.to_owned(), tag: tag.to_owned(), key: key.to_owned() }
    }

    /// `repository:tag`, the name that manifests use.
    pub(crate) fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// The tag that names this very content: `<tag>-<12 hexadecimal digits>`.
    pub(crate) fn content_tag(&self) -> String {
        format!("{}-{}", self.tag, self.key)
    }

    /// `repository:<tag>-<12 hexadecimal digits>`.
    pub(crate) fn content_reference(&self) -> String {
        format!("{}:{}", self.repository, self.content_tag())
    }

    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// A file name for this content.
    pub(crate) fn file_stem(&self) -> String {
        format!("{}-{}-{}", self.repository.replace('/', "-"), self.tag, self.key)
    }
}

/// The image of a repository among those that were built.
pub(crate) fn find<'a>(images: &'a [Image], repository: &str) -> Result<&'a Image> {
    let found = images.iter().find(|image| image.repository() == repository);
    found.with_context(|| format!("cluster/images has no recipe for {repository}"))
}

/// Builds what is missing.
pub(crate) fn ensure(
    step: &Step,
    provider: &dyn Provider,
    tools: &Toolbox,
    selection: Selection,
) -> Result<Vec<Image>> {
    let recipes: Vec<Recipe> = recipe::all(&recipe::root())?
        .into_iter()
        .filter(|recipe| selection == Selection::All || recipe.binaries().is_empty())
        .collect();
    let binaries = binaries::ensure(step, &recipes)?;
    if selection == Selection::All {
        binaries.link_plugin(&cluster::bin())?;
    }
    build(step, provider, tools, &recipes, &binaries)
}

fn build(
    step: &Step,
    provider: &dyn Provider,
    tools: &Toolbox,
    recipes: &[Recipe],
    binaries: &Binaries,
) -> Result<Vec<Image>> {
    let (mut images, mut built) = (Vec::new(), Vec::new());
    for recipe in recipes {
        let sources = recipe.sources(step, tools, binaries)?;
        let image = Image::new(recipe.repository(), recipe.tag(), &recipe.key(&sources)?);
        if !provider.has_image(step, &image)? {
            step.say(&format!("building {}", image.content_reference()));
            let context = context::assemble(recipe, &sources)?;
            provider.build_image(step, context.dir(), &image)?;
            built.push(image.repository.clone());
        }
        images.push(image);
    }
    step.note(if built.is_empty() { "unchanged".to_owned() } else { format!("built {}", built.join(", ")) });
    Ok(images)
}

/// Builds the programs that images carry, and says where one of them is.
pub(crate) fn program(step: &Step, name: &str) -> Result<PathBuf> {
    let programs = binaries::ensure(step, &recipe::all(&recipe::root())?)?;
    Ok(programs.path(name)?.to_path_buf())
}

/// `cargo xtask images`
pub(crate) fn run(options: &Options) -> Result<()> {
    let provider = cluster::choose(options.provider);
    let ui = Ui::new(&cluster::dir().join("logs"))?;
    let _lock = cluster::exclusive()?;
    ui.step("Preflight", |step| cluster::preflight::run(step, provider.as_ref(), cluster::preflight::Purpose::Build))?;
    let tools = cluster::prepare(&ui, provider.as_ref())?;
    let recipes = recipe::all(&workspace::root().join(&options.recipes))?;
    let images = ui.step("Images", |step| {
        let binaries = binaries::ensure(step, &recipes)?;
        build(step, provider.as_ref(), &tools, &recipes, &binaries)
    })?;
    if options.load {
        ui.step("Load images", |step| provider.load(step, &tools, &images))?;
    }
    for image in images {
        ui::line(&format!("{}  {}", image.reference(), image.content_reference()));
    }
    ui::line(&ui.timings());
    Ok(())
}
