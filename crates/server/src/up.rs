//! A lab that runs in real time, with its doors open: world thread, published ports, proxy, attached
//! servers, control API, runtime file, and the watch on its folder, started in an order in which each can fail without
//! leaving anything behind, and ended together.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use netarium_lab::Lab;
use netarium_lab::value::Protocol;
use netarium_world::{ByteSink, CaptureSpec, Ends, PcapSink, Transport, World};
use tokio::task::JoinSet;

use crate::api::view::{AttachedView, LabView, ProxyView, PublishedView};
use crate::api::{Api, Source, links, new_token};
use crate::attach;
use crate::clients::Clients;
use crate::clock::Pace;
use crate::folder::LabFolder;
use crate::proxy::{Proxies, Proxy, ProxyError, ProxyOptions};
use crate::publish::{Inside, Limits, Publish, PublishError, Published, Slots};
use crate::recording::Tape;
use crate::report::{Notice, Reporter};
use crate::runner::{Pacing, StartError, WorldEnded, WorldHandle, WorldPanicked, WorldThread};
use crate::runtime_file::{RuntimeFile, RuntimeInfo};
use crate::watch;

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The lab.
    pub lab: Lab,
    /// Its folder on disk, whose edits enter the lab.
    pub folder: Option<LabFolder>,
    /// What was asked for, for the runtime file.
    pub what: String,
    /// The name by which commands find it; the lab's own when not given.
    pub name: Option<String>,
    /// How virtual time follows real time.
    pub pace: Pace,
    /// What published ports may take.
    pub limits: Limits,
    /// The proxy; `None`: there is none.
    pub proxy: Option<ProxyOptions>,
    /// Whether the lab's ports may continue to real servers.
    pub allow_attach: bool,
    /// Where runtime files go.
    pub runtime_dir: PathBuf,
    /// Where the inputs are recorded.
    pub tape: Tape,
}

/// Why a lab did not come up. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// A port cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// There can be no such proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The world did not start.
    #[error("{0}")]
    World(String),
    /// The control API or its runtime file.
    #[error("cannot open the control API: {0}")]
    Control(io::Error),
}

/// A lab that runs.
pub struct RunningLab {
    world: WorldThread,
    view: Arc<LabView>,
    tasks: JoinSet<()>,
    file: RuntimeFile,
}

impl RunningLab {
    /// Starts a lab; `build` makes its world, on the world's thread.
    ///
    /// # Errors
    /// See [`UpError`].
    pub async fn start<E: std::fmt::Display + Send + 'static>(
        options: Options,
        reporter: Reporter,
        build: impl FnOnce(&Lab) -> Result<World, E> + Send + 'static,
    ) -> Result<(RunningLab, Vec<Door>), UpError> {
        let published = publish_all(&options.lab, &options.limits).await?;
        let proxy = match &options.proxy {
            Some(wanted) => Proxy::bind(&options.lab, wanted, &options.limits).await?,
            None => None,
        };
        let api = Api::bind().await.map_err(UpError::Control)?;
        let token = new_token().map_err(UpError::Control)?;
        let (lab, tape) = (options.lab.clone(), options.tape.clone());
        let build = move || {
            build(&lab).map(|mut world| {
                tape.record(&mut world);
                world
            })
        };
        let world = WorldThread::start(options.pace, build)
            .map_err(|e: StartError<E>| UpError::World(e.to_string()))?;
        let runtime_file = RuntimeFile::create(&options.runtime_dir, info(&options, &api, &token))
            .map_err(UpError::Control)?;

        let doors: Vec<Door> = published.iter().map(Door::new).collect();
        let view = Arc::new(view(&options, &runtime_file, &doors, proxy.as_ref()));
        let mut tasks = JoinSet::new();
        let inside = inside(&options, &world, &reporter);
        for port in published {
            tasks.spawn(port.serve(inside.clone()));
        }
        let first = proxy.as_ref().map(|p| (p.from().to_owned(), p.local_addr()));
        let (lab, limits) = (options.lab.clone(), options.limits.clone());
        let proxies = Arc::new(Proxies::new(lab.clone(), inside.clone(), limits, first));
        if let Some(proxy) = proxy {
            tasks.spawn(async move { proxy.serve(&lab, inside).await });
        }
        if options.allow_attach && !options.lab.attach().is_empty() {
            let attached = options.lab.attach().into();
            tasks.spawn(attach::serve(attached, world.handle(), reporter.clone()));
        }
        let file = options.folder.as_ref().map(|f| f.file.clone());
        let source = Arc::new(Source { lab: options.lab, file });
        let shown = Arc::clone(&view);
        let served = api.serve(token, world.handle(), shown, source, options.tape, proxies);
        tasks.spawn(served);
        tasks.spawn(tell_stops(world.handle(), reporter.clone()));
        tasks.spawn(tell_failed(world.handle(), reporter.clone()));
        if let Some(folder) = options.folder {
            tasks.spawn(watch(folder, world.handle(), reporter));
        }
        Ok((RunningLab { world, view, tasks, file: runtime_file }, doors))
    }

    /// What it is and where it can be reached.
    pub fn view(&self) -> &LabView {
        &self.view
    }

    /// Where commands find it.
    pub fn info(&self) -> &RuntimeInfo {
        self.file.info()
    }

    /// The way to talk to its world.
    pub fn world(&self) -> WorldHandle {
        self.world.handle()
    }

    /// Captures all wires as pcapng, losing nothing; the lab's end completes it.
    ///
    /// # Errors
    /// When the lab has ended.
    pub async fn capture_to(
        &self,
        sink: impl ByteSink + Send + 'static,
        ends: Ends,
    ) -> Result<(), WorldEnded> {
        let begin = move |world: &mut World| {
            let links = links(world, &[]).unwrap_or_default();
            let sink = PcapSink::new(sink);
            world.capture(&CaptureSpec { links, ends, snaplen: 0 }, Box::new(sink));
        };
        self.world.handle().query(begin).await
    }

    /// Waits until the world's thread ends by itself, which it does only by a panic.
    pub async fn broken(&self) {
        self.world.handle().ended().await;
    }

    /// Ends it: doors first (real connections that still run are reset), then the world, whose
    /// captures are completed; the runtime file goes last.
    ///
    /// # Errors
    /// When the world's thread had panicked.
    pub async fn stop(mut self) -> Result<Option<Pacing>, WorldPanicked> {
        self.tasks.shutdown().await;
        let pacing = self.world.handle().pacing().await.ok();
        tokio::task::spawn_blocking(move || self.world.stop())
            .await
            .map_err(|_| WorldPanicked)??;
        Ok(pacing)
    }
}

/// A published port, as it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// What the API shows of it.
    pub view: PublishedView,
    /// Why it is not where the lab file wants it.
    pub moved: Option<crate::publish::Moved>,
}

impl Door {
    fn new(port: &Published) -> Door {
        let moved = port.moved().cloned();
        let view = PublishedView {
            listen: port.local_addr(),
            wanted: moved.as_ref().map(|m| m.wanted),
            to: port.spec().to,
            udp: port.spec().transport == Transport::Udp,
        };
        Door { view, moved }
    }
}

async fn publish_all(lab: &Lab, limits: &Limits) -> Result<Vec<Published>, UpError> {
    let mut published = Vec::new();
    for port in lab.publish() {
        let transport = match port.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
        };
        let (to, from) = (port.to.into(), port.from.clone());
        let spec = Publish { listen: port.listen, transport, to, from };
        published.push(Published::bind(spec, limits).await?);
    }
    Ok(published)
}

fn inside(options: &Options, world: &WorldThread, reporter: &Reporter) -> Inside {
    Inside {
        world: world.handle(),
        clients: Clients::new(&options.lab, world.handle(), reporter.clone()),
        slots: Slots::new(&options.limits),
        reporter: reporter.clone(),
        flows: options.limits.flows,
    }
}

fn info(options: &Options, api: &Api, token: &str) -> RuntimeInfo {
    RuntimeInfo {
        version: 1,
        name: options.name.clone().unwrap_or_else(|| options.lab.name().to_owned()),
        pid: std::process::id(),
        port: api.port(),
        token: token.to_owned(),
        lab: options.what.clone(),
    }
}

fn view(options: &Options, file: &RuntimeFile, doors: &[Door], proxy: Option<&Proxy>) -> LabView {
    let attached = options.lab.attach().iter().map(|a| AttachedView {
        host: a.host.clone(),
        port: a.port,
        to: a.to,
        allowed: options.allow_attach,
    });
    LabView {
        running_as: file.info().name.clone(),
        folder: options.folder.as_ref().map(|f| f.root.display().to_string()),
        published: doors.iter().map(|d| d.view.clone()).collect(),
        proxy: proxy.map(|p| ProxyView { listen: p.local_addr(), from: p.from().to_owned() }),
        attached: attached.collect(),
        ..LabView::new(&options.lab)
    }
}

async fn tell_stops(world: WorldHandle, reporter: Reporter) {
    let (tx, mut stops) = tokio::sync::mpsc::unbounded_channel();
    if world.desk(move |desk| desk.stops.tell(tx)).await.is_ok() {
        while let Some(stopped) = stops.recv().await {
            reporter.tell(Notice::Stopped(stopped));
        }
    }
}

async fn tell_failed(world: WorldHandle, reporter: Reporter) {
    let (tx, mut failed) = tokio::sync::mpsc::unbounded_channel();
    if world.desk(move |desk| desk.failed = Some(tx)).await.is_ok() {
        while let Some((host, process)) = failed.recv().await {
            let said = String::from_utf8_lossy(&process.log).into_owned();
            let (argv, code) = (process.argv, process.code);
            reporter.tell(Notice::Failed { host, argv, code, said });
        }
    }
}

async fn watch(folder: LabFolder, world: WorldHandle, reporter: Reporter) {
    let trouble = |why| reporter.tell(Notice::Trouble(why));
    if let Err(e) = watch::run(folder, world, trouble).await {
        let why = format!("edits of the lab's files do not enter the running lab: {e}");
        reporter.tell(Notice::Trouble(why));
    }
}
