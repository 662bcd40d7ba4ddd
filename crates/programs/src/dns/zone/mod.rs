//! Zones: what an authority knows about a part of the name space, and what it says about a name
//! (RFC 1034 §4.3.2, RFC 4592 for wildcards, RFC 2308 for what is not there).

mod lex;
pub(crate) mod parse;
mod rdata;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::text;
use parse::{Parsed, ZoneError};

/// Records of one name and type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RrSet {
    /// The time to live of all of them (RFC 2181 §5.2), seconds.
    pub(crate) ttl: u32,
    /// The data, in the order of the file, each once.
    pub(crate) data: Vec<RData>,
}

impl RrSet {
    /// The records under an owner's name.
    pub(crate) fn records<'a>(&'a self, owner: &'a Name) -> impl Iterator<Item = Record> + 'a {
        self.data.iter().map(|data| Record::from_rdata(owner.clone(), self.ttl, data.clone()))
    }
}

/// The records of one name by type.
pub(crate) type Node = BTreeMap<u16, RrSet>;

/// A zone.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    apex: Name,
    /// In canonical order: what is below a name follows it.
    nodes: BTreeMap<Name, Node>,
}

/// What a zone says about a name and a type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found<'a> {
    /// These records; the owner is the name that was asked for.
    Records(&'a RrSet),
    /// All types that the name has.
    Node(&'a Node),
    /// The name is an alias.
    Alias(&'a RrSet),
    /// Others are responsible: those in these NS records of `cut`.
    Referral {
        /// Where the zone ends.
        cut: Name,
        /// The servers from there on.
        servers: &'a RrSet,
    },
    /// The name is there, records of the type are not.
    NoData,
    /// The name is not there.
    NxDomain,
}

impl Zone {
    /// Reads a zone from its master file.
    ///
    /// # Errors
    /// The first mistake of the file, or what is wrong with the zone as a whole.
    pub(crate) fn parse(
        apex: &Name,
        file: &str,
        contents: &str,
        include: parse::Include<'_>,
    ) -> Result<Zone, ZoneError> {
        let records = parse::parse(file, contents, apex, include)?;
        let mut zone = Zone { apex: apex.clone(), nodes: BTreeMap::new() };
        for parsed in records {
            zone.add(parsed)?;
        }
        zone.check(file)?;
        Ok(zone)
    }

    fn add(&mut self, parsed: Parsed) -> Result<(), ZoneError> {
        let Parsed { record, file, line } = parsed;
        let owner = text::name(&record.name);
        let fail = |what: String| Err(ZoneError { file: file.clone(), line, what });
        if !self.apex.zone_of(&record.name) {
            return fail(format!("{owner} is not in the zone {}", text::name(&self.apex)));
        }
        let rtype = record.record_type();
        if rtype == RecordType::SOA && record.name != self.apex {
            return fail(format!("SOA at {owner}, not at the zone's own name"));
        }
        let node = self.nodes.entry(record.name.clone()).or_default();
        let alias = u16::from(RecordType::CNAME);
        let other = |t: &u16| *t != u16::from(rtype);
        if (rtype == RecordType::CNAME && node.keys().any(other))
            || (rtype != RecordType::CNAME && node.contains_key(&alias))
        {
            return fail(format!("{owner} has a CNAME and other data (RFC 1034 §3.6.2)"));
        }
        let fresh = RrSet { ttl: record.ttl, data: Vec::new() };
        let set = node.entry(u16::from(rtype)).or_insert(fresh);
        if !set.data.contains(&record.data) {
            set.data.push(record.data);
        }
        if set.data.len() > 1 && matches!(rtype, RecordType::SOA | RecordType::CNAME) {
            return fail(format!("{owner} has several {} records", text::rtype(rtype)));
        }
        Ok(())
    }

    fn check(&self, file: &str) -> Result<(), ZoneError> {
        let fail =
            |what: &str| Err(ZoneError { file: file.into(), line: 0, what: what.to_owned() });
        if self.set(&self.apex, RecordType::SOA).is_none() {
            return fail("the zone has no SOA record");
        }
        if self.set(&self.apex, RecordType::NS).is_none() {
            return fail("the zone has no NS records");
        }
        Ok(())
    }

    /// The zone's own name.
    pub(crate) fn apex(&self) -> &Name {
        &self.apex
    }

    /// How many records it has.
    pub(crate) fn len(&self) -> usize {
        self.nodes.values().flat_map(|n| n.values()).map(|s| s.data.len()).sum()
    }

    /// The zone's serial number.
    pub(crate) fn serial(&self) -> u32 {
        match self.set(&self.apex, RecordType::SOA).map(|s| &s.data[..]) {
            Some([RData::SOA(soa)]) => soa.serial,
            _ => 0,
        }
    }

    /// The records of a name and type, wherever in the zone they stand: glue, too.
    pub(crate) fn set(&self, name: &Name, rtype: RecordType) -> Option<&RrSet> {
        self.nodes.get(name)?.get(&u16::from(rtype))
    }

    /// The SOA record for an answer that something is not there: its time to live is the lesser of
    /// its own and its last field (RFC 2308 §3).
    pub(crate) fn negative_soa(&self) -> Option<Record> {
        let set = self.set(&self.apex, RecordType::SOA)?;
        let RData::SOA(soa) = set.data.first()? else { return None };
        let ttl = set.ttl.min(soa.minimum);
        Some(Record::from_rdata(self.apex.clone(), ttl, RData::SOA(soa.clone())))
    }

    /// What the zone says about a name below its apex (or the apex) and a type.
    pub(crate) fn find(&self, name: &Name, rtype: RecordType) -> Found<'_> {
        if let Some((cut, servers)) = self.cut(name, rtype) {
            return Found::Referral { cut, servers };
        }
        if let Some(node) = self.nodes.get(name) {
            return pick(node, rtype);
        }
        if self.has_below(name) {
            // An empty non-terminal (RFC 8020 §2): the name is there, it has no records.
            return Found::NoData;
        }
        match self.nodes.get(&self.wildcard(name)) {
            Some(node) => pick(node, rtype),
            None => Found::NxDomain,
        }
    }

    /// The highest delegation on the way to a name. DS records at the cut are the parent's own (RFC
    /// 4035 §3.1.4.1).
    fn cut(&self, name: &Name, rtype: RecordType) -> Option<(Name, &RrSet)> {
        let (depth, apex) = (usize::from(name.num_labels()), usize::from(self.apex.num_labels()));
        // `num_labels` leaves out a leading asterisk.
        let depth = depth + usize::from(name.is_wildcard());
        for labels in apex + 1..=depth {
            let at = name.trim_to(labels);
            if rtype == RecordType::DS && labels == depth {
                break;
            }
            if let Some(servers) = self.set(&at, RecordType::NS) {
                return Some((at, servers));
            }
        }
        None
    }

    fn has_below(&self, name: &Name) -> bool {
        self.nodes.range(name.clone()..).next().is_some_and(|(n, _)| name.zone_of(n))
    }

    /// The wildcard that could stand for a name that is not there: `*` below its closest encloser
    /// (RFC 4592 §3.3.1).
    fn wildcard(&self, name: &Name) -> Name {
        let mut encloser = name.base_name();
        while encloser != self.apex
            && !self.nodes.contains_key(&encloser)
            && !self.has_below(&encloser)
        {
            encloser = encloser.base_name();
        }
        encloser.prepend_label("*").unwrap_or(encloser)
    }
}

fn pick(node: &Node, rtype: RecordType) -> Found<'_> {
    if rtype == RecordType::ANY {
        return Found::Node(node);
    }
    let alias = || node.get(&u16::from(RecordType::CNAME));
    match node.get(&u16::from(rtype)) {
        Some(set) => Found::Records(set),
        None => alias().map_or(Found::NoData, Found::Alias),
    }
}
