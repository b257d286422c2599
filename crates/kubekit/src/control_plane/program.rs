//! A server that can be killed and started again.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use crate::leash::{self, Leashed};

/// A program with its arguments, and the process it is at the moment.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    process: Mutex<Leashed>,
}

impl Program {
    /// Starts it. Its output goes to a log of its name in `folder`.
    pub(super) fn start(path: &Path, arguments: Vec<String>, folder: &Path) -> io::Result<Self> {
        let process = Mutex::new(spawn(path, &arguments, folder)?);
        Ok(Self { path: path.to_path_buf(), arguments, folder: folder.to_path_buf(), process })
    }

    pub(super) fn kill(&self) {
        self.process().kill();
    }

    /// Starts it once more.
    pub(super) fn restart(&self) {
        *self.process() = spawn(&self.path, &self.arguments, &self.folder).expect("what ran once can be run");
    }

    /// Its last words, if it has ended.
    pub(super) fn has_ended(&self) -> Option<String> {
        let process = self.process();
        process.ended().map(|_| process.last_words())
    }

    fn process(&self) -> MutexGuard<'_, Leashed> {
        self.process.lock().expect("no code panics while holding this lock")
    }
}

fn spawn(path: &Path, arguments: &[String], folder: &Path) -> io::Result<Leashed> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut command = leash::command(path);
    command.args(arguments).current_dir(folder);
    leash::spawn(command, &folder.join(format!("{name}.log")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_killed_runs_again_as_it_ran_before() {
        let folder = std::env::temp_dir();
        let sleep = Program::start(Path::new("sleep"), vec!["60".to_owned()], &folder).unwrap();
        assert_eq!(sleep.has_ended(), None);
        sleep.kill();
        assert!(sleep.has_ended().is_some());
        sleep.restart();
        assert_eq!(sleep.has_ended(), None);
    }
}
