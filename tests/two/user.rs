//! Somebody who edits gists all day, whatever happens meanwhile, and remembers what was written.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::machine::Machine;

/// Names that files get.
const NAMES: [&str; 6] = ["a.md", "b.txt", "c", "notes.md", "todo", "x.rs"];

pub(crate) struct User<'a> {
    machine: &'a Machine,
    number: usize,
    random: u64,
    /// Edits until the network changes again.
    weather: usize,
    written: usize,
    /// Lines of ours, each written once, and lines that we saw and removed.
    pub(crate) lines: BTreeSet<String>,
    pub(crate) removed: BTreeSet<String>,
    /// Gists made.
    pub(crate) made: usize,
    pub(crate) done: usize,
    pub(crate) failed: usize,
    /// What every file held when the last edit was done.
    pub(crate) last: Vec<(PathBuf, Vec<u8>)>,
}

impl<'a> User<'a> {
    pub(crate) fn new(machine: &'a Machine, seed: u64, number: usize) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            machine,
            number,
            random,
            weather: 30,
            written: 0,
            lines: BTreeSet::new(),
            removed: BTreeSet::new(),
            made: 0,
            done: 0,
            failed: 0,
            last: Vec::new(),
        }
    }

    /// A number below `bound` (SplitMix64).
    fn pick(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    fn one_of(&mut self, paths: Vec<PathBuf>) -> Option<PathBuf> {
        let at = self.pick(paths.len());
        paths.into_iter().nth(at)
    }

    fn token(&mut self) -> String {
        self.written += 1;
        let token = format!("user {} line {}", self.number, self.written);
        self.lines.insert(token.clone());
        token
    }

    /// One edit. What another machine renamed or removed meanwhile is not there to be edited.
    pub(crate) fn edit(&mut self) {
        self.change_the_weather();
        match self.try_edit() {
            Ok(()) => self.done += 1,
            Err(error) => {
                let raced = [
                    libc::ENOENT,
                    libc::EEXIST,
                    libc::ENOTEMPTY,
                    libc::ESTALE,
                    // A body that nobody has read yet, while the network is away.
                    libc::EHOSTUNREACH,
                    libc::ETIMEDOUT,
                    libc::EIO,
                ];
                assert!(error.raw_os_error().is_some_and(|e| raced.contains(&e)), "{error}");
                self.failed += 1;
            }
        }
        // People are not that fast; the two shall have time to see each other's work.
        let pause = self.pick(16) as u64;
        std::thread::park_timeout(Duration::from_millis(pause));
    }

    fn change_the_weather(&mut self) {
        self.weather -= 1;
        if self.weather > 0 {
            return;
        }
        let cable = &self.machine.cable;
        match self.pick(5) {
            0 | 1 => cable.cut(),
            2 => cable.hang(),
            _ => cable.mend(),
        }
        self.weather = 5 + self.pick(60);
    }

    fn try_edit(&mut self) -> io::Result<()> {
        let Some(gist) = self.one_of(entries(&self.machine.point())?) else { return Ok(()) };
        let files = entries(&gist)?;
        let count = files.len();
        let file = self.one_of(files);
        match (self.pick(100), file) {
            (0..20, Some(file)) => self.append(&file),
            (20..50, Some(file)) => self.rewrite(&file, false),
            (50..68, Some(file)) => self.rewrite(&file, true),
            (68..74, Some(file)) => {
                let token = self.token();
                let done = self.replace(&file, &format!("{token}\n"), false);
                self.forget_unless(&done, &token);
                done
            }
            (74..82, Some(file)) => {
                let new = gist.join(NAMES[self.pick(NAMES.len())]);
                if new.exists() { Ok(()) } else { std::fs::rename(file, new) }
            }
            (82..85, Some(file)) if count > 1 => {
                let text = std::fs::read_to_string(&file)?;
                std::fs::remove_file(&file)?;
                self.removed.extend(text.lines().map(str::to_owned));
                Ok(())
            }
            (85..87, _) => {
                let title = self.token();
                self.lines.remove(&title);
                std::fs::rename(&gist, self.machine.point().join(title))
            }
            (87, _) => {
                let title = self.token();
                let gist = self.machine.point().join(&title);
                std::fs::create_dir(&gist)?;
                self.made += 1;
                // The title is its first line too.
                let done = std::fs::write(gist.join("a.md"), format!("{title}\n"));
                self.forget_unless(&done, &title);
                done
            }
            (_, _) => {
                let new = gist.join(NAMES[self.pick(NAMES.len())]);
                if new.exists() {
                    return self.append(&new);
                }
                let token = self.token();
                let done = std::fs::write(&new, format!("{token}\n"));
                self.forget_unless(&done, &token);
                done
            }
        }
    }

    /// What could not be written need not be found.
    fn forget_unless(&mut self, done: &io::Result<()>, token: &str) {
        if done.is_err() {
            self.lines.remove(token);
        }
    }

    fn append(&mut self, path: &Path) -> io::Result<()> {
        let token = self.token();
        let append = || {
            let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
            file.write_all(format!("{token}\n").as_bytes())
        };
        let done = append();
        self.forget_unless(&done, &token);
        done
    }

    /// Puts a line somewhere, or another in the place of one; in place, or as `sed -i` does.
    fn rewrite(&mut self, path: &Path, beside: bool) -> io::Result<()> {
        let text = std::fs::read_to_string(path)?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (at, token) = (self.pick(lines.len()), self.token());
        if self.pick(2) == 0 && !lines.is_empty() {
            lines[at].clone_from(&token);
        } else {
            lines.insert(at, token.clone());
        }
        let done = self.replace(path, &(lines.join("\n") + "\n"), beside);
        self.forget_unless(&done, &token);
        done
    }

    fn replace(&mut self, path: &Path, text: &str, beside: bool) -> io::Result<()> {
        let before = std::fs::read_to_string(path)?;
        if beside {
            let temporary = path.with_file_name("sedAb3dEf");
            std::fs::write(&temporary, text)?;
            std::fs::rename(temporary, path)?;
        } else {
            std::fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(path)?
                .write_all(text.as_bytes())?;
        }
        let kept: BTreeSet<&str> = text.lines().collect();
        self.removed.extend(before.lines().filter(|line| !kept.contains(line)).map(str::to_owned));
        Ok(())
    }

    /// What every file holds now that the last edit is done.
    pub(crate) fn note_what_is_seen(&mut self) {
        for gist in entries(&self.machine.point()).expect("the mount answers") {
            for file in entries(&gist).unwrap_or_default() {
                if let Ok(body) = std::fs::read(&file) {
                    self.last.push((file, body));
                }
            }
        }
    }
}

/// What is in a directory, sorted; what a save leaves for a moment excepted.
pub(crate) fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != "sedAb3dEf") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
