//! The folder of a control plane: in memory where there is a file system for that, and gone when its process is.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use nix::sys::statvfs::statvfs;

const MEMORY: &str = "/dev/shm";
/// What several control planes need; in a container there is often less.
const ROOM: u64 = 1 << 30;
const PREFIX: &str = "greencommerce-kubekit";

/// A folder that is removed with the value, or soon after this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    janitor: Child,
}

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let memory = Path::new(MEMORY);
        let base = if has_room(memory) { memory.to_path_buf() } else { std::env::temp_dir() };
        let path = base.join(format!("{PREFIX}-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(&path).expect("a folder can be made");
        let janitor = janitor(&path);
        Self { path, janitor }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn has_room(path: &Path) -> bool {
    statvfs(path).is_ok_and(|space| space.blocks_available().saturating_mul(space.fragment_size()) >= ROOM)
}

/// Its input ends when this process does, whatever the reason. The servers are killed by then, but a kill takes a moment.
fn janitor(path: &Path) -> Child {
    Command::new("sh")
        .args(["-c", r#"read -r _; rm -rf "$0" || { sleep 1; rm -rf "$0"; }"#])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell can be run")
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        // What it leaves is in memory only until the machine restarts.
        let _ = self.janitor.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner() {
        let folder = Folder::new();
        let path = folder.path().to_path_buf();
        fs::write(path.join("file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
