//! Sessions and flash messages: their cookies, their ends, and requests at the same time.

use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::web::response::Response;
use waterwheel::http::web::session::{ClientSession, Key, MemoryStore, Sessions};
use waterwheel::http::{Handler, Method, Request, Responded, Result, Server, StatusCode};
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
        let cookie = browser.cookie.clone();
        join(
            browser.get_with("/slow", &cookie),
            browser.get_with("/count", &cookie),
        )
        .await;
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
            let cookie = browser.cookie.clone();
            join(
                browser.get_with(slow, &cookie),
                browser.get_with("/logout", &cookie),
            )
            .await;
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
