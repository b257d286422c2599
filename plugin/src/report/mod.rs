//! `report`: a bundle for support, without secrets.

mod bundle;
mod collect;
mod keys;
mod kinds;
mod redact;
#[cfg(test)]
mod tests;
mod text;

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use kube::ResourceExt as _;

use self::{bundle::Bundle, collect::Collected, redact::Redactor};
use crate::{
    cli, clock,
    cluster::Cluster,
    error::Error,
    output,
    status::{render, view},
};

/// What a report without Secrets cannot promise.
const BLIND: &str = "the values of Secrets could not be looked for, as the Secrets could not be read: only what is named or \
                     looks like a secret is left out";

pub(crate) async fn run(cluster: &Cluster, options: &cli::Report) -> Result<(), Error> {
    let store = cluster.store(options.store.as_deref()).await?;
    let (name, now) = (store.name_any(), clock::now());
    let path = options.output.clone().unwrap_or_else(|| file_name(&name, now));
    if path.exists() {
        return Err(occupied(&path));
    }
    // It holds much while it waits.
    let collected = Box::pin(collect::collect(cluster, store, &options.operator_namespace)).await;
    for note in collected.notes() {
        output::complain(&format!("not in the report: {note}"));
    }
    let bundle = assemble(&collected, now)?;
    let unwritable = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => occupied(&path),
        _ => Error::failed(format!("cannot write {}: {error}", path.display())),
    };
    // What is left in it is still nobody else's business: a file that was there has the mode and the readers it had.
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    bundle.write(file.map_err(unwritable)?, now).map_err(unwritable)?;
    let care = if collected.secrets.is_some() {
        "secrets are left out, yet look before you share it"
    } else {
        output::complain(&format!("warning: {BLIND}"));
        "look for secrets in it before you share it"
    };
    output::print(&format!("wrote {}: {} files; {care}", path.display(), bundle.len()))
}

fn occupied(path: &Path) -> Error {
    Error::failed(format!("{} is there already: remove it, or name another file with --output", path.display()))
}

fn file_name(store: &str, now: Timestamp) -> PathBuf {
    PathBuf::from(format!("{store}-report-{}.tar.gz", now.strftime("%Y%m%dT%H%M%SZ")))
}

/// Puts what was collected into files, each redacted on its way in.
fn assemble(of: &Collected, now: Timestamp) -> Result<Bundle, Error> {
    let view = view(&of.gathered, now);
    let root = format!("{}-report", view.name);
    let mut bundle = Bundle::new(&root, Redactor::new(of.secrets.as_deref().unwrap_or_default())?);
    let mut notes: Vec<String> = of.notes().map(|note| format!("not in the report: {note}\n")).collect();
    if of.secrets.is_none() {
        notes.push(format!("warning: {BLIND}\n"));
    }
    bundle.text("summary.txt", &format!("{}\n{}", render(&view, now), notes.concat()));
    bundle.value("status.yaml", &view)?;
    bundle.value("versions.yaml", &of.versions)?;
    bundle.value("nodes.yaml", &of.nodes)?;
    bundle.value("secrets.yaml", &of.listed_secrets())?;
    bundle.value("events.yaml", &of.events)?;
    for (place, object) in &of.objects {
        bundle.value(&format!("{place}.yaml"), object)?;
    }
    for (place, log) in &of.logs {
        bundle.log(&format!("{place}.log"), log);
    }
    Ok(bundle)
}
