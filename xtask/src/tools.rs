//! Programs built from Go modules (`cluster/tools/*/go.mod`) into a cache keyed by what they are made of.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use devenv::paths::{cache_dir, tools_dir};

use crate::{
    digest::Key,
    ui::{Step, Ui},
    workspace,
};

/// One build: some packages of one module, with one set of flags.
pub(crate) struct Tool {
    /// The name of the cache entry.
    name: &'static str,
    /// The folder under `cluster/tools`.
    module: &'static str,
    /// What to build: `tool` lines of the module's go.mod.
    packages: &'static [&'static str],
    /// The name of the binary where the package's own name would not do, else empty.
    binary: &'static str,
    /// `-X` variables. `{module}` stands for that module's version, `{module.major}` and `{module.minor}` for its parts.
    variables: &'static [&'static str],
}

/// kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl.
pub(crate) const KUBERNETES: Tool = shared(
    "kubernetes",
    &[
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        "k8s.io/kubernetes/cmd/kubelet",
        "k8s.io/kubernetes/cmd/kube-proxy",
        "k8s.io/kubernetes/cmd/kubectl",
    ],
    KUBERNETES_VERSION,
);
/// kubectl alone, for a cluster that brings its own control plane.
pub(crate) const KUBECTL: Tool = shared("kubectl", &["k8s.io/kubernetes/cmd/kubectl"], KUBERNETES_VERSION);
pub(crate) const ETCD: Tool = Tool { binary: "etcd", ..alone("etcd", &["go.etcd.io/etcd/server/v3"], &[]) };
pub(crate) const HELM: Tool = shared(
    "helm",
    &["helm.sh/helm/v3/cmd/helm"],
    &[
        "helm.sh/helm/v3/internal/version.version={helm.sh/helm/v3}",
        "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor={k8s.io/kubernetes.major}",
        "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={k8s.io/kubernetes.minor}",
        "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor={k8s.io/kubernetes.major}",
        "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor={k8s.io/kubernetes.minor}",
    ],
);
pub(crate) const COREDNS: Tool = shared("coredns", &["github.com/coredns/coredns"], &[]);
pub(crate) const LOCAL_PATH_PROVISIONER: Tool = shared(
    "local-path-provisioner",
    &["github.com/rancher/local-path-provisioner"],
    &["main.VERSION={github.com/rancher/local-path-provisioner}"],
);
pub(crate) const METRICS_SERVER: Tool =
    alone("metrics-server", &["sigs.k8s.io/metrics-server/cmd/metrics-server"], &[]);
pub(crate) const KUBECONFORM: Tool = alone(
    "kubeconform",
    &["github.com/yannh/kubeconform/cmd/kubeconform"],
    &["main.version={github.com/yannh/kubeconform}"],
);
pub(crate) const KIND: Tool = alone("kind", &["sigs.k8s.io/kind"], &[]);

const KUBERNETES_VERSION: &[&str] = &[
    "k8s.io/component-base/version.gitVersion={k8s.io/kubernetes}",
    "k8s.io/component-base/version.gitMajor={k8s.io/kubernetes.major}",
    "k8s.io/component-base/version.gitMinor={k8s.io/kubernetes.minor}",
    "k8s.io/component-base/version.gitTreeState=clean",
    "k8s.io/client-go/pkg/version.gitVersion={k8s.io/kubernetes}",
    "k8s.io/client-go/pkg/version.gitMajor={k8s.io/kubernetes.major}",
    "k8s.io/client-go/pkg/version.gitMinor={k8s.io/kubernetes.minor}",
    "k8s.io/client-go/pkg/version.gitTreeState=clean",
];

/// A tool of the module that holds Kubernetes and others: they use one version of each dependency, so that what they have
/// in common is compiled once.
const fn shared(name: &'static str, packages: &'static [&'static str], variables: &'static [&'static str]) -> Tool {
    Tool { name, module: "kubernetes", packages, binary: "", variables }
}

/// A tool of a module of its own.
const fn alone(name: &'static str, packages: &'static [&'static str], variables: &'static [&'static str]) -> Tool {
    Tool { name, module: name, packages, binary: "", variables }
}

/// kubectl's plugin, which is a program of this workspace.
pub(crate) const PLUGIN: &str = "kubectl-greencommerce";

/// Built programs by name.
#[derive(Default)]
pub(crate) struct Toolbox(BTreeMap<String, PathBuf>);

impl Toolbox {
    /// The path of a program.
    pub(crate) fn path(&self, program: &str) -> Result<&Path> {
        let path = self.0.get(program).with_context(|| format!("{program} is not among the built tools"))?;
        Ok(path)
    }

    /// Makes `dir` hold one link per program and, but for kubectl's plugin, nothing else.
    pub(crate) fn link_into(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name() == PLUGIN {
                continue;
            }
            let wanted = self.0.get(entry.file_name().to_string_lossy().as_ref());
            if wanted.is_none() || fs::read_link(entry.path()).ok().as_ref() != wanted {
                fs::remove_file(entry.path())?;
            }
        }
        self.0.iter().try_for_each(|(name, path)| link(dir, name, path))
    }

    fn add(&mut self, dir: &Path) -> Result<()> {
        for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let entry = entry?;
            self.0.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
        }
        Ok(())
    }
}

/// Makes `name` in `dir` a link to a program.
pub(crate) fn link(dir: &Path, name: &str, program: &Path) -> Result<()> {
    let link = dir.join(name);
    if fs::read_link(&link).is_ok_and(|held| held == program) {
        return Ok(());
    }
    if link.symlink_metadata().is_ok() {
        fs::remove_file(&link).with_context(|| format!("cannot remove {}", link.display()))?;
    }
    symlink(program, &link).with_context(|| format!("cannot create {}", link.display()))
}

/// `cargo xtask tools`.
pub(crate) fn run() -> Result<()> {
    let ui = Ui::new(&workspace::root().join("target/dev/steps"))?;
    ui.step("Tools of the operator's tests", link_control_plane)
}

/// Makes sure that etcd and the API server are where the operator's tests look for them.
pub(crate) fn link_control_plane(step: &Step) -> Result<()> {
    let tools = ensure(step, &[&KUBERNETES, &ETCD])?;
    tools.link_into(&tools_dir())
}

/// Builds what the cache lacks. Two calls at a time, in one or two processes, build each tool once.
pub(crate) fn ensure(step: &Step, tools: &[&Tool]) -> Result<Toolbox> {
    let cache = cache_dir().join("tools");
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let modules = workspace::root().join("cluster/tools");
    let mut toolbox = Toolbox::default();
    let mut built = Vec::new();
    for tool in tools {
        let plan = tool.build(step, &modules)?;
        let dir = cache.join(format!("{}-{}", tool.name, plan.key));
        if !dir.exists() {
            let lock = fs::File::create(cache.join(format!("{}.lock", tool.name)))?;
            lock.lock().context("cannot lock the cache of tools")?;
            if !dir.exists() {
                step.say(&format!("building {}", tool.name));
                plan.run(step, &dir)?;
                built.push(tool.name);
            }
        }
        toolbox.add(&dir)?;
    }
    step.note(if built.is_empty() { "unchanged".to_owned() } else { format!("built {}", built.join(", ")) });
    Ok(toolbox)
}

/// The newest `go` line among the tools' modules, as (major, minor, patch): what the Go client must be at least.
pub(crate) fn required_go() -> Result<(u32, u32, u32)> {
    let modules = workspace::root().join("cluster/tools");
    let mut required = (1, 26, 0);
    for entry in fs::read_dir(&modules).with_context(|| format!("cannot read {}", modules.display()))? {
        let text = fs::read_to_string(entry?.path().join("go.mod"))?;
        if let Some(version) = go_line(&text) {
            required = required.max(version);
        }
    }
    Ok(required)
}

struct Build {
    key: String,
    arguments: Vec<String>,
    binary: &'static str,
    directory: PathBuf,
}

impl Tool {
    fn build(&self, step: &Step, modules: &Path) -> Result<Build> {
        let directory = modules.join(self.module);
        let mut flags = "-s -w".to_owned();
        for variable in self.variables {
            flags.push_str(" -X ");
            flags.push_str(&with_versions(variable, modules)?);
        }
        // `-s -w` keeps debugging information out of the programs, so it need not be compiled either: a tenth of the work.
        let without_debug = "-gcflags=all=-dwarf=false";
        let arguments = ["build", "-trimpath", "-buildvcs=false", without_debug, "-ldflags", &flags, "-o", self.binary]
            .iter()
            .chain(self.packages)
            .map(|argument| (*argument).to_owned())
            .collect();
        let go = step
            .command("go")
            .args(["env", "GOVERSION", "GOOS", "GOARCH"])
            .directory(&directory)
            .hint("install Go and put it on PATH")
            .output()?;
        let mut key = Key::new().part(self.name).part(words(&go)).part("CGO_ENABLED=0");
        for argument in &arguments {
            key = key.part(argument);
        }
        let key = key.file(&directory.join("go.mod"))?.file(&directory.join("go.sum"))?.hex(16);
        Ok(Build { key, arguments, binary: self.binary, directory })
    }
}

impl Build {
    /// Builds into a folder beside the final one and renames it, so that a half-built tool is never used.
    fn run(&self, step: &Step, dir: &Path) -> Result<()> {
        let partial = dir.with_extension("partial");
        fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
        let output = format!("{}/{}", partial.display(), self.binary);
        let mut arguments = self.arguments.clone();
        if let Some(position) = arguments.iter().position(|argument| argument == "-o") {
            arguments[position + 1] = output;
        }
        step.command("go")
            .args(&arguments)
            .directory(&self.directory)
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .env("GOFLAGS", "")
            .hint("read the log; if a module could not be fetched, check GOPROXY (`go env GOPROXY`) and run the command again: what is built is kept")
            .run()?;
        fs::rename(&partial, dir).with_context(|| format!("cannot create {}", dir.display()))
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Replaces each `{module}` by the version that some go.mod under `modules` requires.
fn with_versions(template: &str, modules: &Path) -> Result<String> {
    let mut text = template.to_owned();
    while let Some((start, end)) = text.find('{').zip(text.find('}')) {
        let placeholder = text[start + 1..end].to_owned();
        let (module, part) = match placeholder.rsplit_once('.') {
            Some((module, part @ ("major" | "minor"))) => (module, part),
            _ => (placeholder.as_str(), ""),
        };
        let version = required_version(modules, module)?;
        let mut numbers = version.trim_start_matches('v').split('.');
        let value = match part {
            "major" => numbers.next().unwrap_or_default(),
            "minor" => numbers.nth(1).unwrap_or_default(),
            _ => &version,
        };
        text.replace_range(start..=end, value);
    }
    Ok(text)
}

fn required_version(modules: &Path, module: &str) -> Result<String> {
    for entry in fs::read_dir(modules).with_context(|| format!("cannot read {}", modules.display()))? {
        let text = fs::read_to_string(entry?.path().join("go.mod"))?;
        if let Some(version) = tool_version(&text, module) {
            return Ok(version);
        }
    }
    bail!("no go.mod under {} builds a tool from {module}", modules.display())
}

/// The version of a module that a go.mod builds a tool from. (Go marks it as indirect, since no package imports it.)
fn tool_version(go_mod: &str, module: &str) -> Option<String> {
    let lines = || go_mod.lines().map(str::trim).filter(|line| !line.contains("=>"));
    let is_tool = lines().any(|line| {
        let package = line.trim_start_matches("tool ").strip_prefix(module);
        package.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let version = lines().find_map(|line| {
        let rest = line.trim_start_matches("require ").strip_prefix(module)?.strip_prefix(' ')?;
        rest.split(' ').next().map(str::to_owned)
    });
    version.filter(|_| is_tool)
}

fn go_line(go_mod: &str) -> Option<(u32, u32, u32)> {
    let version = go_mod.lines().find_map(|line| line.strip_prefix("go "))?;
    let mut numbers = version.trim().split('.').map(|number| number.parse().unwrap_or(0));
    Some((numbers.next()?, numbers.next()?, numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOLS: [&Tool; 9] =
        [&KUBERNETES, &KUBECTL, &ETCD, &HELM, &COREDNS, &LOCAL_PATH_PROVISIONER, &METRICS_SERVER, &KUBECONFORM, &KIND];

    #[test]
    fn the_version_is_that_of_the_module_a_tool_is_built_from() {
        let one = "tool k8s.io/kubernetes/cmd/kubelet\n\nrequire k8s.io/kubernetes v1.35.4\n";
        let block = "tool (\n\ta.b/c/v3\n)\n\nrequire (\n\ta.b/c/v3 v3.2.1 // indirect\n\tk8s.io/kubernetes v1.30.0 // indirect\n)\n";
        assert_eq!(tool_version(one, "k8s.io/kubernetes").as_deref(), Some("v1.35.4"));
        assert_eq!(tool_version(block, "a.b/c/v3").as_deref(), Some("v3.2.1"));
        assert_eq!(tool_version(block, "k8s.io/kubernetes"), None, "another tool's dependency");
        assert_eq!(tool_version(one, "k8s.io"), None);
    }

    #[test]
    fn every_variable_of_every_tool_finds_its_version() {
        let modules = workspace::root().join("cluster/tools");
        for tool in TOOLS {
            for variable in tool.variables {
                let text = with_versions(variable, &modules).unwrap();
                assert!(!text.contains('{') && !text.ends_with('='), "{text}");
            }
            assert!(modules.join(tool.module).join("go.sum").exists(), "{}", tool.name);
        }
    }

    #[test]
    fn what_is_built_is_a_tool_of_its_module() {
        let modules = workspace::root().join("cluster/tools");
        for tool in TOOLS {
            let go_mod = fs::read_to_string(modules.join(tool.module).join("go.mod")).unwrap();
            for package in tool.packages {
                let is_tool = go_mod.lines().any(|line| line.trim().trim_start_matches("tool ") == *package);
                assert!(is_tool, "{package}");
            }
        }
    }

    #[test]
    fn the_go_line_counts_with_its_patch_release() {
        assert_eq!(go_line("module x\n\ngo 1.26.4\n"), Some((1, 26, 4)));
        assert_eq!(go_line("go 1.26\n"), Some((1, 26, 0)));
    }
}
