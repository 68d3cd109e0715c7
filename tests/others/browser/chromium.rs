//! A headless Chromium, controlled through a pair of pipes: one JSON message after the other, each followed by
//! a NUL (the `DevTools` protocol).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::programs::{DEADLINE, Owned};

/// A browser that ends when it is dropped.
pub(crate) struct Browser {
    process: Owned,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    /// The errors of a page.
    pub complaints: Vec<String>,
}

/// One tab of a browser.
#[derive(Clone, Debug)]
pub(crate) struct Tab {
    target: String,
    session: String,
}

impl Browser {
    pub(crate) fn start(program: &Path, profile: &Path) -> Self {
        Self::start_with(program, profile, &[])
    }

    pub(crate) fn start_with(program: &Path, profile: &Path, arguments: &[&str]) -> Self {
        drop(fs::remove_dir_all(profile));
        fs::create_dir_all(profile).unwrap();
        // Chromium reads from descriptor 3 and writes to 4.
        let script = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(program).args([
            "--headless",
            "--no-sandbox",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--remote-debugging-pipe",
        ]);
        command.args(arguments);
        command.arg(format!("--user-data-dir={}", profile.display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Owned(command.arg("about:blank").spawn().unwrap());
        let commands = process.0.stdin.take().unwrap();
        let mut output = BufReader::new(process.0.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while output
                .read_until(0, &mut message)
                .is_ok_and(|count| count > 0)
            {
                message.pop();
                if sender
                    .send(serde_json::from_slice(&message).unwrap())
                    .is_err()
                {
                    break;
                }
                message.clear();
            }
        });
        Self {
            process,
            commands,
            messages,
            last_id: 0,
            complaints: Vec::new(),
        }
    }

    /// Sends a command to a tab or to the browser itself. Returns the result.
    fn call(&mut self, tab: Option<&Tab>, method: &str, parameters: &Value) -> Value {
        let outcome = self.try_call(tab, method, parameters);
        outcome.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_call(
        &mut self,
        tab: Option<&Tab>,
        method: &str,
        parameters: &Value,
    ) -> Result<Value, Value> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(tab) = tab {
            message["sessionId"] = json!(tab.session);
        }
        let message = message.to_string() + "\0";
        self.commands.write_all(message.as_bytes()).unwrap();
        loop {
            let mut answer = self.messages.recv_timeout(DEADLINE).expect(method);
            if answer["id"] == self.last_id {
                let error = answer["error"].take();
                return if error.is_null() {
                    Ok(answer["result"].take())
                } else {
                    Err(error)
                };
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let entry = &event["params"]["entry"];
        let is_error = event["method"] == "Runtime.exceptionThrown" || entry["level"] == "error";
        if is_error {
            self.complaints.push(event["params"].to_string());
        }
    }

    /// Opens a page in a tab of its own, of the given size.
    pub(crate) fn open(&mut self, url: &str, width: u32, height: u32) -> Tab {
        let target = self.call(
            None,
            "Target.createTarget",
            &json!({ "url": "about:blank" }),
        );
        let target = target["targetId"].as_str().unwrap().to_owned();
        let attach = json!({ "targetId": target, "flatten": true });
        let session = self.call(None, "Target.attachToTarget", &attach);
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let tab = Tab { target, session };
        for domain in ["Page", "Runtime", "Log", "DOM"] {
            self.call(Some(&tab), &format!("{domain}.enable"), &json!({}));
        }
        self.resize(&tab, width, height);
        self.call(Some(&tab), "Page.navigate", &json!({ "url": url }));
        self.wait_for(
            &tab,
            "document.readyState === 'complete' && location.href !== 'about:blank'",
        );
        tab
    }

    pub(crate) fn resize(&mut self, tab: &Tab, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call(Some(tab), "Emulation.setDeviceMetricsOverride", &size);
    }

    /// Sets the colours that the user prefers: `light` or `dark`.
    pub(crate) fn prefer(&mut self, tab: &Tab, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "features": features });
        self.call(Some(tab), "Emulation.setEmulatedMedia", &media);
    }

    pub(crate) fn close(&mut self, tab: &Tab) {
        self.call(
            None,
            "Target.closeTarget",
            &json!({ "targetId": tab.target }),
        );
    }

    /// Returns the value of an expression. The page stays.
    pub(crate) fn value(&mut self, tab: &Tab, expression: &str) -> Value {
        let value = self.try_value(tab, expression);
        value.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn try_value(&mut self, tab: &Tab, expression: &str) -> Result<Value, Value> {
        let expression =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut outcome = self.try_call(Some(tab), "Runtime.evaluate", &expression)?;
        match outcome["exceptionDetails"].take() {
            Value::Null => Ok(outcome["result"]["value"].take()),
            thrown => Err(thrown),
        }
    }

    /// Runs an action that may lead to another page.
    pub(crate) fn act(&mut self, tab: &Tab, action: &str) {
        self.value(tab, &format!("setTimeout(() => {{ {action} }}); 0"));
    }

    /// Waits until an expression is true in the page, or in the next page.
    pub(crate) fn wait_for(&mut self, tab: &Tab, expression: &str) {
        let start = Instant::now();
        while self.try_value(tab, expression) != Ok(Value::Bool(true)) {
            assert!(start.elapsed() < DEADLINE, "never: {expression}");
            // Waits for an event of the page, or for a moment.
            if let Ok(event) = self.messages.recv_timeout(Duration::from_millis(10)) {
                self.note(&event);
            }
        }
    }

    /// Presses the mouse on an element, and releases it after a while.
    pub(crate) fn press(&mut self, tab: &Tab, selector: &str, duration: Duration) {
        let place = format!(
            "(() => {{ const {{ x, y, width, height }} = document.querySelector('{selector}').getBoundingClientRect();
                return {{ x: x + width / 2, y: y + height / 2 }} }})()"
        );
        let place = self.value(tab, &place);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1 });
            self.call(Some(tab), "Input.dispatchMouseEvent", &event);
            if kind == "mousePressed" {
                thread::sleep(duration);
            }
        }
    }

    /// Chooses files in the page's input for them.
    pub(crate) fn choose_files(&mut self, tab: &Tab, files: &[PathBuf]) {
        let document = self.call(Some(tab), "DOM.getDocument", &json!({}));
        let root = document["root"]["nodeId"].clone();
        let query = json!({ "nodeId": root, "selector": "input[type=file]" });
        let input = self.call(Some(tab), "DOM.querySelector", &query);
        let choice = json!({ "nodeId": input["nodeId"], "files": files });
        self.call(Some(tab), "DOM.setFileInputFiles", &choice);
    }

    /// Saves a picture of the page, and checks that the page is no wider than its window.
    pub(crate) fn look(&mut self, tab: &Tab, picture: &Path) {
        // An element that another one covers is not drawn.
        self.call(Some(tab), "Page.bringToFront", &json!({}));
        // On a telephone, a wide page makes the window of `innerWidth` wider, too.
        let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        assert_eq!(
            self.value(tab, fits),
            Value::Bool(true),
            "{}",
            picture.display()
        );
        let shot = self.call(
            Some(tab),
            "Page.captureScreenshot",
            &json!({ "format": "png" }),
        );
        fs::write(picture, from_base64(shot["data"].as_str().unwrap())).unwrap();
    }
}

impl Drop for Browser {
    /// Lets the browser end by itself, so that none of its processes is left behind.
    fn drop(&mut self) {
        let close = json!({ "id": 0, "method": "Browser.close" }).to_string() + "\0";
        drop(self.commands.write_all(close.as_bytes()));
        let start = Instant::now();
        while self.process.0.try_wait().is_ok_and(|ended| ended.is_none())
            && start.elapsed() < DEADLINE
        {
            // The messages end with the process.
            drop(self.messages.recv_timeout(DEADLINE));
        }
    }
}

/// Decodes base64 (RFC 4648, 4).
fn from_base64(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<_> = text
        .trim_end_matches('=')
        .bytes()
        .map(|byte| digit(&byte))
        .collect();
    let bits = |four: &[u8]| {
        four.iter()
            .fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit))
            << (6 * (4 - four.len()))
    };
    let bytes = |four: &[u8]| bits(four).to_be_bytes()[1..four.len()].to_vec();
    digits.chunks(4).flat_map(bytes).collect()
}
