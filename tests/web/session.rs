//! Sessions and flash messages: their cookies, their ends, and requests at the same time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::web::middleware::time_limit;
use waterwheel::http::web::response::Response;
use waterwheel::http::web::session::{
    Changes, ClientSession, Key, MemoryStore, SameSite, SessionStore, Sessions, Values,
};
use waterwheel::http::{
    ClientError, Handler, Method, Request, Responded, Result, Server, StatusCode,
};
use waterwheel::runtime::sync::Notify;
use waterwheel::runtime::time::{pause, sleep};
use waterwheel::runtime::{block_on, join};

/// Changes the session as the path says, and answers with its user and number.
async fn app(request: Request<'_>) -> Result<Responded> {
    let session = ClientSession::of(&request)?;
    match request.path() {
        "/login" => {
            session.rotate()?;
            session.insert("user", "anna")?;
        }
        "/logout" => session.destroy()?,
        "/count" => {
            let count: u32 = session.get("count")?.unwrap_or(0);
            session.insert("count", count + 1)?;
        }
        "/slow" => {
            session.insert("slow", true)?;
            sleep(Duration::from_secs(5)).await;
        }
        "/slow-login" => {
            sleep(Duration::from_secs(5)).await;
            session.rotate()?;
            session.insert("user", "bert")?;
        }
        "/broken" => {
            session.insert("user", "carl")?;
            return Err(ClientError::new(StatusCode::CONFLICT, "not now").into());
        }
        "/two-flashes" => {
            session.flash("info", "one")?;
            sleep(Duration::from_secs(5)).await;
            session.flash("info", "two")?;
        }
        "/large" => session.insert("large", "x".repeat(5000))?,
        "/flash" => {
            session.flash("info", "ground")?;
            session.flash("warn", "no rye")?;
            return Response::see_other("/flashes").send(request).await;
        }
        "/flashes" => {
            let texts: Vec<_> = session.flashes()?.into_iter().map(|f| f.text).collect();
            return request.respond(StatusCode::OK, texts.join(","), ()).await;
        }
        _ => {}
    }
    let user: Option<String> = session.get("user")?;
    let count: Option<u32> = session.get("count")?;
    let slow: Option<bool> = session.get("slow")?;
    let text = format!(
        "{} {} {}",
        user.unwrap_or_default(),
        count.unwrap_or(0),
        slow.is_some()
    );
    request.respond(StatusCode::OK, text, ()).await
}

/// A browser: it keeps the cookie that it gets.
struct Browser<H> {
    server: Server,
    handler: waterwheel::http::Shared<H>,
    cookie: String,
}

impl<H: Handler> Browser<H> {
    fn new(handler: H) -> Self {
        let (server, cookie) = (Server::builder().without_listener(), String::new());
        let handler = waterwheel::http::shared(handler);
        Self {
            server,
            handler,
            cookie,
        }
    }

    async fn get_with(&self, path: &str, cookie: &str) -> Answer {
        let mut client = TestClient::of(&self.server, self.handler.clone());
        client
            .request(&Method::GET, path, &[("cookie", cookie)], b"")
            .await
    }

    async fn get(&mut self, path: &str) -> String {
        let answer = self.get_with(path, &self.cookie).await;
        if let Some(field) = set_cookie(&answer) {
            field
                .split(';')
                .next()
                .unwrap()
                .clone_into(&mut self.cookie);
        }
        answer.text()
    }

    /// Requests two pages at the same time, both with the cookie of now.
    async fn both(&self, first: &str, second: &str) {
        let cookie = &self.cookie;
        join(self.get_with(first, cookie), self.get_with(second, cookie)).await;
    }
}

/// Returns the only Set-Cookie field.
fn set_cookie(answer: &Answer) -> Option<String> {
    let mut fields = answer.headers.get_all("set-cookie").iter();
    let field = fields
        .next()
        .map(|field| field.to_str().unwrap().to_owned());
    assert!(fields.next().is_none(), "{:?}", answer.headers);
    field
}

fn stored() -> (MemoryStore, Browser<impl Handler>) {
    let store = MemoryStore::new(3);
    let handler = Sessions::in_store(store.clone()).around(app);
    (store, Browser::new(handler))
}

#[test]
fn a_session_that_is_only_read_has_no_cookie() {
    block_on(async {
        let (store, browser) = stored();
        let answer = browser.get_with("/", "").await;
        assert_eq!(
            (answer.text().as_str(), set_cookie(&answer)),
            (" 0 false", None)
        );
        assert!(store.is_empty());
    });
}

#[test]
fn an_id_that_the_client_has_chosen_is_never_taken() {
    block_on(async {
        let (_, browser) = stored();
        for chosen in ["a".repeat(64), "../x".to_owned(), String::new()] {
            let answer = browser
                .get_with("/count", &format!("session={chosen}"))
                .await;
            let field = set_cookie(&answer).unwrap();
            assert!(!field.starts_with(&format!("session={chosen};")), "{field}");
        }
    });
}

#[test]
fn a_login_changes_the_id_and_the_old_one_is_dead() {
    block_on(async {
        let (store, mut browser) = stored();
        assert_eq!(browser.get("/count").await, " 1 false");
        let planted = browser.cookie.clone();
        assert_eq!(browser.get("/login").await, "anna 1 false");
        assert_ne!(browser.cookie, planted);
        assert_eq!(browser.get_with("/", &planted).await.text(), " 0 false");
        assert_eq!(browser.get("/").await, "anna 1 false");
        assert_eq!(store.len(), 1);
    });
}

#[test]
fn a_logout_removes_the_cookie_and_all_copies_are_dead() {
    block_on(async {
        let (store, mut browser) = stored();
        browser.get("/login").await;
        let copy = browser.cookie.clone();
        let answer = browser.get_with("/logout", &copy).await;
        let field = set_cookie(&answer).unwrap();
        assert!(field.starts_with("session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0; Expires="));
        assert_eq!(browser.get_with("/", &copy).await.text(), " 0 false");
        assert!(store.is_empty());
    });
}

#[test]
fn requests_at_the_same_time_keep_both_changes() {
    block_on(async {
        pause();
        let (_, mut browser) = stored();
        browser.get("/count").await;
        browser.both("/slow", "/count").await;
        assert_eq!(browser.get("/").await, " 2 true");
    });
}

#[test]
fn a_slow_request_does_not_bring_a_destroyed_session_back() {
    block_on(async {
        pause();
        for slow in ["/slow", "/slow-login"] {
            let (store, mut browser) = stored();
            browser.get("/login").await;
            browser.both(slow, "/logout").await;
            assert!(store.is_empty(), "{slow}");
        }
    });
}

#[test]
fn each_request_starts_the_timeout_again() {
    block_on(async {
        pause();
        let (store, mut browser) = stored();
        browser.get("/count").await;
        for _ in 0..3 {
            sleep(Duration::from_secs(29 * 60)).await;
            assert_eq!(browser.get("/").await, " 1 false");
        }
        sleep(Duration::from_secs(30 * 60)).await;
        assert_eq!(browser.get("/").await, " 0 false");
        assert!(store.is_empty());
    });
}

#[test]
fn a_full_store_drops_the_session_that_ends_first() {
    block_on(async {
        pause();
        let (store, mut browser) = stored();
        browser.get("/count").await;
        for _ in 0..3 {
            sleep(Duration::from_secs(1)).await;
            browser.get_with("/count", "").await;
        }
        assert_eq!(store.len(), 3);
        assert_eq!(browser.get("/").await, " 0 false");
    });
}

#[test]
fn flash_messages_are_shown_once_behind_a_redirect() {
    block_on(async {
        let (_, mut browser) = stored();
        browser.get("/flash").await;
        assert_eq!(browser.get("/flashes").await, "ground,no rye");
        assert_eq!(browser.get("/flashes").await, "");
    });
}

#[test]
fn a_cookie_holds_the_values_and_no_change_of_it_is_believed() {
    block_on(async {
        for is_signed in [false, true] {
            let sessions = Sessions::in_cookie(Key::from(&[7; 64]));
            let sessions = if is_signed {
                sessions.signed()
            } else {
                sessions
            };
            let mut browser = Browser::new(sessions.around(app));
            assert_eq!(browser.get("/count").await, " 1 false");
            assert_eq!(browser.get("/count").await, " 2 false");
            let good = browser.cookie.clone();
            for at in "session=".len()..good.len() {
                let mut bytes = good.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                let answer = browser.get_with("/", str::from_utf8(&bytes).unwrap()).await;
                // The last digit of base64 may have bits that are not used.
                let is_same = answer.text() == " 2 false";
                assert!(!is_same || at + 2 >= good.len(), "byte {at}");
            }
            assert_eq!(browser.get_with("/large", &good).await.status, 500);
            assert_eq!(browser.get("/").await, " 2 false");
        }
    });
}

#[test]
fn a_new_key_opens_the_cookies_of_the_old_one_only_if_it_is_told_so() {
    block_on(async {
        let (old, new) = (Key::from(&[1; 64]), Key::from(&[2; 64]));
        let mut before = Browser::new(Sessions::in_cookie(old.clone()).around(app));
        before.get("/login").await;
        let both = Browser::new(Sessions::in_cookie(new.clone()).key_before(old).around(app));
        assert_eq!(
            both.get_with("/", &before.cookie).await.text(),
            "anna 0 false"
        );
        let only = Browser::new(Sessions::in_cookie(new).around(app));
        assert_eq!(only.get_with("/", &before.cookie).await.text(), " 0 false");
    });
}

#[test]
fn a_cookie_of_one_name_is_not_one_of_another() {
    block_on(async {
        for is_signed in [false, true] {
            let named = |name: &str| {
                let sessions = Sessions::in_cookie(Key::from(&[7; 64])).name(name);
                let sessions = if is_signed {
                    sessions.signed()
                } else {
                    sessions
                };
                Browser::new(sessions.around(app))
            };
            let (mut shop, admin) = (named("shop"), named("admin"));
            shop.get("/login").await;
            let renamed = shop.cookie.replace("shop=", "admin=");
            assert_eq!(admin.get_with("/", &renamed).await.text(), " 0 false");
        }
    });
}

#[test]
fn a_cookie_whose_time_is_over_is_no_session() {
    block_on(async {
        let sessions = Sessions::in_cookie(Key::from(&[7; 64])).timeout(Duration::ZERO);
        let mut browser = Browser::new(sessions.around(app));
        browser.get("/login").await;
        assert_eq!(browser.get("/").await, " 0 false");
    });
}

#[test]
fn save_writes_the_session_before_the_handler_ends() {
    block_on(async {
        let (store, seen) = (MemoryStore::new(3), Rc::new(Notify::new()));
        let (saved, kept) = (seen.clone(), store.clone());
        let handler = async move |request: Request<'_>| {
            let session = ClientSession::of(&request)?;
            session.insert("a", 1)?;
            session.save().await?;
            assert_eq!(kept.len(), 1);
            saved.notify_one();
            request.respond(StatusCode::OK, "", ()).await
        };
        let browser = Browser::new(Sessions::in_store(store).around(handler));
        join(browser.get_with("/", ""), seen.notified()).await;
    });
}

#[test]
fn a_cookie_that_browsers_take_only_with_secure_has_it() {
    // draft-ietf-httpbis-rfc6265bis, 5.7: without Secure, a browser drops these without a word.
    block_on(async {
        let sessions = || Sessions::in_store(MemoryStore::new(3));
        for (sessions, is_secure) in [
            (sessions(), false),
            (sessions().name("__Host-mill"), true),
            (sessions().name("__Secure-mill"), true),
            (sessions().name("__HOST-mill"), true),
            (sessions().name("Host-mill"), false),
            (sessions().same_site(SameSite::None), true),
            (sessions().secure(true), true),
        ] {
            let browser = Browser::new(sessions.around(app));
            for path in ["/login", "/logout"] {
                let field = set_cookie(&browser.get_with(path, "").await).unwrap();
                assert_eq!(field.contains("; Secure"), is_secure, "{field}");
            }
        }
    });
    for sessions in [
        Sessions::in_store(MemoryStore::new(3)).name("__Host-mill"),
        Sessions::in_store(MemoryStore::new(3)).same_site(SameSite::None),
    ] {
        let contradiction = AssertUnwindSafe(|| drop(sessions.secure(false).around(app)));
        assert!(catch_unwind(contradiction).is_err());
    }
}

#[test]
fn a_cache_keeps_the_page_of_one_client_for_no_other() {
    // CVE-2023-30861 of Flask: a renewed cookie in a cached answer.
    block_on(async {
        let vary = |answer: &Answer| {
            let fields = answer.headers.get_all("vary").iter();
            fields
                .map(|field| field.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let (_, mut browser) = stored();
        for path in ["/", "/count", "/login", "/logout", "/broken"] {
            let answer = browser.get_with(path, "").await;
            assert_eq!(vary(&answer), ["cookie"], "{path}");
        }
        browser.get("/login").await;
        assert_eq!(
            vary(&browser.get_with("/", &browser.cookie).await),
            ["cookie"]
        );
        // A handler that looks at no session, and a cookie of which half of the time is over.
        let blind = async |request: Request<'_>| request.respond(StatusCode::OK, "", ()).await;
        let key = || Key::from(&[7; 64]);
        let mut short = Browser::new(Sessions::in_cookie(key()).timeout(minutes(1)).around(app));
        short.get("/login").await;
        let long = Browser::new(
            Sessions::in_cookie(key())
                .timeout(minutes(60))
                .around(blind),
        );
        let answer = long.get_with("/", &short.cookie).await;
        assert!(set_cookie(&answer).is_some());
        assert_eq!(vary(&answer), ["cookie"]);
        assert_eq!(vary(&long.get_with("/", "").await), [""; 0]);
    });
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

#[test]
fn a_session_without_an_end_has_none() {
    block_on(async {
        pause();
        let in_store = Sessions::in_store(MemoryStore::new(3)).timeout(Duration::MAX);
        let mut browser = Browser::new(in_store.around(app));
        browser.get("/login").await;
        sleep(minutes(60 * 24 * 365)).await;
        assert_eq!(browser.get("/").await, "anna 0 false");
        let in_cookie = Sessions::in_cookie(Key::from(&[7; 64])).timeout(Duration::MAX);
        let mut browser = Browser::new(in_cookie.around(app));
        browser.get("/login").await;
        assert_eq!(browser.get("/").await, "anna 0 false");
    });
}

#[test]
fn a_cookie_that_has_grown_too_long_stays_without_a_renewal() {
    block_on(async {
        let key = || Key::from(&[7; 64]);
        let fill = async |request: Request<'_>| {
            let session = ClientSession::of(&request)?;
            if request.path() == "/fill" {
                // As much as there is room for.
                let (mut fits, mut too_long) = (0, 4096);
                while fits + 1 < too_long {
                    let len = usize::midpoint(fits, too_long);
                    match session.insert("a", "x".repeat(len)) {
                        Ok(()) => fits = len,
                        Err(_) => too_long = len,
                    }
                }
            }
            let text: Option<String> = session.get("a")?;
            let len = text.map_or(0, |text| text.len());
            request.respond(StatusCode::OK, len.to_string(), ()).await
        };
        let before = Sessions::in_cookie(key()).timeout(minutes(1)).around(fill);
        let mut before = Browser::new(before);
        let len = before.get("/fill").await;
        assert!(len.parse::<usize>().unwrap() > 2000, "{len}");
        // The renewed one would have `Secure`, too.
        let after = Sessions::in_cookie(key()).timeout(minutes(60)).secure(true);
        let after = Browser::new(after.around(fill));
        let answer = after.get_with("/", &before.cookie).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, len));
    });
}

#[test]
fn a_cookie_of_another_path_or_domain_hides_no_session() {
    block_on(async {
        for is_stored in [true, false] {
            let (first, second);
            if is_stored {
                let mut browser = Browser::new(Sessions::in_store(MemoryStore::new(9)).around(app));
                browser.get("/login").await;
                first = browser
                    .get_with("/", &format!("session=x; session=; {}", browser.cookie))
                    .await;
                let many = "session=0; ".repeat(100);
                second = browser
                    .get_with("/", &format!("{many}{}", browser.cookie))
                    .await;
            } else {
                let mut browser =
                    Browser::new(Sessions::in_cookie(Key::from(&[7; 64])).around(app));
                browser.get("/login").await;
                first = browser
                    .get_with("/", &format!("session=x; session=; {}", browser.cookie))
                    .await;
                let many = "session=0; ".repeat(100);
                second = browser
                    .get_with("/", &format!("{many}{}", browser.cookie))
                    .await;
            }
            assert_eq!(first.text(), "anna 0 false");
            // Not without end: each one costs a look into the store.
            assert_eq!(second.text(), " 0 false");
        }
    });
}

#[test]
fn a_cookie_that_is_cut_or_of_other_bytes_is_no_session() {
    block_on(async {
        for is_signed in [false, true] {
            let sessions = Sessions::in_cookie(Key::from(&[7; 64]));
            let sessions = if is_signed {
                sessions.signed()
            } else {
                sessions
            };
            let mut browser = Browser::new(sessions.around(app));
            browser.get("/login").await;
            let good = browser.cookie.clone();
            for at in "session=".len()..good.len() {
                let cut = browser.get_with("/", &good[..at]).await;
                assert_eq!(cut.text(), " 0 false", "{at}");
                let foreign = format!("{}\u{e4}\u{1f33e}{}", &good[..at], &good[at..]);
                let foreign = browser.get_with("/", &foreign).await;
                assert_eq!(foreign.text(), " 0 false", "{at}");
            }
            let huge = format!("session={}", "A".repeat(7000));
            assert_eq!(browser.get_with("/", &huge).await.text(), " 0 false");
        }
        let (_, browser) = stored();
        let huge = format!("session={}", "a".repeat(7000));
        assert_eq!(browser.get_with("/", &huge).await.text(), " 0 false");
    });
}

#[test]
fn an_error_of_the_handler_keeps_the_session_and_its_cookie() {
    block_on(async {
        let (_, browser) = stored();
        let answer = browser.get_with("/broken", "").await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        let cookie = set_cookie(&answer).unwrap();
        let cookie = cookie.split(';').next().unwrap();
        assert_eq!(browser.get_with("/", cookie).await.text(), "carl 0 false");
    });
}

#[test]
fn messages_of_requests_at_the_same_time_are_all_shown() {
    block_on(async {
        pause();
        let (_, mut browser) = stored();
        browser.get("/count").await;
        browser.both("/two-flashes", "/flash").await;
        let shown = browser.get("/flashes").await;
        let mut shown: Vec<_> = shown.split(',').collect();
        shown.sort_unstable();
        assert_eq!(shown, ["ground", "no rye", "one", "two"]);
        // A message that is added while another page shows the earlier ones comes on the next page.
        browser.get("/flash").await;
        let cookie = browser.cookie.clone();
        join(browser.get_with("/two-flashes", &cookie), async {
            sleep(Duration::from_secs(1)).await;
            let shown = browser.get_with("/flashes", &cookie).await;
            assert_eq!(shown.text(), "ground,no rye");
        })
        .await;
        assert_eq!(browser.get("/flashes").await, "one,two");
        assert_eq!(browser.get("/flashes").await, "");
    });
}

#[test]
fn a_session_ends_at_its_lifetime_however_often_it_is_used() {
    let lifetime = minutes(60 * 8);
    block_on(async {
        // The clock of the lifetime is that of the system, so these are far beyond it, or far within.
        for (lifetime, then) in [(lifetime, "anna 1 false"), (Duration::ZERO, " 0 false")] {
            let store = MemoryStore::new(3);
            let stored = Sessions::in_store(store.clone()).lifetime(lifetime);
            let mut stored = Browser::new(stored.around(app));
            let sealed = Sessions::in_cookie(Key::from(&[7; 64])).lifetime(lifetime);
            let mut sealed = Browser::new(sealed.around(app));
            stored.get("/login").await;
            sealed.get("/login").await;
            stored.get("/count").await;
            sealed.get("/count").await;
            assert_eq!(stored.get("/").await, then);
            assert_eq!(sealed.get("/").await, then);
            assert!(store.len() <= 1);
        }
    });
}

/// A store in which each change takes a second.
struct Slow(MemoryStore);

impl SessionStore for Slow {
    async fn load(&self, id: &str, timeout: Duration) -> Result<Option<Values>> {
        self.0.load(id, timeout).await
    }

    async fn create(&self, id: &str, values: &Values, timeout: Duration) -> Result<()> {
        sleep(Duration::from_secs(1)).await;
        self.0.create(id, values, timeout).await
    }

    async fn update(&self, id: &str, changes: &Changes, timeout: Duration) -> Result<bool> {
        sleep(Duration::from_secs(1)).await;
        self.0.update(id, changes, timeout).await
    }

    async fn remove(&self, id: &str) -> Result<bool> {
        sleep(Duration::from_secs(1)).await;
        self.0.remove(id).await
    }
}

#[test]
fn a_client_has_no_answer_before_a_slow_store_has_its_session() {
    block_on(async {
        pause();
        let store = MemoryStore::new(3);
        let mut browser = Browser::new(Sessions::in_store(Slow(store.clone())).around(app));
        let answer = browser.get_with("/login", "").await;
        assert_eq!(store.len(), 1);
        // As after a redirect.
        let cookie = set_cookie(&answer).unwrap();
        cookie
            .split(';')
            .next()
            .unwrap()
            .clone_into(&mut browser.cookie);
        assert_eq!(browser.get("/").await, "anna 0 false");
        assert_eq!(browser.get("/count").await, "anna 1 false");
        assert_eq!(browser.get("/").await, "anna 1 false");
        // A store that is too slow is a handler that is too slow.
        let slow = Sessions::in_store(Slow(store.clone())).around(app);
        let limited = time_limit(Duration::from_millis(500), slow);
        let answer = Browser::new(limited)
            .get_with("/count", &browser.cookie)
            .await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    });
}

/// A store whose calls fail in turn: each with its number.
#[derive(Clone)]
struct Failing {
    inner: MemoryStore,
    fails_at: &'static str,
}

impl Failing {
    fn look(&self, call: &str) -> Result<()> {
        if call == self.fails_at {
            return Err(std::io::Error::other("the database is gone").into());
        }
        Ok(())
    }
}

impl SessionStore for Failing {
    async fn load(&self, id: &str, timeout: Duration) -> Result<Option<Values>> {
        self.look("load")?;
        self.inner.load(id, timeout).await
    }

    async fn create(&self, id: &str, values: &Values, timeout: Duration) -> Result<()> {
        self.look("create")?;
        self.inner.create(id, values, timeout).await
    }

    async fn update(&self, id: &str, changes: &Changes, timeout: Duration) -> Result<bool> {
        self.look("update")?;
        self.inner.update(id, changes, timeout).await
    }

    async fn remove(&self, id: &str) -> Result<bool> {
        self.look("remove")?;
        self.inner.remove(id).await
    }
}

#[test]
fn a_store_that_fails_makes_the_answer_500_and_sends_no_cookie() {
    block_on(async {
        let inner = MemoryStore::new(9);
        let mut good = Browser::new(Sessions::in_store(inner.clone()).around(app));
        good.get("/count").await;
        let known = good.cookie.clone();
        for (fails_at, path, cookie) in [
            ("load", "/", known.as_str()),
            ("create", "/count", ""),
            ("update", "/count", known.as_str()),
            ("remove", "/login", known.as_str()),
        ] {
            let inner = inner.clone();
            let failing = Sessions::in_store(Failing { inner, fails_at }).around(app);
            let answer = Browser::new(failing).get_with(path, cookie).await;
            assert_eq!(answer.status.as_u16(), 500, "{fails_at}");
            assert_eq!(set_cookie(&answer), None, "{fails_at}");
            assert!(!answer.text().contains("database"), "{}", answer.text());
            assert_eq!(
                good.get_with("/", &known).await.text(),
                " 1 false",
                "{fails_at}"
            );
        }
    });
}
