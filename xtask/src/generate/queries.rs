//! What sqlx's macros learn about each query from a real database, kept for builds without one.
//!
//! A package with an `sqlx.toml` takes part. For each, a scratch database on the development PostgreSQL server gets the
//! package's migrations; then the package is checked by cargo with the database's URL in the variable that
//! its `sqlx.toml` names, and the macros write one file per query.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, Result, ensure};
use devenv::{Backing, backing::Postgres};
use serde::Deserialize;

use super::{
    Mode,
    artifacts::{self, Files},
};
use crate::{command::Cmd, packages, packages::Package, ui::Step, workspace};

/// The package whose migrations every database gets before its own.
const PLATFORM: &str = "db";

/// Brings `.sqlx/` of every package that has queries, or of those named, up to date; or says what is not.
pub(super) fn generate(step: &Step, mode: Mode, only: &[String]) -> Result<Vec<PathBuf>> {
    let all = schemas()?;
    for name in only {
        ensure!(all.iter().any(|schema| schema.package == *name), "no package {name} with an sqlx.toml");
    }
    let server = Backing::of_checkout().postgres().context("cannot start PostgreSQL")?;
    let platform = all.iter().find(|schema| schema.package == PLATFORM);
    let mut wanted = Vec::new();
    for schema in all.iter().filter(|schema| only.is_empty() || only.contains(&schema.package)) {
        let base = platform.filter(|platform| platform.package != schema.package);
        wanted.push((schema, migrated(&server, base, schema)?));
    }
    match mode {
        Mode::Check => compare(step, &wanted),
        Mode::Write => {
            let mut changed = Vec::new();
            for (schema, url) in &wanted {
                changed.extend(describe(step, schema, url)?);
            }
            Ok(changed)
        }
    }
}

/// A package with queries of its own.
struct Schema {
    package: String,
    dir: PathBuf,
    url_variable: String,
    create_schemas: Vec<String>,
    migrations: Vec<PathBuf>,
}

impl Schema {
    /// Where the macros look in a build without a database.
    fn queries(&self) -> PathBuf {
        self.dir.join(".sqlx")
    }
}

/// The parts of `sqlx.toml` that matter here.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Config {
    #[serde(default)]
    common: Common,
    #[serde(default)]
    migrate: Migrate,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Common {
    database_url_var: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Migrate {
    #[serde(default)]
    create_schemas: Vec<String>,
}

/// By folder, which puts what services depend on before them: each is then compiled once.
fn schemas() -> Result<Vec<Schema>> {
    let mut packages = packages::of_workspace()?;
    packages.sort_by(|a, b| a.folder.cmp(&b.folder));
    packages.into_iter().filter(|package| package.dir.join("sqlx.toml").is_file()).map(schema).collect()
}

fn schema(package: Package) -> Result<Schema> {
    let path = package.dir.join("sqlx.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config: Config = toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?;
    let url_variable = config.common.database_url_var;
    Ok(Schema {
        migrations: migrations(&package.dir.join("migrations"))?,
        url_variable: url_variable.with_context(|| format!("{} names no database-url-var", path.display()))?,
        create_schemas: config.migrate.create_schemas,
        package: package.name,
        dir: package.dir,
    })
}

/// The files `<version>_<description>.sql`, by version; none where there is no folder.
fn migrations(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        if let Some(version) = version(&entry.file_name().to_string_lossy()) {
            found.push((version, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn version(file_name: &str) -> Option<i64> {
    file_name.strip_suffix(".sql")?.split_once('_')?.0.parse().ok()
}

/// A fresh database with every migration applied; its URL.
fn migrated(server: &Postgres, base: Option<&Schema>, schema: &Schema) -> Result<String> {
    let database = format!("sqlx_{}", schema.package);
    server.recreate_database(&database).with_context(|| format!("cannot make the database {database}"))?;
    for schema in base.into_iter().chain([schema]) {
        for name in &schema.create_schemas {
            server.query(&database, &format!("CREATE SCHEMA IF NOT EXISTS \"{name}\""))?;
        }
        for file in &schema.migrations {
            server.run_file(&database, file).with_context(|| format!("{} failed", file.display()))?;
        }
    }
    Ok(server.url(&database))
}

/// Lets the macros describe every query of the package. Where the package does not compile, what they could describe is
/// kept all the same, so that the next build gets further.
fn describe(step: &Step, schema: &Schema, url: &str) -> Result<Vec<PathBuf>> {
    step.say(&schema.package);
    let scratch = scratch(&schema.package)?;
    let touched = Touched::new(&schema.dir.join("src/lib.rs"))?;
    let checked = check(step, &scratch, &["--package", &schema.package])
        .env(&schema.url_variable, url)
        .hint(format!("see the whole message with: cargo check --package {}", schema.package))
        .run();
    drop(touched);
    let mut files = artifacts::read(&scratch, is_query)?;
    let target = schema.queries();
    if checked.is_err() {
        let mut kept = artifacts::read(&target, is_query)?;
        kept.append(&mut files);
        artifacts::place(&target, &kept, is_query, Mode::Write)?;
    }
    checked?;
    artifacts::place(&target, &files, is_query, Mode::Write)
}

/// Lets the macros describe the queries of all these packages at once, in the one build that all checks share, and compares
/// them with what is committed. That each file lies with the right package is shown by any build without a database.
fn compare(step: &Step, schemas: &[(&Schema, String)]) -> Result<Vec<PathBuf>> {
    let scratch = scratch("all")?;
    let mut command = check(step, &scratch, &["--workspace", "--exclude", "e2e"]);
    let mut touched = Vec::new();
    for (schema, url) in schemas {
        touched.push(Touched::new(&schema.dir.join("src/lib.rs"))?);
        command = command.env(&schema.url_variable, url);
    }
    command.run()?;
    drop(touched);
    let described = artifacts::read(&scratch, is_query)?;
    let mut committed = Vec::new();
    for (schema, _) in schemas {
        let dir = schema.queries();
        let files = artifacts::read(&dir, is_query)?;
        committed.extend(files.into_iter().map(|(name, content)| (dir.join(&name), name, content)));
    }
    Ok(differing(&described, &committed))
}

/// Files that are committed and not described like that, then queries that are described and not committed.
fn differing(described: &Files, committed: &[(PathBuf, String, Vec<u8>)]) -> Vec<PathBuf> {
    let stale = committed.iter().filter(|(_, name, content)| described.get(name) != Some(content));
    let missing = described.keys().filter(|name| !committed.iter().any(|(_, other, _)| other == *name));
    stale.map(|(path, _, _)| path.clone()).chain(missing.map(PathBuf::from)).collect()
}

/// A folder for what the macros write, empty.
fn scratch(name: &str) -> Result<PathBuf> {
    let dir = workspace::root().join("target/gen/sqlx").join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

fn check<'a>(step: &'a Step, scratch: &Path, selection: &[&str]) -> Cmd<'a> {
    step.command("cargo")
        .args(["check", "--quiet", "--message-format", "short", "--all-targets"])
        .args(selection)
        .directory(&workspace::root())
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", scratch)
}

/// A file that looks changed to cargo while this value lives: a macro runs again only when its file is compiled again,
/// which a variable alone does not bring about.
struct Touched {
    file: fs::File,
    before: SystemTime,
    during: SystemTime,
}

impl Touched {
    #[expect(clippy::disallowed_methods, reason = "the time of a file, not a decision of the program")]
    fn new(path: &Path) -> Result<Self> {
        let touch = || -> io::Result<Self> {
            let file = fs::File::options().append(true).open(path)?;
            let before = file.metadata()?.modified()?;
            file.set_modified(SystemTime::now())?;
            let during = file.metadata()?.modified()?;
            Ok(Self { file, before, during })
        };
        touch().with_context(|| format!("cannot touch {}", path.display()))
    }
}

impl Drop for Touched {
    /// Other builds need not compile it again, unless somebody has changed it meanwhile.
    fn drop(&mut self) {
        if self.file.metadata().and_then(|now| now.modified()).is_ok_and(|now| now == self.during) {
            let _ = self.file.set_modified(self.before);
        }
    }
}

fn is_query(name: &str) -> bool {
    name.strip_prefix("query-").is_some_and(|rest| rest.strip_suffix(".json").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_ordered_by_number_and_not_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["10_prices.sql", "9_products.sql", "0001_first.sql", "README.md", "x_y.sql"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names = ["0001_first.sql", "9_products.sql", "10_prices.sql"].map(|name| dir.path().join(name));
        assert_eq!(migrations(dir.path()).unwrap(), names);
    }

    #[test]
    fn only_what_matters_of_the_configuration_is_read() {
        let text = "[common]\ndatabase-url-var = 'A_URL'\n[migrate]\ntable-name = 'x'\ncreate-schemas = ['p']\n\
                    [macros.type-overrides]\n'TIMESTAMPTZ' = 'jiff_sqlx::Timestamp'\n";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.common.database_url_var.as_deref(), Some("A_URL"));
        assert_eq!(config.migrate.create_schemas, ["p"]);
    }

    #[test]
    fn stale_changed_and_missing_files_are_named() {
        let described: Files =
            [("a", "1"), ("b", "2"), ("c", "3")].map(|(name, text)| (name.to_owned(), text.into())).into();
        let file = |name: &str, text: &str| (PathBuf::from("x").join(name), name.to_owned(), text.into());
        let committed = [file("a", "1"), file("b", "old"), file("d", "4")];
        assert_eq!(differing(&described, &committed), ["x/b", "x/d", "c"].map(PathBuf::from));
    }

    #[test]
    fn a_touched_file_has_its_old_time_afterwards_unless_it_was_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lib.rs");
        fs::write(&path, "").unwrap();
        let time = || fs::metadata(&path).unwrap().modified().unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        drop(Touched::new(&path).unwrap());
        assert_eq!(time(), SystemTime::UNIX_EPOCH);

        let touched = Touched::new(&path).unwrap();
        let later = touched.during + std::time::Duration::from_secs(1);
        fs::File::options().append(true).open(&path).unwrap().set_modified(later).unwrap();
        drop(touched);
        assert_eq!(time(), later);
    }

    #[test]
    fn only_query_files_are_ours() {
        assert!(is_query("query-0a1b.json"));
        assert!(!is_query("query-0a1b.json.swp"));
        assert!(!is_query("README.md"));
    }
}
