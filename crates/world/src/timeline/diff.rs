//! What differs between two timelines.

use netarium_base::map::Map;
use netarium_base::trace::Names;
use netarium_base::{FlowId, Instant};
use serde::Serialize;

use super::{Item, Timeline};

/// How many differences of one flow are told in full; all are counted.
const TOLD_MAX: usize = 20;

/// How an event of one timeline stands to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It happened in the first timeline only.
    Missing,
    /// It happened in the second timeline only.
    New,
    /// It happened in both, at different times.
    Moved,
    /// It happened in both at the same time, with other details.
    Changed,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// When, nanoseconds of virtual time; the earlier time when there are two.
    pub at: u64,
    /// What kind of difference.
    pub what: What,
    /// The event in the first timeline, as the trace writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// The event in the second timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
}

/// The differences of one flow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowDiff {
    /// The flow as the trace writes it; none for what belongs to no flow.
    pub flow: Option<String>,
    /// Events that are the same in both.
    pub same: u64,
    /// Events of the first timeline only.
    pub missing: u64,
    /// Events of the second timeline only.
    pub new: u64,
    /// Events at another time.
    pub moved: u64,
    /// Events with other details.
    pub changed: u64,
    /// The first differences, at most 20.
    pub first: Vec<Difference>,
}

impl FlowDiff {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.missing + self.new + self.moved + self.changed == 0
    }
}

/// What differs between two timelines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// The first difference of all.
    pub first: Option<Difference>,
    /// All flows; those that differ first, in the order of their first difference, then the others
    /// by their names.
    pub flows: Vec<FlowDiff>,
    /// How many events were not compared, because a timeline was longer than can be kept.
    pub not_compared: u64,
}

/// Compares two timelines.
pub fn diff(before: &Timeline, after: &Timeline) -> Diff {
    let mut places: Map<(u64, u64), usize> = Map::default();
    for (at, item) in after.items.iter().enumerate() {
        places.insert((item.identity.key, item.identity.occurrence), at);
    }
    let mut matched = vec![false; after.items.len()];
    let mut found = Found { before, after, flows: Map::default(), list: Vec::new() };
    for item in &before.items {
        let key = (item.identity.key, item.identity.occurrence);
        match places.get(&key) {
            None => found.note(Some(item), None),
            Some(&at) => {
                matched[at] = true;
                found.note(Some(item), Some(&after.items[at]));
            }
        }
    }
    for (item, matched) in after.items.iter().zip(matched) {
        if !matched {
            found.note(None, Some(item));
        }
    }
    found.finish()
}

type Pair<'a> = (Option<&'a Item>, Option<&'a Item>);

struct Found<'a> {
    before: &'a Timeline,
    after: &'a Timeline,
    flows: Map<FlowId, FlowDiff>,
    list: Vec<(Instant, u64, What, Pair<'a>)>,
}

impl<'a> Found<'a> {
    fn note(&mut self, before: Option<&'a Item>, after: Option<&'a Item>) {
        let Some(one) = before.or(after) else { return };
        let flow = self.flows.entry(one.record.flow).or_insert_with(|| FlowDiff::of(one));
        let what = match (before, after) {
            (Some(a), Some(b)) if a.record.at != b.record.at => What::Moved,
            (Some(a), Some(b)) if a.identity.details != b.identity.details => What::Changed,
            (Some(_), Some(_)) => {
                flow.same += 1;
                return;
            }
            (Some(_), None) => What::Missing,
            (None, _) => What::New,
        };
        *match what {
            What::Missing => &mut flow.missing,
            What::New => &mut flow.new,
            What::Moved => &mut flow.moved,
            What::Changed => &mut flow.changed,
        } += 1;
        let at = after.map_or(one.record.at, |other| other.record.at.min(one.record.at));
        self.list.push((at, one.record.id.0, what, (before, after)));
    }

    fn finish(mut self) -> Diff {
        let mut list = std::mem::take(&mut self.list);
        list.sort_by_key(|&(at, id, what, _)| (at, id, what as u8));
        let mut order: Map<FlowId, usize> = Map::default();
        for &(at, _, what, pair) in &list {
            let Some(one) = pair.0.or(pair.1) else { continue };
            let rank = order.len();
            order.entry(one.record.flow).or_insert(rank);
            let told = self.flows.get(&one.record.flow).is_some_and(|f| f.first.len() < TOLD_MAX);
            if told {
                let difference = self.difference(at, what, pair);
                if let Some(flow) = self.flows.get_mut(&one.record.flow) {
                    flow.first.push(difference);
                }
            }
        }
        let first = list.first().map(|&(at, _, what, pair)| self.difference(at, what, pair));
        let mut flows: Vec<_> = self.flows.into_iter().collect();
        flows.sort_by_key(|(id, _)| (order.get(id).copied().unwrap_or(usize::MAX), id.0));
        Diff {
            first,
            flows: flows.into_iter().map(|(_, flow)| flow).collect(),
            not_compared: self.before.left_out + self.after.left_out,
        }
    }

    fn difference(&self, at: Instant, what: What, (before, after): Pair<'_>) -> Difference {
        let json = |item: &Item, names: &dyn Names| {
            serde_json::to_value(item.record.json(names)).unwrap_or_default()
        };
        Difference {
            at: at.as_nanos(),
            what,
            before: before.map(|item| json(item, &*self.before.names)),
            after: after.map(|item| json(item, &*self.after.names)),
        }
    }
}

impl FlowDiff {
    fn of(item: &Item) -> FlowDiff {
        let flow = item.record.flow;
        FlowDiff {
            flow: (flow != FlowId::NONE).then(|| format!("{:016x}", flow.0)),
            same: 0,
            missing: 0,
            new: 0,
            moved: 0,
            changed: 0,
            first: Vec::new(),
        }
    }
}
