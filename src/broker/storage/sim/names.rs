//! The simulated folders: which names there are, which of them a power cut leaves, and the changes between the two.

use fastrand::Rng;
use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Folder,
    File(usize),
}

/// A change of names that no sync of its folders has covered.
#[derive(Debug, Clone)]
enum Change {
    Link {
        path: String,
        node: Node,
    },
    Unlink {
        path: String,
    },
    Rename {
        from: String,
        to: String,
        node: Node,
    },
}

/// Names by their whole path; the root is `""` and not in the maps.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    seen: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    changes: Vec<Change>,
}

impl Names {
    pub(super) fn get(&self, path: &str) -> Option<Node> {
        match path {
            "" => Some(Node::Folder),
            path => self.seen.get(path).copied(),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Node)> {
        self.seen.iter().map(|(path, node)| (path.as_str(), *node))
    }

    /// The names directly in a folder.
    pub(super) fn within<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, Node)> {
        self.all()
            .filter(move |(path, _)| parent(path) == folder)
            .map(|(path, node)| (path.rsplit('/').next().unwrap_or(path), node))
    }

    pub(super) fn link(&mut self, path: &str, node: Node) {
        let path = path.to_owned();
        self.change(Change::Link { path, node });
    }

    pub(super) fn unlink(&mut self, path: &str) {
        let path = path.to_owned();
        self.change(Change::Unlink { path });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, node: Node) {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.change(Change::Rename { from, to, node });
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.changes.push(change);
    }

    /// Makes the names in a folder durable. A move between folders is durable with the first sync of either.
    pub(super) fn sync(&mut self, folder: &str) {
        self.settle(|change| change.paths().iter().any(|path| parent(path) == folder));
    }

    pub(super) fn sync_all(&mut self) {
        self.settle(|_| true);
    }

    /// Of the changes that no sync covered each survives or not; what is below a lost folder is lost.
    pub(super) fn cut(&mut self, random: &mut Rng) {
        let odds = random.u8(..4);
        self.settle(|_| random.u8(..4) < odds);
        self.lose_unsynced();
    }

    pub(super) fn lose_unsynced(&mut self) {
        self.changes.clear();
        let orphan = |names: &BTreeMap<String, Node>| {
            let lost = names.keys().find(|path| {
                let parent = parent(path);
                !parent.is_empty() && !names.contains_key(parent)
            });
            lost.cloned()
        };
        while let Some(path) = orphan(&self.durable) {
            self.durable.remove(&path);
        }
        self.seen.clone_from(&self.durable);
    }

    fn settle(&mut self, mut survives: impl FnMut(&Change) -> bool) {
        let mut left = Vec::new();
        for change in self.changes.drain(..) {
            if survives(&change) {
                apply(&mut self.durable, &change);
            } else {
                left.push(change);
            }
        }
        self.changes = left;
    }
}

impl Change {
    fn paths(&self) -> Vec<&str> {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } => vec![path],
            Self::Rename { from, to, .. } => vec![from, to],
        }
    }
}

fn apply(names: &mut BTreeMap<String, Node>, change: &Change) {
    match change {
        Change::Link { path, node } => {
            names.insert(path.clone(), *node);
        }
        Change::Unlink { path } => {
            names.remove(path);
        }
        Change::Rename { from, to, node } => {
            names.remove(from);
            names.insert(to.clone(), *node);
            let below = format!("{from}/");
            let moved: Vec<String> = names
                .keys()
                .filter(|path| path.starts_with(&below))
                .cloned()
                .collect();
            for path in moved {
                if let Some(node) = names.remove(&path) {
                    names.insert(format!("{to}/{}", &path[below.len()..]), node);
                }
            }
        }
    }
}

/// The folder that a path is in.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}
