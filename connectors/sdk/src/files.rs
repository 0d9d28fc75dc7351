//! Which files settings may name: all of them, or those in some folders.
//!
//! A connector that opens a file named by its settings does it through [`Config::files`](crate::Config::files). Owns the
//! check, of the path and of the file that was opened; knows neither who is confined nor why.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::AsRawFd,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// Files of these are the kernel's, whatever folder is allowed: they tell of processes and devices.
const NEVER: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The files that a connector may use. The default: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(Option<Arc<Folders>>);

#[derive(Debug, PartialEq, Eq)]
struct Folders {
    allowed: Vec<PathBuf>,
    never: Vec<PathBuf>,
}

impl Files {
    /// Files in these folders and below, but in none of `never`.
    #[must_use]
    pub fn within(allowed: &[PathBuf], never: &[PathBuf]) -> Self {
        let kernel = NEVER.iter().map(PathBuf::from);
        Self(Some(Arc::new(Folders {
            allowed: allowed.to_vec(),
            never: never.iter().cloned().chain(kernel).collect(),
        })))
    }

    /// Whether this path may be used: where it leads, links followed, as far as it exists.
    ///
    /// # Errors
    /// It leads elsewhere, or where it leads cannot be seen. Neither says what is there.
    pub fn check(&self, path: &Path) -> io::Result<()> {
        match &self.0 {
            None => Ok(()),
            Some(folders) => folders.check(&leads_to(path)?),
        }
    }

    /// Opens a file, and makes sure that the file which was opened is one that may be used, whatever links have become
    /// since its path was looked at.
    ///
    /// # Errors
    /// As [`Files::check`], or the file cannot be opened.
    pub fn open(&self, options: &OpenOptions, path: &Path) -> io::Result<File> {
        self.check(path)?;
        let file = options.open(path)?;
        if let Some(folders) = &self.0 {
            let opened = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
            folders.check(&opened)?;
        }
        Ok(file)
    }
}

impl Folders {
    fn check(&self, real: &Path) -> io::Result<()> {
        // A folder may itself be a link, and may be made later.
        let holds = |folder: &PathBuf| {
            let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.clone());
            real.starts_with(folder)
        };
        if self.allowed.iter().any(holds) && !self.never.iter().any(holds) {
            Ok(())
        } else {
            Err(outside())
        }
    }
}

/// Where a path leads. What does not exist yet cannot be a link.
fn leads_to(path: &Path) -> io::Result<PathBuf> {
    if path
        .components()
        .any(|part| matches!(part, Component::ParentDir))
    {
        return Err(denied("has `..` in its path"));
    }
    let path = std::path::absolute(path)?;
    let mut missing = Vec::new();
    let mut there = path.as_path();
    loop {
        if let Ok(real) = fs::canonicalize(there) {
            return Ok(missing
                .iter()
                .rev()
                .fold(real, |real, name| real.join(name)));
        }
        // It is there, and leads nowhere or where nobody lets us look.
        if fs::symlink_metadata(there).is_ok() {
            return Err(outside());
        }
        let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else {
            return Err(outside());
        };
        missing.push(name.to_owned());
        there = parent;
    }
}

fn outside() -> io::Error {
    denied("is not in a folder that may be used")
}

fn denied(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use super::{Files, OpenOptions};
    use std::{
        fs, io,
        os::unix::fs::symlink,
        path::{Path, PathBuf},
    };

    struct Bench(PathBuf);

    impl Bench {
        fn new(name: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("tapline-files-{name}-{}", std::process::id()));
            for part in ["in", "out", "in/never"] {
                fs::create_dir_all(folder.join(part)).expect("a folder can be made");
            }
            for file in ["in/a", "out/a", "in/never/a"] {
                fs::write(folder.join(file), "text").expect("a file can be written");
            }
            Self(folder)
        }

        fn files(&self) -> Files {
            Files::within(&[self.0.join("in")], &[self.0.join("in/never")])
        }

        fn opens(&self, path: &str) -> io::Result<()> {
            let mut options = OpenOptions::new();
            let options = options.append(true).create(true);
            self.files().open(options, &self.0.join(path)).map(drop)
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn only_files_of_the_folders_are_opened_and_none_is_made_elsewhere() {
        let bench = Bench::new("only");
        assert!(bench.opens("in/a").is_ok() && bench.opens("in/new").is_ok());
        for path in [
            "out/a",
            "out/new",
            "in/../out/a",
            "in/never/a",
            "in/never/new",
        ] {
            let refused = bench.opens(path).expect_err(path);
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{path}");
        }
        assert!(!bench.0.join("out/new").exists() && !bench.0.join("in/never/new").exists());
        let kernel = Files::within(&[PathBuf::from("/")], &[]);
        assert!(kernel.check(Path::new("/proc/self/environ")).is_err());
        assert!(kernel.check(Path::new("/etc/hostname")).is_ok());
        assert!(
            Files::default()
                .check(Path::new("/proc/self/environ"))
                .is_ok()
        );
    }

    #[test]
    fn links_count_where_they_lead() {
        let bench = Bench::new("links");
        let link = |from: &str, to: &str| {
            symlink(bench.0.join(to), bench.0.join(from)).expect("a link can be made");
        };
        link("in/file", "out/a");
        link("in/folder", "out");
        link("in/dangling", "out/made-by-link");
        link("alias", "in");
        for path in ["in/file", "in/folder/a", "in/folder/new", "in/dangling"] {
            let refused = bench.opens(path).expect_err(path);
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{path}");
        }
        assert!(!bench.0.join("out/made-by-link").exists() && !bench.0.join("out/new").exists());
        assert!(bench.opens("alias/a").is_ok());
    }
}
