//! The simulated folders: which names there are, which of them a power cut leaves, and the changes between the two.
//!
//! A folder is an object of its own, as on a real disk: its names are in it wherever its own name leads. So a move that
//! a power cut takes back brings the folder as it was, and never mixes it with one that got the name after it.

use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// The folder that has no name.
const ROOT: usize = 0;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Folder(usize),
    File(usize),
}

/// A name in a folder.
type Name = (usize, String);

/// A change of names that no sync of its folders has covered.
#[derive(Debug, Clone)]
enum Change {
    Link { name: Name, node: Node },
    Unlink { name: Name },
    Rename { from: Name, to: Name, node: Node },
}

/// The names of all folders. Paths lead to them from the root, `""`.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    seen: BTreeMap<Name, Node>,
    durable: BTreeMap<Name, Node>,
    changes: Vec<Change>,
    /// Folders made so far, besides the root; their numbers are never used again.
    folders: usize,
}

impl Names {
    pub(super) fn get(&self, path: &str) -> Option<Node> {
        match path {
            "" => Some(Node::Folder(ROOT)),
            path => self.seen.get(&self.name(path)?).copied(),
        }
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        self.folder(path).is_some()
    }

    /// All files with their path, in the order of the paths.
    pub(super) fn files(&self) -> Vec<(String, usize)> {
        let mut files = Vec::new();
        let mut folders = vec![(String::new(), ROOT)];
        while let Some((path, folder)) = folders.pop() {
            for (name, node) in self.of(folder) {
                match node {
                    Node::File(id) => files.push((format!("{path}{name}"), id)),
                    Node::Folder(id) => folders.push((format!("{path}{name}/"), id)),
                }
            }
        }
        files.sort();
        files
    }

    /// All files. A folder that has names is not removed, so each has a path.
    pub(super) fn file_ids(&self) -> impl Iterator<Item = usize> {
        self.seen.values().filter_map(|node| match node {
            Node::File(id) => Some(*id),
            Node::Folder(_) => None,
        })
    }

    /// The names directly in a folder; `None` if there is none.
    pub(super) fn within(&self, path: &str) -> Option<impl Iterator<Item = (&str, Node)>> {
        Some(self.of(self.folder(path)?))
    }

    fn of(&self, folder: usize) -> impl Iterator<Item = (&str, Node)> {
        self.seen
            .range((folder, String::new())..(folder + 1, String::new()))
            .map(|((_, name), node)| (name.as_str(), *node))
    }

    fn folder(&self, path: &str) -> Option<usize> {
        match self.get(path) {
            Some(Node::Folder(id)) => Some(id),
            _ => None,
        }
    }

    /// Where a path's last name is; `None` if what is before it is no folder.
    fn name(&self, path: &str) -> Option<Name> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Some((self.folder(parent)?, name.to_owned()))
    }

    fn known(&self, path: &str) -> Name {
        self.name(path).expect("the caller looked for its folder")
    }

    pub(super) fn make_folder(&mut self, path: &str) {
        self.folders += 1;
        self.link(path, Node::Folder(self.folders));
    }

    pub(super) fn link(&mut self, path: &str, node: Node) {
        let name = self.known(path);
        self.change(Change::Link { name, node });
    }

    pub(super) fn unlink(&mut self, path: &str) {
        let name = self.known(path);
        self.change(Change::Unlink { name });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, node: Node) {
        let (from, to) = (self.known(from), self.known(to));
        self.change(Change::Rename { from, to, node });
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.changes.push(change);
    }

    /// Makes the names in a folder durable. A move between folders is durable with the first sync of either.
    pub(super) fn sync(&mut self, path: &str) {
        if let Some(folder) = self.folder(path) {
            self.settle(|change| change.names().any(|(within, _)| *within == folder));
        }
    }

    pub(super) fn sync_all(&mut self) {
        self.settle(|_| true);
    }

    /// Of the changes that no sync covered each survives or not; what is in a lost folder is lost.
    pub(super) fn cut(&mut self, random: &mut Rng) {
        let odds = random.u8(..4);
        self.settle(|_| random.u8(..4) < odds);
        self.lose_unsynced();
    }

    pub(super) fn lose_unsynced(&mut self) {
        self.changes.clear();
        let (mut reached, mut folders) = (BTreeSet::from([ROOT]), vec![ROOT]);
        while let Some(folder) = folders.pop() {
            let names = (folder, String::new())..(folder + 1, String::new());
            for (_, node) in self.durable.range(names) {
                match node {
                    Node::Folder(id) if reached.insert(*id) => folders.push(*id),
                    _ => {}
                }
            }
        }
        self.durable
            .retain(|(folder, _), _| reached.contains(folder));
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
    fn names(&self) -> impl Iterator<Item = &Name> {
        let (first, second) = match self {
            Self::Link { name, .. } | Self::Unlink { name } => (name, None),
            Self::Rename { from, to, .. } => (from, Some(to)),
        };
        [first].into_iter().chain(second)
    }
}

fn apply(names: &mut BTreeMap<Name, Node>, change: &Change) {
    match change {
        Change::Link { name, node } => {
            names.insert(name.clone(), *node);
        }
        Change::Unlink { name } => {
            names.remove(name);
        }
        Change::Rename { from, to, node } => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}

/// The folder that a path is in.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}
