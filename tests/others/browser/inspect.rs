//! The page of `waterwheel::inspect` in a browser, over the example `watch_it_run`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::chromium::{Browser, Tab};
use super::{SIZES, folder};
use crate::support::programs::{DEADLINE, Owned, tool};

const VIEWS: [&str; 5] = ["turn", "lanes", "reasons", "wakes", "numbers"];

/// A watched program, and its page in a browser.
struct Scene {
    program: Owned,
    server: SocketAddr,
    browser: Browser,
    tab: Tab,
}

impl Scene {
    /// Starts the example with these faults, and opens its page at a view. Returns `None` without a browser.
    fn open(name: &str, faults: &[&str], view: &str) -> Option<Self> {
        let chromium = tool("chromium")?;
        let (program, server, url) = start(faults);
        let mut browser = Browser::start(&chromium, &folder(name).join("profile"));
        let (width, height) = SIZES[0];
        let tab = browser.open(&format!("{url}#{view}"), width, height);
        let mut scene = Self {
            program,
            server,
            browser,
            tab,
        };
        scene.wait_for("ui.dump !== null && ui.recording.length > 200");
        Some(scene)
    }

    fn wait_for(&mut self, expression: &str) {
        self.browser.wait_for(&self.tab, expression);
    }

    fn value(&mut self, expression: &str) -> serde_json::Value {
        self.browser.value(&self.tab, expression)
    }

    fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap().to_owned()
    }

    fn count(&mut self, expression: &str) -> u64 {
        self.value(expression).as_u64().unwrap()
    }

    fn click(&mut self, id: &str) {
        self.value(&format!("document.getElementById('{id}').click()"));
    }

    fn pause(&mut self) {
        self.click("pause");
        self.wait_for("document.getElementById('status').textContent === 'the program is paused'");
        // The last events before the pause are still on their way.
        self.wait_for("(async () => { const before = ui.recording.length; await new Promise(next => setTimeout(next, 300)); return ui.recording.length === before })()");
    }

    /// Clicks "Poll one task", and waits until the poll has been recorded.
    fn step(&mut self) {
        let before = self.count(POLLS);
        self.click("step");
        self.wait_for(&format!("{POLLS} > {before}"));
    }

    fn finish(self) {
        assert!(
            self.browser.complaints.is_empty(),
            "{:#?}",
            self.browser.complaints
        );
    }
}

/// The number of all polls that the page has seen.
const POLLS: &str = "ui.recording.events.filter(event => event.kind === 'poll_end').length";

/// Starts the example. Returns its process, its address, and the URL of its page.
fn start(faults: &[&str]) -> (Owned, SocketAddr, String) {
    let test = std::env::current_exe().unwrap();
    let program = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/watch_it_run");
    assert!(
        program.exists(),
        "first: cargo build --example watch_it_run"
    );
    let mut command = Command::new(program);
    command.args(["127.0.0.1:0", "127.0.0.1:0"]).args(faults);
    let mut process = Owned(
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let server = after(process.0.stdout.take().unwrap(), "listening on http://");
    let url = after(process.0.stderr.take().unwrap(), "watch it run: ");
    (process, server.parse().unwrap(), url)
}

/// Returns the rest of the first line, behind these words.
fn after(output: impl Read + Send + 'static, words: &str) -> String {
    let mut lines = BufReader::new(output).lines();
    let line = lines.next().unwrap().unwrap();
    let (_, rest) = line.split_once(words).unwrap_or_else(|| panic!("{line}"));
    // The example may print more while the test runs.
    thread::spawn(move || lines.for_each(drop));
    rest.to_owned()
}

/// A client with one connection.
struct Client(TcpStream);

impl Client {
    fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(stream)
    }

    fn ask(&mut self) {
        self.0
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello\n") {
            let mut bytes = [0; 1024];
            let count = self.0.read(&mut bytes).unwrap();
            assert!(count > 0, "the connection is closed");
            answer.extend(&bytes[..count]);
        }
    }
}

#[test]
fn the_page_shows_each_task_of_a_busy_server_with_its_reason() {
    let Some(mut scene) = Scene::open("inspect-reasons", &[], "reasons") else {
        return;
    };
    scene.wait_for("document.querySelectorAll('.reason').length >= 6");
    for name in ["visitor", "producer", "consumer", "ticker", "race of three"] {
        scene.wait_for(&format!("[...document.querySelectorAll('.reason h3')].some(title => title.textContent.includes('{name}'))"));
    }
    // The program moves on between two dumps, so the page must agree with the dump that it shows.
    let agrees = "ui.dump.groups.reduce((sum, group) => sum + group.count, 0) >= 12
        && document.querySelectorAll('.reason').length === ui.dump.groups.length";
    scene.wait_for(agrees);
    // The page has cards from the record before the first dump, and draws those of a dump with the next frame.
    scene.wait_for(
        "![...document.querySelectorAll('.reason')]
            .some(card => card.textContent.includes('waiting') && !card.querySelector('.tree li'))",
    );
    scene.finish();
}

#[test]
fn a_race_of_three_shows_three() {
    let Some(mut scene) = Scene::open("inspect-race", &[], "reasons") else {
        return;
    };
    scene.value("document.getElementById('search').value = 'race of three'; draw()");
    scene.wait_for("document.querySelectorAll('.reason').length === 1");
    let leaves = "[...document.querySelectorAll('.reason .tree li')].filter(item => !item.querySelector('ul')).length";
    assert_eq!(
        scene.count(leaves),
        3,
        "{}",
        scene.text("document.querySelector('.reason').innerText")
    );
    scene.finish();
}

#[test]
fn each_click_polls_exactly_one_task_and_back_goes_through_the_record() {
    let Some(mut scene) = Scene::open("inspect-step", &[], "turn") else {
        return;
    };
    scene.pause();
    for _ in 0..10 {
        let before = scene.count(POLLS);
        scene.step();
        // A second poll would come while nothing is clicked.
        thread::sleep(Duration::from_millis(250));
        assert_eq!(scene.count(POLLS), before + 1);
    }
    scene.wait_for("ui.timer === null && ui.recording.cursor === ui.recording.length");
    let polls = scene.count(POLLS);
    for _ in 0..5 {
        let cursor = scene.count("ui.recording.cursor");
        scene.click("back");
        assert_eq!(scene.count("ui.recording.cursor"), cursor - 1);
    }
    scene.click("back-poll");
    scene.wait_for("ui.recording.now.kind === 'poll_start' && document.querySelectorAll('#scene .dot.running').length === 1");
    assert_eq!(scene.count(POLLS), polls, "going back polls no task");
    scene.click("resume");
    scene.wait_for("document.getElementById('status').textContent === 'live'");
    scene.finish();
}

/// The server of this test closes connections that are idle for two seconds. A minute was tried by hand.
#[test]
fn stepping_for_five_seconds_loses_no_connection() {
    let Some(mut scene) = Scene::open("inspect-patience", &["impatient"], "turn") else {
        return;
    };
    let mut client = Client::connect(scene.server);
    client.ask();
    scene.pause();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        scene.step();
        thread::sleep(Duration::from_millis(400));
    }
    scene.click("resume");
    client.ask();
    let ended = scene.text("ui.recording.events.filter(event => event.kind === 'end').map(event => ui.recording.name(event.task)).join()");
    assert!(!ended.contains("visitor"), "{ended}");
    scene.finish();
}

#[test]
fn the_program_resumes_when_its_last_page_is_closed() {
    let Some(mut scene) = Scene::open("inspect-leave", &[], "turn") else {
        return;
    };
    scene.pause();
    let Scene {
        program: _program,
        server,
        mut browser,
        tab,
    } = scene;
    browser.close(&tab);
    Client::connect(server).ask();
}

#[test]
fn the_page_answers_and_names_the_task_that_holds_the_thread() {
    let Some(mut scene) = Scene::open("inspect-block", &["long-poll"], "turn") else {
        return;
    };
    scene.wait_for("ui.dump?.running?.since_ns > 500e6");
    let latency = "(async () => { const start = performance.now(); await fetchJson('dump.json'); await fetchJson('trace.json'); return Math.round(performance.now() - start) })()";
    let latency = scene.count(latency);
    assert!(latency < 1000, "{latency} ms");
    let names = "document.getElementById('findings').innerText.includes('long poll')
        && document.getElementById('findings').innerText.includes('watch_it_run.rs:')";
    scene.wait_for(names);
    scene.finish();
}

#[test]
fn planted_faults_are_found() {
    for (fault, kind, name) in [
        ("lost-waker", "lost waker", "lost waker"),
        ("wait-cycle", "wait cycle", "of a cycle"),
        ("leak", "growth", "watch_it_run.rs:"),
    ] {
        let Some(mut scene) = Scene::open(&format!("inspect-{fault}"), &[fault], "reasons") else {
            return;
        };
        let found = format!(
            "[...document.querySelectorAll('#findings li')].some(item => item.innerText.includes('{kind}') && item.innerText.includes('{name}'))"
        );
        scene.wait_for(&found);
        scene.finish();
    }
}

#[test]
fn a_shutdown_that_hangs_names_the_task_that_keeps_it_waiting() {
    let Some(mut scene) = Scene::open("inspect-shutdown", &["endless-request"], "reasons") else {
        return;
    };
    let pid = Pid::from_child(&scene.program.0);
    kill_process(pid, Signal::TERM).unwrap();
    scene.wait_for("[...document.querySelectorAll('#findings li')].some(item => item.innerText.includes('shutdown') && item.innerText.includes('GET /endless'))");
    scene.finish();
}

#[test]
fn ctrl_c_ends_a_pause_and_a_second_one_ends_the_program() {
    let Some(mut scene) = Scene::open("inspect-signal", &["endless-request"], "turn") else {
        return;
    };
    scene.pause();
    let stands = scene.text("document.getElementById('stopped').textContent");
    assert!(stands.contains("Ctrl-C ends the pause"), "{stands}");
    let pid = Pid::from_child(&scene.program.0);
    kill_process(pid, Signal::INT).unwrap();
    scene.wait_for(
        "document.getElementById('status').textContent === 'live: SIGINT has ended the pause'
            && document.getElementById('stopped').hidden",
    );
    // The shutdown waits for the request, and its steps can be shown as well.
    scene.pause();
    kill_process(pid, Signal::INT).unwrap();
    let start = Instant::now();
    while scene.program.0.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < DEADLINE);
        thread::sleep(Duration::from_millis(10));
    }
}

/// The keys of the ARIA Authoring Practices, "Tabs Pattern".
#[test]
fn the_arrows_home_and_end_move_through_the_tabs() {
    let Some(mut scene) = Scene::open("inspect-tabs", &[], "turn") else {
        return;
    };
    let roles = "[...document.querySelectorAll('[role=tab]')].every(tab => {
        const panel = document.getElementById(tab.getAttribute('aria-controls'));
        return panel.role === 'tabpanel' && panel.getAttribute('aria-labelledby') === tab.id })";
    assert_eq!(scene.value(roles), true);
    scene.value("document.querySelector('[role=tab]').focus(); ui.go(5)");
    let key = |scene: &mut Scene, key: &str| {
        scene.value(&format!(
            "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true, cancelable: true }}))"
        ));
        // The selected tab has the focus, and is the only one that the Tab key finds.
        scene.text(
            "JSON.stringify([document.activeElement.dataset.view, ui.view,
                [...document.querySelectorAll('[role=tab]')].filter(tab => tab.tabIndex === 0 || tab.ariaSelected === 'true').map(tab => tab.dataset.view).join(), ui.recording.cursor])",
        )
    };
    for (name, view) in [
        ("ArrowRight", "lanes"),
        ("ArrowRight", "reasons"),
        ("ArrowLeft", "lanes"),
        ("ArrowLeft", "turn"),
        ("ArrowLeft", "numbers"),
        ("ArrowRight", "turn"),
        ("End", "numbers"),
        ("Home", "turn"),
    ] {
        let found = key(&mut scene, name);
        assert_eq!(
            found,
            format!("[\"{view}\",\"{view}\",\"{view}\",5]"),
            "{name}"
        );
    }
    // After a click, the arrows move through the record as everywhere else.
    let Scene { browser, tab, .. } = &mut scene;
    browser.press(tab, "[data-view=lanes]", Duration::ZERO);
    scene.wait_for("ui.view === 'lanes'");
    scene.value("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }))");
    assert_eq!(
        scene.text("[ui.view, ui.recording.cursor].join()"),
        "lanes,6"
    );
    scene.finish();
}

#[test]
fn all_views_fit_all_screens_in_light_and_dark() {
    let Some(mut scene) = Scene::open("inspect-views", &[], "turn") else {
        return;
    };
    let pictures = folder("inspect-pictures");
    scene.pause();
    scene.step();
    scene.wait_for("ui.timer === null");
    let Scene { browser, tab, .. } = &mut scene;
    look_at_all(browser, tab, &pictures, "live");
    scene.finish();
}

/// Takes a picture of each view, size and scheme.
fn look_at_all(browser: &mut Browser, tab: &Tab, pictures: &Path, name: &str) {
    for scheme in ["light", "dark"] {
        browser.prefer(tab, scheme);
        for (width, height) in SIZES {
            browser.resize(tab, width, height);
            for view in VIEWS {
                browser.value(tab, &format!("ui.open('{view}')"));
                browser.wait_for(tab, "new Promise(next => requestAnimationFrame(() => setTimeout(() => next(frame === 0), 50)))");
                browser.look(
                    tab,
                    &pictures.join(format!("{name}-{view}-{width}-{scheme}.png")),
                );
            }
        }
    }
}

#[test]
fn a_saved_recording_is_a_page_that_needs_no_server() {
    let Some(mut scene) = Scene::open("inspect-save", &[], "turn") else {
        return;
    };
    let scenery = folder("inspect-saved");
    let html = scene.text(
        "fetch(document.querySelector('[data-format=html]').href).then(answer => answer.text())",
    );
    let file = scenery.join("trace.html");
    fs::write(&file, html).unwrap();
    let Scene {
        program, browser, ..
    } = &mut scene;
    drop(program.0.kill());
    let (width, height) = SIZES[0];
    let tab = browser.open(&format!("file://{}", file.display()), width, height);
    browser.wait_for(&tab, "ui.recording.length > 200 && document.getElementById('status').textContent === 'a recording'");
    // It begins with the first poll of the program.
    browser.wait_for(
        &tab,
        "document.querySelectorAll('#scene .dot.running').length === 1",
    );
    browser.value(&tab, "ui.go(ui.recording.length)");
    browser.wait_for(&tab, "document.querySelectorAll('#scene .dot').length > 5");
    browser.value(&tab, "ui.toPoll(-1)");
    browser.wait_for(
        &tab,
        "document.querySelectorAll('#scene .dot.running').length === 1",
    );
    browser.wait_for(&tab, "document.querySelectorAll('#strip svg').length >= 3");
    look_at_all(browser, &tab, &scenery, "saved");
    // The flight recorder writes after a fault: the page begins there, and names it.
    browser.value(&tab, "const saved = JSON.parse(document.getElementById('embedded').textContent).trace;
        const fault = { ...saved.events.at(-1), kind: 'end', task: saved.tasks[1].id, outcome: 'panic' };
        openRecording({ trace: { ...saved, reason: 'panic', events: [...saved.events, fault] } })");
    browser.wait_for(
        &tab,
        "document.getElementById('status').textContent.endsWith('its reason: panic')
            && document.getElementById('findings').innerText.includes('has ended by a panic')
            && ui.recording.cursor === ui.recording.length",
    );
    // A course has several recordings in one page.
    browser.value(&tab, "const short = { ...saved, events: saved.events.slice(0, 50) };
        openRecording({ traces: [{ title: 'one', trace: saved }, { title: 'two', trace: short }] })");
    browser.wait_for(
        &tab,
        "!document.getElementById('traces').hidden && ui.recording.length > 200",
    );
    browser.value(
        &tab,
        "document.getElementById('traces').value = 1; document.getElementById('traces').onchange()",
    );
    browser.wait_for(
        &tab,
        "ui.recording.length === 50 && document.title.startsWith('two')",
    );
    browser.complaints.retain(|complaint| {
        !complaint.contains("ERR_CONNECTION") && !complaint.contains("ERR_INCOMPLETE")
    });
    scene.finish();
}

#[test]
fn a_task_beyond_the_named_ones_of_its_group_stands_where_it_waits() {
    let Some(mut scene) = Scene::open("inspect-region", &["leak"], "turn") else {
        return;
    };
    scene.wait_for("[...ui.recording.tasks.values()].filter(task => ui.recording.name(task.id) === 'leaked').length > 200");
    scene.pause();
    let places = "[...new Set([...ui.recording.tasks.values()].filter(task => ui.recording.name(task.id) === 'leaked').map(task => ui.recording.region(task)))].join()";
    scene.wait_for(&format!("{places} === 'timers'"));
    scene.finish();
}

#[test]
fn each_duration_has_a_bar_between_its_marks() {
    let Some(mut scene) = Scene::open("inspect-bars", &[], "numbers") else {
        return;
    };
    // Each duration, and the edges of its bar. The number of an edge is that of the bar at its right.
    let bars =
        "JSON.stringify([50, 100, 5e3, 1e10, 6e10].map(value => histogram([value]).indexOf(1)))";
    assert_eq!(scene.text(bars), "[0,1,4,17,17]");
    let mark = "(() => {
        const drawing = drawHistogram([5e3], 'running');
        const bar = [...drawing.querySelectorAll('rect')].find(bar => Number(bar.getAttribute('height')) > 0);
        const mark = [...drawing.querySelectorAll('text')].find(mark => mark.textContent === '1 µs');
        const step = Number(bar.getAttribute('width')) + 4;
        return Math.round((Number(bar.getAttribute('x')) - 2 - Number(mark.getAttribute('x'))) / step);
    })()";
    // From 1 µs to 3.16 µs is one bar, so that of 5 µs begins one bar after the mark.
    assert_eq!(scene.count(mark), 1);
    scene.finish();
}

#[test]
fn the_page_forgets_the_names_of_tasks_that_have_ended_before_its_record() {
    let Some(mut scene) = Scene::open("inspect-names", &[], "turn") else {
        return;
    };
    scene.wait_for(
        "[...ui.recording.tasks.keys()].some(task => ui.recording.name(task) === 'reaper')",
    );
    // 150,000 tasks, each with two events, in deltas as a busy server sends them.
    let names = "(() => {
        const recording = new Recording({ tasks: [], events: [], now_ns: 0 });
        for (let first = 0; first < 300000; first += 5000) {
            const events = [...Array(5000).keys()].map(at => ({
                seq: first + at, at: first + at, kind: at % 2 ? 'end' : 'spawn', outcome: 'value',
                task: `1.${(first + at) >> 1}.1`, parent: 'root' }));
            recording.add({ events, now_ns: first + 5000 });
            recording.seek(recording.length);
        }
        return recording.names.size;
    })()";
    let names = scene.count(names);
    assert!((50_000..80_000).contains(&names), "{names}");
    scene.finish();
}

#[test]
fn the_panel_of_a_task_is_whole_without_a_dump() {
    let Some(mut scene) = Scene::open("inspect-panel", &[], "turn") else {
        return;
    };
    scene.pause();
    let panel = "ui.dump = null; ui.chosen = 'root'; drawNow(true); document.getElementById('task').lastChild.nodeName";
    assert_eq!(scene.text(panel), "DL");
    scene.finish();
}

#[test]
fn a_button_that_is_pressed_stays_until_it_is_released() {
    let Some(mut scene) = Scene::open("inspect-press", &[], "reasons") else {
        return;
    };
    scene.wait_for("document.querySelectorAll('.ids button').length > 0");
    let Scene { browser, tab, .. } = &mut scene;
    // The page draws several times in this time.
    browser.press(tab, ".ids button", Duration::from_millis(1500));
    scene.wait_for("ui.chosen !== null");
    scene.finish();
}

#[test]
fn a_view_in_the_url_leaves_the_head_of_the_page_in_sight() {
    let Some(mut scene) = Scene::open("inspect-scroll", &[], "reasons") else {
        return;
    };
    scene.wait_for("document.querySelectorAll('.reason').length >= 6");
    let Scene { browser, tab, .. } = &mut scene;
    browser.resize(tab, 390, 844);
    browser.value(tab, "location.hash = '#lanes'; location.hash = '#reasons'");
    scene.wait_for("scrollY === 0");
    scene.finish();
}

/// A delta without the spawn of an ended task knows neither its name nor its place: another task has its slot.
#[test]
fn a_task_that_has_ended_leaves_the_picture_and_keeps_its_name() {
    let Some(mut scene) = Scene::open("inspect-ended", &[], "turn") else {
        return;
    };
    for _ in 0..5 {
        Client::connect(scene.server).ask();
    }
    let ends = "ui.recording.events.filter(event => event.kind === 'end')";
    scene.wait_for(&format!("{ends}.length >= 5"));
    scene.pause();
    scene.value("ui.go(ui.recording.length)");
    let left = format!("{ends}.filter(event => ui.recording.tasks.has(event.task)).length");
    assert_eq!(scene.count(&left), 0);
    let open = format!("{ends}.filter(event => ui.recording.open.has(event.task)).length");
    assert_eq!(scene.count(&open), 0);
    // The lane of a task ends with it, and its last poll has a duration.
    let lanes = format!(
        "{ends}.filter(end => slicesOf(ui.recording).lanes.get(end.task).at(-1).state !== 'running').length"
    );
    assert_eq!(scene.count(&lanes), 0);
    let polls = "ui.recording.events.filter(event => event.kind === 'poll_end' && event.ready && event.polled_ns == null).length";
    assert_eq!(scene.count(polls), 0);
    let sentences = format!(
        "(() => {{
            const task = {ends}.at(-1).task, name = () => 'it';
            return ui.recording.events.filter(event => event.task === task && (event.kind === 'end' || event.ready))
                .map(event => describe(event, name)).join(' ')
        }})()"
    );
    assert_eq!(
        scene.text(&sentences),
        "it returns Ready: it has ended. The last poll of it is over."
    );
    let kept = "(() => {
        const id = [...ui.recording.names.values()].find(task => task.place).id, before = ui.recording.name(id);
        ui.recording.add({ tasks: [{ id, name: null, place: null, parent: null, future_bytes: 0 }] });
        return [before, ui.recording.name(id)].join() })()";
    let names = scene.text(kept);
    let (before, after) = names.split_once(',').unwrap();
    assert_eq!(before, after);
    scene.finish();
}

#[test]
fn a_finding_with_a_long_path_fits_a_telephone() {
    let Some(mut scene) = Scene::open("inspect-narrow", &[], "turn") else {
        return;
    };
    scene.pause();
    let Scene { browser, tab, .. } = &mut scene;
    browser.resize(tab, 390, 844);
    let path = "/home/of-a-reader/projects/waterwheel/http/src/server/mod.rs:500:41";
    let finding = format!(
        "ui.dump.findings = [{{ kind: 'long poll', text: 'task 1.1.1, spawned at {path} holds the thread' }}]; drawNow(true)"
    );
    browser.value(tab, &finding);
    browser.look(tab, &folder("inspect-pictures").join("narrow-finding.png"));
    scene.finish();
}

#[test]
fn another_view_in_the_url_of_an_open_page_is_shown() {
    let Some(mut scene) = Scene::open("inspect-hash", &[], "turn") else {
        return;
    };
    scene.value("location.hash = '#lanes'");
    scene.wait_for("ui.view === 'lanes'");
    // The browser would draw a frame around a panel with the focus.
    scene.wait_for("document.activeElement === document.body");
    // A word that is no view changes nothing.
    scene.value("location.hash = '#nowhere'");
    scene.wait_for("ui.view === 'lanes'");
    scene.finish();
}

#[test]
fn only_an_event_of_the_kernel_is_looked_up_by_the_reactor() {
    let Some(mut scene) = Scene::open("inspect-unpark", &[], "turn") else {
        return;
    };
    // A recorder outside of the executor does not know the number of events.
    for (event, expected) in [
        ("{ kind: 'unpark', events: 1 }", true),
        ("{ kind: 'unpark', events: 0 }", false),
        ("{ kind: 'unpark' }", false),
        ("{ kind: 'io_ready', fd: 3 }", true),
    ] {
        let text = scene.text(&format!("because({event})"));
        assert_eq!(text.contains("reactor"), expected, "{event}: {text}");
    }
    scene.finish();
}
