//! Links and mirror ports written back.

use toml_edit::{DocumentMut, InlineTable, Item, TableLike, Value};

use super::{Present, SaveError, at, lost, same};
use crate::model::{Interface, Lab, Link, Mirror, NodeKind};
use crate::write;

/// The wires of a lab: name, settings, and the path of the table where they stand.
pub(super) fn links(lab: &Lab) -> Vec<(String, &Link, Vec<&str>)> {
    let of_host = |i: &Interface| i.link_name.clone();
    let mut all = Vec::new();
    for host in &lab.hosts {
        for i in &host.interfaces {
            all.push((of_host(i), &i.link, vec!["hosts", &host.name, "networks", &i.network]));
        }
    }
    for s in &lab.switches {
        all.push((format!("{}.{}", s.name, s.uplink), &s.link, vec!["switches", &s.name]));
    }
    if let Some(gateway) = &lab.gateway {
        all.push((of_host(&gateway.interface), &gateway.interface.link, vec!["gateway"]));
    }
    all
}

pub(super) fn edit_links(
    doc: &mut DocumentMut,
    before: &Lab,
    present: &Present,
    changes: &mut Vec<String>,
) -> Result<(), SaveError> {
    for (name, old, path) in links(before) {
        let now = present.links.get(&name);
        let now = now.ok_or_else(|| SaveError::Another(format!("no link `{name}` runs")))?;
        if same(&old.up, &now.up) && same(&old.down, &now.down) {
            continue;
        }
        let place = at(doc.as_item_mut(), &path).ok_or_else(|| lost(&name))?;
        if !place.is_table_like() {
            // The short form: an address, or several. What stands around it stays.
            let mut address = place.clone().into_value().map_err(|_| lost(&name))?;
            let mut table = InlineTable::new();
            *table.decor_mut() = address.decor().clone();
            address.decor_mut().clear();
            table.insert("address", address);
            *place = Item::Value(Value::InlineTable(table));
        }
        let table = place.as_table_like_mut().ok_or_else(|| lost(&name))?;
        let written = edit_link(table, old, now).ok_or_else(|| lost(&name))?;
        changes.push(format!("link {name}: {}", written.join(", ")));
    }
    Ok(())
}

/// Writes the settings that differ into the `link` of a table, and gives them.
fn edit_link(table: &mut dyn TableLike, old: &Link, now: &Link) -> Option<Vec<String>> {
    let mut written = Vec::new();
    let link = sub_table(table, "link")?;
    let [old_up, old_down] = [&old.up, &old.down].map(write::settings);
    let [now_up, now_down] = [&now.up, &now.down].map(write::settings);
    for (i, up) in now_up.iter().enumerate() {
        let (key, down) = (up.key, &now_down[i]);
        let changed = [up.value != old_up[i].value, down.value != old_down[i].value];
        if changed == [false, false] {
            continue;
        }
        let stands = |link: &dyn TableLike, way: &str| {
            let way = link.get(way).and_then(Item::as_table_like);
            way.is_some_and(|way| way.contains_key(key))
        };
        let own = ["up", "down"].map(|way| stands(link, way));
        let both = up.value == down.value;
        if both && own != [true, true] {
            put(link, key, &up.value)?;
            written.push(format!("{key} = {}", up.value));
        }
        for (n, (way, value)) in [("up", &up.value), ("down", &down.value)].into_iter().enumerate()
        {
            if own[n] || (!both && changed[n]) {
                put(sub_table(link, way)?, key, value)?;
                written.push(format!("{way}.{key} = {value}"));
            }
        }
    }
    Some(written)
}

/// The table under a key, made when it is not there.
fn sub_table<'a>(table: &'a mut dyn TableLike, key: &str) -> Option<&'a mut dyn TableLike> {
    if !table.contains_key(key) {
        add(table, key, Value::InlineTable(InlineTable::new()));
    }
    table.get_mut(key)?.as_table_like_mut()
}

/// Sets a key. What stands around a value that was there, and above its key, stays.
fn put(table: &mut dyn TableLike, key: &str, text: &str) -> Option<()> {
    let mut value: Value = text.parse().ok()?;
    match table.get_mut(key) {
        Some(item) => {
            if let Some(old) = item.as_value() {
                *value.decor_mut() = old.decor().clone();
            }
            *item = Item::Value(value);
        }
        None => add(table, key, value),
    }
    Some(())
}

/// Adds a key behind all others. The space before the end of a table on one line stays at its end.
fn add(table: &mut dyn TableLike, key: &str, mut value: Value) {
    let last = table.iter_mut().last().and_then(|(_, item)| item.as_value_mut());
    if let Some(last) = last
        && let Some(end) = last.decor().suffix().and_then(|s| s.as_str()).map(str::to_owned)
        && !end.is_empty()
        && end.trim_matches(' ').is_empty()
    {
        last.decor_mut().set_suffix("");
        value.decor_mut().set_prefix(" ");
        value.decor_mut().set_suffix(end);
    }
    table.insert(key, Item::Value(value));
}

/// The mirrors of a lab's switches: name, where they stand, what they copy.
pub(super) fn mirrors(lab: &Lab) -> Vec<(&str, &'static str, Option<&Mirror>)> {
    let of_networks = lab.networks.iter().filter(|n| n.kind == NodeKind::Switch);
    let networks = of_networks.map(|n| (n.name.as_str(), "networks", n.switch.mirror.as_ref()));
    let of_switches = lab.switches.iter().filter(|s| s.kind == NodeKind::Switch);
    let switches = of_switches.map(|s| (s.name.as_str(), "switches", s.settings.mirror.as_ref()));
    networks.chain(switches).collect()
}

/// Whether the same is watched, in whatever order it is named.
pub(super) fn same_mirror(a: Option<&Mirror>, b: Option<&Mirror>) -> bool {
    let plain = |m: &Mirror| {
        let mut from = m.from.clone();
        from.sort();
        from.dedup();
        (m.to.clone(), from)
    };
    a.map(plain) == b.map(plain)
}

pub(super) fn edit_mirrors(
    doc: &mut DocumentMut,
    before: &Lab,
    present: &Present,
    changes: &mut Vec<String>,
) -> Result<(), SaveError> {
    for (name, kind, old) in mirrors(before) {
        let now = present.mirrors.get(name);
        let now = now.ok_or_else(|| SaveError::Another(format!("no switch `{name}` runs")))?;
        if same_mirror(old, now.as_ref()) {
            continue;
        }
        let place = at(doc.as_item_mut(), &[kind, name]).ok_or_else(|| lost(name))?;
        let table = place.as_table_like_mut().ok_or_else(|| lost(name))?;
        match now {
            Some(now) => {
                put(table, "mirror", &write::mirror(now)).ok_or_else(|| lost(name))?;
                changes.push(format!("{name}: mirror {}", write::mirror(now)));
            }
            None => {
                table.remove("mirror");
                changes.push(format!("{name}: no mirror any more"));
            }
        }
    }
    Ok(())
}

/// The further cables of switches that differ from the one to the uplink, for which a lab file has
/// no words.
pub(super) fn odd_cables(lab: &Lab, present: &Present) -> Vec<String> {
    let cables = lab
        .switches
        .iter()
        .flat_map(|s| s.cables.iter().map(move |other| (s, format!("{}.{other}", s.name))));
    let differs = |(switch, name): &(&crate::Switch, String)| {
        let like = present.links.get(&format!("{}.{}", switch.name, switch.uplink));
        let (like, now) = (like.unwrap_or(&switch.link), present.links.get(name));
        now.is_some_and(|now| !same(&now.up, &like.up) || !same(&now.down, &like.down))
    };
    cables.filter(differs).map(|(_, name)| format!("the settings of the cable {name}")).collect()
}
