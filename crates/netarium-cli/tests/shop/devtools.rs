//! Headless Chromium, driven over the DevTools protocol as a person drives it: a page is opened,
//! words are typed, buttons are pressed with the mouse, and what F12 shows is read.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// Flags of a browser that has nobody to ask and fetches nothing by itself.
pub(crate) const QUIET: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
];

/// A browser with one tab that is looked at; ended with the value.
pub(crate) struct Browser {
    child: Child,
    tab: RefCell<Tab>,
}

struct Tab {
    socket: WebSocket<TcpStream>,
    last: u64,
    session: Option<String>,
    /// What the browser told and nobody has read yet.
    events: Vec<Value>,
}

impl Browser {
    /// Starts it; `command` is to have `--remote-debugging-port=0`.
    pub(crate) fn start(mut command: Command) -> Browser {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut heard = Vec::new();
        let url = loop {
            let Some(Ok(line)) = said.next() else { panic!("it ended: {heard:?}") };
            if let Some(url) = line.strip_prefix("DevTools listening on ") {
                break url.to_owned();
            }
            heard.push(line);
        };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || said.for_each(drop));
        let at = url.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (socket, _) = tungstenite::client(url.as_str(), stream).unwrap();
        let tab = RefCell::new(Tab { socket, last: 0, session: None, events: Vec::new() });
        let browser = Browser { child, tab };
        browser.attach();
        browser
    }

    fn attach(&self) {
        let targets = self.call("Target.getTargets", json!({}))["targetInfos"].take();
        let page = targets.as_array().unwrap().iter().find(|t| t["type"] == "page").unwrap();
        let wanted = json!({"targetId": page["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", wanted)["sessionId"].take();
        self.tab.borrow_mut().session = Some(session.as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        let size = json!({"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// A command of the protocol, and its result.
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        self.tab.borrow_mut().call(method, params)
    }

    /// Opens a URL and waits until the page has loaded.
    pub(crate) fn open(&self, url: &str) {
        self.tab.borrow_mut().events.clear();
        let said = self.call("Page.navigate", json!({"url": url}));
        assert!(said["errorText"].is_null(), "{url}: {said}");
        self.loaded();
    }

    /// Waits until a page has loaded that was asked for by a click.
    pub(crate) fn loaded(&self) {
        self.told("Page.loadEventFired", |_| true);
    }

    /// The next thing of this kind that the browser tells, or has told and nobody read.
    pub(crate) fn told(&self, method: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut tab = self.tab.borrow_mut();
        let fits = |e: &Value| e["method"] == method && wanted(&e["params"]);
        loop {
            if let Some(at) = tab.events.iter().position(fits) {
                return tab.events.remove(at)["params"].take();
            }
            let event = tab.read();
            tab.events.push(event);
        }
    }

    /// What the console says to an expression; promises are waited for.
    pub(crate) fn console(&self, expression: &str) -> Value {
        let wanted = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut said = self.call("Runtime.evaluate", wanted);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {said}");
        said["result"]["value"].take()
    }

    /// Waits until an expression is true of the page, and returns it.
    pub(crate) fn until(&self, expression: &str) -> Value {
        self.console(&format!(
            "(async () => {{ for (;;) {{ const v = ({expression}); if (v) return v; \
             await new Promise(done => requestAnimationFrame(done)); }} }})()"
        ))
    }

    /// The text of the first element that a selector finds.
    pub(crate) fn text(&self, selector: &str) -> String {
        let said = self.console(&format!("document.querySelector({selector:?}).textContent"));
        said.as_str().unwrap().to_owned()
    }

    /// Presses the mouse on what a selector finds.
    pub(crate) fn click(&self, selector: &str) {
        let at = self.console(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); \
             e.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
             const r = e.getBoundingClientRect(); \
             return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1
            });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Types into the field that a selector finds.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        self.console(&format!("document.querySelector({selector:?}).select()"));
        self.call("Input.insertText", json!({"text": text}));
    }

    /// The URL in the address bar.
    pub(crate) fn address_bar(&self) -> String {
        let history = self.call("Page.getNavigationHistory", json!({}));
        let at = usize::try_from(history["currentIndex"].as_u64().unwrap()).unwrap();
        history["entries"][at]["url"].as_str().unwrap().to_owned()
    }

    /// All URLs in the history of the tab.
    pub(crate) fn history(&self) -> String {
        self.call("Page.getNavigationHistory", json!({}))["entries"].to_string()
    }

    /// Keeps a picture in the folder that `NETARIUM_SCREENSHOTS` names, if it does.
    pub(crate) fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("NETARIUM_SCREENSHOTS") else { return };
        let wanted = json!({"format": "png", "captureBeyondViewport": true});
        let said = self.call("Page.captureScreenshot", wanted);
        let mut child = Command::new("base64")
            .arg("-d")
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(std::path::Path::new(&folder).join(name)).unwrap())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, said["data"].as_str().unwrap().as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    /// Closes it as a person does, and waits until it has ended.
    pub(crate) fn close(mut self) {
        self.tab.borrow_mut().session = None;
        self.call("Browser.close", json!({}));
        self.child.wait().unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tab {
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            let mut said = self.read();
            if said["id"] == self.last {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].take();
            }
            self.events.push(said);
        }
    }

    fn read(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("the browser answers") {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }
}
