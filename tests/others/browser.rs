//! The pages of the examples in a browser. Headless Chromium clicks through them.
//!
//! Without Chromium, these tests are skipped. Cargo builds the examples for a run of all tests. Before
//! `--test others` alone, build them. The pictures are left in the target's `tmp/browser`.

pub(crate) mod chromium;
mod inspect;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::programs::{Owned, start_example, tool};
use chromium::Browser;

/// The window of a desktop computer, and that of a phone.
const SIZES: [(u32, u32); 2] = [(1280, 800), (390, 844)];

/// Makes an empty folder of that name for the files of a test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("browser")
        .join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Starts an example. Returns its process and the URL of its page.
fn start_page(name: &str, arguments: &[&str]) -> (Owned, String) {
    let (example, address) = start_example(name, arguments);
    (example, format!("http://{address}/"))
}

#[test]
fn files_chosen_in_the_page_arrive_and_the_page_shows_them() {
    let Some(chromium) = tool("chromium") else {
        return;
    };
    let scene = folder("upload");
    let saved = scene.join("saved");
    let (_example, url) = start_page("upload", &["127.0.0.1:0", saved.to_str().unwrap()]);
    let large: Vec<u8> = (0..=250).cycle().take(3_000_000).collect();
    let files = [
        ("notes from the mill.txt", &b"grist"[..]),
        ("large.bin", &large),
        ("empty", b""),
    ];
    let chosen = files.map(|(name, bytes)| {
        let path = scene.join(name);
        fs::write(&path, bytes).unwrap();
        path
    });
    let mut browser = Browser::start(&chromium, &scene.join("profile"));
    for (width, height) in SIZES {
        let tab = browser.open(&url, width, height);
        browser.look(&tab, &scene.join(format!("before-{width}.png")));
        browser.choose_files(&tab, &chosen);
        browser.wait_for(&tab, "document.querySelectorAll('li.done').length === 3");
        browser.wait_for(
            &tab,
            "[...document.querySelectorAll('progress')].every(bar => bar.value === 1)",
        );
        browser.look(&tab, &scene.join(format!("after-{width}.png")));
        for (name, bytes) in files {
            let path = saved.join(name);
            assert!(fs::read(&path).unwrap() == bytes, "{name}");
            fs::remove_file(path).unwrap();
        }
        let texts = browser.value(&tab, "[...document.querySelectorAll('li')].map(item => item.innerText.replace(/\\s+/g, ' ')).join('; ')");
        let texts = texts.as_str().unwrap();
        assert!(texts.contains("large.bin 2.9 MiB, saved"), "{texts}");
        browser.close(&tab);
    }
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[test]
fn all_pages_show_a_message_and_the_number_of_pages() {
    let Some(chromium) = tool("chromium") else {
        return;
    };
    let scene = folder("events");
    let (example, url) = start_page("events", &["127.0.0.1:0"]);
    let mut browser = Browser::start(&chromium, &scene.join("profile"));
    let status = |text: &str| format!("document.querySelector('output').textContent === '{text}'");
    let [(width, height), (narrow, tall)] = SIZES;
    let one = browser.open(&url, width, height);
    browser.wait_for(&one, &status("only you are here"));
    let two = browser.open(&url, narrow, tall);
    for tab in [&one, &two] {
        browser.wait_for(tab, &status("2 are here"));
    }
    browser.look(&two, &scene.join("before-390.png"));
    for (tab, words) in [
        (&one, "Is the wheel turning?"),
        (&two, "It is: <b>listen</b>."),
    ] {
        let say =
            format!("document.forms[0].words.value = '{words}'; document.forms[0].requestSubmit()");
        browser.value(tab, &say);
        for tab in [&one, &two] {
            let seen =
                format!("document.querySelector('li')?.firstChild.textContent === '{words}'");
            browser.wait_for(tab, &seen);
        }
    }
    browser.look(&one, &scene.join(format!("after-{width}.png")));
    browser.look(&two, &scene.join(format!("after-{narrow}.png")));
    browser.close(&two);
    browser.wait_for(&one, &status("only you are here"));
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
    drop(example);
    browser.wait_for(&one, &status("coming back"));
}

#[test]
fn visitors_of_the_chat_talk_to_each_other_until_the_server_says_goodbye() {
    let Some(chromium) = tool("chromium") else {
        return;
    };
    let scene = folder("chat");
    let (example, url) = start_page("chat", &["127.0.0.1:0"]);
    let mut browser = Browser::start(&chromium, &scene.join("profile"));
    let status = |text: &str| format!("document.querySelector('output').textContent === '{text}'");
    let [(width, height), (narrow, tall)] = SIZES;
    let one = browser.open(&url, width, height);
    browser.wait_for(&one, &status("only you are here"));
    let two = browser.open(&url, narrow, tall);
    for tab in [&one, &two] {
        browser.wait_for(tab, &status("2 are here"));
    }
    browser.look(&two, &scene.join("before-390.png"));
    for (tab, words) in [
        (&one, "Is the mill grinding?"),
        (&two, "It is: <b>listen</b>, grüße 🌾"),
    ] {
        let say =
            format!("document.forms[0].words.value = '{words}'; document.forms[0].requestSubmit()");
        browser.value(tab, &say);
        for tab in [&one, &two] {
            let seen =
                format!("document.querySelector('li')?.firstChild.textContent === '{words}'");
            browser.wait_for(tab, &seen);
        }
    }
    browser.look(&one, &scene.join(format!("after-{width}.png")));
    browser.look(&two, &scene.join(format!("after-{narrow}.png")));
    // A page that is closed leaves at once.
    browser.close(&two);
    browser.wait_for(&one, &status("only you are here"));
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
    end_gracefully(&example);
    browser.wait_for(&one, &status("the mill is closed, coming back"));
    drop(example);
}

/// Asks a process to end, as an operator does.
fn end_gracefully(process: &Owned) {
    let pid = rustix::process::Pid::from_raw(process.0.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn a_list_of_a_folder_leads_to_its_files() {
    let Some(chromium) = tool("chromium") else {
        return;
    };
    let scene = folder("files");
    let served = scene.join("served");
    fs::create_dir_all(served.join("deep & down")).unwrap();
    fs::write(served.join("deep & down/100% <b>.txt"), "grist").unwrap();
    fs::write(served.join("large.bin"), vec![0; 3_000_000]).unwrap();
    fs::write(
        served.join("a rather long name of a file that has to be wrapped somewhere on a phone.txt"),
        "",
    )
    .unwrap();
    let (_example, url) = start_page("files", &["127.0.0.1:0", served.to_str().unwrap()]);
    let mut browser = Browser::start(&chromium, &scene.join("profile"));
    let click = |text: &str| {
        format!("[...document.links].find(link => link.textContent === '{text}').click()")
    };
    let title = |text: &str| format!("document.title === '{text}'");
    for (width, height) in SIZES {
        let tab = browser.open(&url, width, height);
        browser.look(&tab, &scene.join(format!("list-{width}.png")));
        browser.act(&tab, &click("deep & down/"));
        browser.wait_for(&tab, &title("/deep & down/"));
        browser.act(&tab, &click("100% <b>.txt"));
        browser.wait_for(&tab, "document.body.innerText === 'grist'");
        browser.act(&tab, "history.back()");
        browser.wait_for(&tab, &title("/deep & down/"));
        browser.act(&tab, &click("../"));
        browser.wait_for(&tab, &title("/"));
        browser.close(&tab);
    }
    browser
        .complaints
        .retain(|complaint| !complaint.contains("favicon.ico"));
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[test]
fn a_visitor_is_greeted_orders_flour_and_sees_a_404_page() {
    let Some(chromium) = tool("chromium") else {
        return;
    };
    let scene = folder("site");
    let (_example, url) = start_page("site", &["127.0.0.1:0"]);
    let mut browser = Browser::start(&chromium, &scene.join("profile"));
    let says = |text: &str| {
        format!(
            "document.readyState === 'complete' && document.querySelector('main').innerText.includes('{text}')"
        )
    };
    for (width, height) in SIZES {
        let picture = |name: &str| scene.join(format!("{name}-{width}.png"));
        let tab = browser.open(&url, width, height);
        browser.wait_for(&tab, &says("Good morning, stranger."));
        // The styles and the picture have arrived.
        browser.wait_for(
            &tab,
            "getComputedStyle(document.querySelector('main')).maxWidth === '1024px'",
        );
        browser.wait_for(
            &tab,
            "[...document.images].every(image => image.complete && image.naturalWidth === 480)",
        );
        browser.look(&tab, &picture("home"));
        browser.act(
            &tab,
            "document.forms[0].name.value = '<b>miller</b>'; document.forms[0].requestSubmit()",
        );
        browser.wait_for(&tab, &says("Good morning, <b>miller</b>."));
        browser.act(
            &tab,
            "order.flour.value = 'wheat'; order.sacks.value = 4; order.requestSubmit()",
        );
        browser.wait_for(&tab, &says("4 sacks of wheat, as ordered."));
        browser.look(&tab, &picture("order"));
        browser.close(&tab);
        let tab = browser.open(&format!("{url}no/such?page"), width, height);
        browser.wait_for(&tab, &says("There is no /no/such at this mill."));
        browser.look(&tab, &picture("missing"));
        browser.act(&tab, "document.querySelector('main a').click()");
        browser.wait_for(&tab, &says("Good morning, stranger."));
        browser.close(&tab);
    }
    // The browser logs an error for a page that does not exist.
    browser
        .complaints
        .retain(|complaint| !complaint.contains("no/such?page"));
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}
