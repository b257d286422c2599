//! The folder that an image is built from, the same for buildah and for Docker.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::recipe::{Recipe, Source};

/// A build context; removed when dropped.
pub(super) struct Context(PathBuf);

impl Context {
    pub(super) fn dir(&self) -> &Path {
        &self.0
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // A context that stays is removed by the next build of the same recipe.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Puts the recipe's files and its sources together.
pub(super) fn assemble(recipe: &Recipe, sources: &[Source]) -> Result<Context> {
    let name = recipe.repository().replace('/', "-");
    let dir = devenv::paths::cache_dir().join("images").join(format!("context-{name}"));
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let context = Context(dir);
    for (name, path) in recipe.files()? {
        copy(&path, &context.0.join(name))?;
    }
    for source in sources {
        copy(&source.path, &context.0.join(&source.name))?;
    }
    Ok(context)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}
