//! Forwards, inbound rules and programs that change while the lab runs, and the lab file that says
//! what they are now. Links and switches have [their own file](mod@super::links).
//!
//! Values are texts, as in a lab file. Each change is a journalled command; one that cannot be done
//! is answered by status 409 (404 for a host or link that is not there, 400 for a value that cannot
//! be read) and the reason.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use netarium_lab::edit;
use netarium_lab::save::{self, Present, SaveError};
use netarium_world::edit::Inbound;
use netarium_world::{Command, World};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::routes::{Readable, Shared, host_id};
use crate::folder::LabFolder;

impl From<edit::ValueError> for Failure {
    fn from(error: edit::ValueError) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

pub(super) fn refused(why: String) -> Failure {
    Failure::new(StatusCode::CONFLICT, why)
}

/// A forward of a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardView {
    /// The outside port: `tcp/65535`.
    pub from: String,
    /// The inside address and port.
    pub to: String,
    /// How many flows it led inside.
    #[serde(default)]
    pub flows: u64,
}

/// The forwards of a host, in order.
pub(super) async fn forwards(
    State(world): State<Readable>,
    Path(host): Path<String>,
) -> Result<Json<Vec<ForwardView>>, Failure> {
    let list = world.query(move |world| {
        let filter = world.stack(host_id(world, &host)?).and_then(|s| s.filter());
        let view = |(f, c): (netarium_filter::PortForward, netarium_filter::Counters)| {
            let (from, _) = f.text.split_once(" -> ").unwrap_or((&f.text, ""));
            ForwardView { from: from.to_owned(), to: f.to.to_string(), flows: c.packets }
        };
        Ok(filter.map(|f| f.forwards().map(view).collect()).unwrap_or_default())
    });
    list.await?.map(Json)
}

/// Obeys a command about a host that must be there.
async fn obey(
    shared: &Shared,
    host: String,
    command: impl FnOnce(String) -> Command,
) -> Result<Option<u32>, Failure> {
    let command = command(host.clone());
    let done = shared.world.query(move |world| {
        host_id(world, &host)?;
        let why = |why| refused(format!("{host}: {why}"));
        world.command(command).map(|pid| pid.map(|p| p.0)).map_err(why)
    });
    done.await?
}

pub(super) async fn add_forward(
    State(shared): State<Shared>,
    Path(host): Path<String>,
    Json(forward): Json<ForwardView>,
) -> Result<StatusCode, Failure> {
    let (from, to) = (edit::forward_port(&forward.from)?, edit::forward_target(&forward.to)?);
    obey(&shared, host, |host| Command::AddForward { host, from, to: to.into() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which forward.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichForward {
    from: String,
}

pub(super) async fn remove_forward(
    State(shared): State<Shared>,
    Path(host): Path<String>,
    Query(which): Query<WhichForward>,
) -> Result<StatusCode, Failure> {
    let from = edit::forward_port(&which.from)?;
    obey(&shared, host, |host| Command::RemoveForward { host, from }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a host lets in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesView {
    /// Whether it has a firewall; without one everything comes in.
    pub firewall: bool,
    /// What happens to new flows that no rule names: `deny` or `allow`.
    pub default: String,
    /// The rules in order; the first that fits decides.
    pub rules: Vec<RuleView>,
}

/// An inbound rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// What it says: `allow tcp/80`; nothing for a rule that lab files have no words for.
    pub rule: Option<String>,
    /// Its name, or what it says.
    pub name: String,
    /// Packets that it decided about.
    pub packets: u64,
}

pub(super) async fn rules(
    State(world): State<Readable>,
    Path(host): Path<String>,
) -> Result<Json<RulesView>, Failure> {
    world.query(move |world| read_rules(world, &host)).await?.map(Json)
}

fn read_rules(world: &World, host: &str) -> Result<RulesView, Failure> {
    let filter = world.stack(host_id(world, host)?).and_then(|s| s.filter());
    let inbound = filter.and_then(Inbound::of);
    let firewall = inbound.is_some();
    let inbound = inbound.unwrap_or_default();
    let rules = inbound.rules.into_iter().map(|r| RuleView {
        rule: r.rule.map(|rule| rule.to_string()),
        name: r.label,
        packets: r.counters.packets,
    });
    let default = if inbound.deny { "deny" } else { "allow" }.to_owned();
    Ok(RulesView { firewall, default, rules: rules.collect() })
}

/// A rule to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleEdit {
    /// What it says: `allow tcp/80 from 10.0.0.0/24`.
    pub rule: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// The number of the rule (from 1) before which it stands; behind all when not given.
    #[serde(default)]
    pub before: Option<u32>,
}

pub(super) async fn add_rule(
    State(shared): State<Shared>,
    Path(host): Path<String>,
    Json(new): Json<RuleEdit>,
) -> Result<StatusCode, Failure> {
    let rule = edit::inbound_rule(&new.rule, new.name.as_deref())?;
    obey(&shared, host, |host| Command::AddRule { host, rule, before: new.before }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which rule, by its name or by what it says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichRule {
    rule: String,
}

pub(super) async fn remove_rule(
    State(shared): State<Shared>,
    Path(host): Path<String>,
    Query(which): Query<WhichRule>,
) -> Result<StatusCode, Failure> {
    obey(&shared, host, |host| Command::RemoveRule { host, rule: which.rule }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What happens to new flows that no rule names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultEdit {
    /// Whether they are dropped.
    pub deny: bool,
}

pub(super) async fn set_default(
    State(shared): State<Shared>,
    Path(host): Path<String>,
    Json(edit): Json<DefaultEdit>,
) -> Result<StatusCode, Failure> {
    obey(&shared, host, |host| Command::InboundDefault { host, deny: edit.deny }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A program to start in the background.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartEdit {
    /// Program and arguments.
    pub argv: Vec<String>,
}

/// A program that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedView {
    /// Its process id.
    pub pid: u32,
}

pub(super) async fn start(
    State(shared): State<Shared>,
    Path(host): Path<String>,
    Json(start): Json<StartEdit>,
) -> Result<Json<StartedView>, Failure> {
    let pid = obey(&shared, host, |host| Command::Start { host, argv: start.argv }).await?;
    Ok(Json(StartedView { pid: pid.unwrap_or_default() }))
}

/// Processes to send a signal to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillEdit {
    /// A process id, or the name of a program: all its processes.
    pub process: String,
    /// 1 HUP, 2 INT, 9 KILL or 15 TERM.
    pub signal: u8,
}

/// The processes that got the signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KilledView {
    /// Their ids.
    pub pids: Vec<u32>,
}

pub(super) async fn kill(
    State(shared): State<Shared>,
    Path(host): Path<String>,
    Json(kill): Json<KillEdit>,
) -> Result<Json<KilledView>, Failure> {
    let done = shared.world.query(move |world| {
        let node = host_id(world, &host)?;
        let process = &kill.process;
        let named = |name: &str, pid: u32| name == process || pid.to_string() == *process;
        let all = world.processes(node).into_iter();
        let pids: Vec<u32> = all.filter(|p| named(&p.name, p.pid.0)).map(|p| p.pid.0).collect();
        if pids.is_empty() {
            return Err(refused(format!("{host}: no process `{process}`")));
        }
        for &pid in &pids {
            let command = Command::Kill { host: host.clone(), pid, signal: kill.signal };
            world.command(command).map_err(|why| refused(format!("{host}: {why}")))?;
        }
        Ok(Json(KilledView { pids }))
    });
    done.await?
}

/// The lab file that says what the lab is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedView {
    /// The path of the lab's own file, when it has one.
    pub file: Option<String>,
    /// The text.
    pub text: String,
    /// What differs from that file, a line each.
    pub changes: Vec<String>,
    /// What a lab file cannot say, a line each.
    pub left_out: Vec<String>,
}

pub(super) async fn saved(State(shared): State<Shared>) -> Result<Json<SavedView>, Failure> {
    let look = |world: &mut World| (Present::of(world), world.program_names());
    let (present, programs) = shared.world.query(look).await?;
    let source = shared.source;
    let write = move || {
        let file = source.file.as_ref();
        let (text, files) = match file.map(|f| LabFolder::read(f)).transpose() {
            Ok(Some(folder)) => (folder.text, std::sync::Arc::new(folder.files)),
            Ok(None) => (source.lab.to_toml(), std::sync::Arc::clone(source.lab.files())),
            Err(e) => return Err(refused(e.to_string())),
        };
        let name = file.map_or("lab.toml".to_owned(), |f| f.display().to_string());
        let saved = save::save(&name, &text, &files, &programs, &present).map_err(why)?;
        Ok(SavedView {
            file: file.map(|f| f.display().to_string()),
            text: saved.text,
            changes: saved.changes,
            left_out: saved.left_out,
        })
    };
    let saved = tokio::task::spawn_blocking(write).await;
    saved.map_err(|e| refused(e.to_string()))?.map(Json)
}

fn why(error: SaveError) -> Failure {
    match &error {
        SaveError::Before(mistakes) => refused(format!("{error}\n{}", mistakes.render(false))),
        _ => refused(error.to_string()),
    }
}
