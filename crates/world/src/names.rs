//! The names that people gave, by id.

use std::rc::Rc;

use netarium_base::trace::Names;
use netarium_base::{IfIndex, LinkId, NodeId};

/// The names of a world's nodes, links and interfaces. Shared by whoever writes for people.
#[derive(Debug, Default)]
pub struct NameTable {
    /// By [`NodeId`]; sorted.
    pub(crate) nodes: Vec<Rc<str>>,
    /// By [`LinkId`]; sorted.
    pub(crate) links: Vec<Rc<str>>,
    /// By node, then by interface from 1.
    pub(crate) ifaces: Vec<Box<[Rc<str>]>>,
}

impl NameTable {
    /// The names of all nodes, sorted; a [`NodeId`] is the position here.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|n| &**n)
    }

    /// The names of all links, sorted; a [`LinkId`] is the position here.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|n| &**n)
    }

    /// The node of this name.
    pub fn node_id(&self, name: &str) -> Option<NodeId> {
        self.nodes.binary_search_by(|n| (**n).cmp(name)).ok().map(|i| NodeId(i as u32))
    }

    /// The link of this name.
    pub fn link_id(&self, name: &str) -> Option<LinkId> {
        self.links.binary_search_by(|n| (**n).cmp(name)).ok().map(|i| LinkId(i as u32))
    }
}

impl Names for NameTable {
    fn node(&self, id: NodeId) -> &str {
        self.nodes.get(id.0 as usize).map_or("?", |n| n)
    }

    fn link(&self, id: LinkId) -> &str {
        self.links.get(id.0 as usize).map_or("?", |n| n)
    }

    fn iface(&self, node: NodeId, iface: IfIndex) -> &str {
        let of_node = self.ifaces.get(node.0 as usize);
        let index = usize::from(iface.0).checked_sub(1);
        of_node.zip(index).and_then(|(names, i)| names.get(i)).map_or("?", |n| n)
    }
}
